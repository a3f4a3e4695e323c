"""How data work is done. Standard library and the engine only: travels into jobs."""
