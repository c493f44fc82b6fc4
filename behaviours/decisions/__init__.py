"""What agents decide, as pure functions: no input or output, no clock, no logging (DESIGN 5)."""
