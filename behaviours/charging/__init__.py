"""A charging site with many points: read, followed, foreseen, planned and steered (D8.1 3.5)."""
