"""What the agents of a site do: read and steer its devices, manage each asset, and plan for all of them."""
