"""Low-voltage networks from files: built in, or written by pandapower."""
