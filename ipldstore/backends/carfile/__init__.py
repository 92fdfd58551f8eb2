"""A CAR archive as a block store."""
