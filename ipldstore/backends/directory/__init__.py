"""A folder as a block store."""
