"""Speeds, measured side by side with their peers. `python -m benchmarks` prints them all; see docs/benchmarks.md."""
