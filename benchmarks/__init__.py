"""Speed and memory, as tables: `python -m benchmarks`."""
