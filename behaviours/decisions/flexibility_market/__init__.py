"""Decisions of the explicit flexibility market: what may be said, what is bought, delivered and paid."""
