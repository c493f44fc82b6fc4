"""What agents do: behaviours, the post that carries their words, and the decisions they make."""
