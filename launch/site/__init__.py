"""A site as a host of its own: its file, its agents, their world of real devices, and the commands for it."""
