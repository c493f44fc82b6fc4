"""Deciding together: whom to work with, who runs when, and how what was earned is shared (SPEC 5.3)."""
