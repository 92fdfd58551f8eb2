"""A mapping as a block store."""
