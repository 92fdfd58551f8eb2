"""What the commands do, where that is long."""
