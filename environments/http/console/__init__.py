"""The console: what operators see of a community."""
