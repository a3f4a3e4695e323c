"""What runs inside a job or a replica. Standard library and the engine only."""
