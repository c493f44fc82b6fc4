"""How a community is started: scenarios, the command line, run folders, reports and sweeps."""
