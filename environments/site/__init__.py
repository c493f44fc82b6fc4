"""The machine that a site's agents run on: keys, health, service supervision, and who may join where."""
