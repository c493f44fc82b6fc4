"""Charging of electric vehicles: sessions, usage, plans, loads and flexibility of a site (D8.1 3.5)."""
