"""What the DSO's agents do: watch the network, set the traffic light, relieve it."""
