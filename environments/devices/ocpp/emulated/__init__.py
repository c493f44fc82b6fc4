"""Emulated charge points: their connectors, vehicles and charging profiles, whatever the version."""
