"""Who the agents are: one file a role, each a table of contents of its behaviours."""
