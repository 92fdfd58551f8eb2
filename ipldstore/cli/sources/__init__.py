"""What `put` takes: one module a kind of source."""
