"""What owns one job on a machine: the wrapper process and its parts. Standard library only, quick to start."""
