"""Virtual time, the in-process transport and the simulated world."""
