"""Modbus TCP: a link that comes back by itself, and devices described by a map of registers."""
