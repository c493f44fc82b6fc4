"""The worlds that agents live in: simulated, live, remembered; each implements the ports of behaviours."""
