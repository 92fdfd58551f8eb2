"""A repository as it is read from a block store."""
