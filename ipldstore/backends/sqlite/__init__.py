"""An SQLite database as a block store."""
