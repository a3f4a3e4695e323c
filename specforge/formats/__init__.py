"""File formats, read and write, nothing else. Standard library only: these modules travel into jobs."""
