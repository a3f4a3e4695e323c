"""What should exist: one folder a kind, each a spec class and pure functions. No kind knows an executor."""
