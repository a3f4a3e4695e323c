"""State backends: where what was recorded is kept. Embedded SQLite by default."""
