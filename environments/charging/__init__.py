"""Charging sessions from outside: data sets that others recorded."""
