"""Conversations: reusable protocols between agents, each with its diagram in FIPA's terms."""
