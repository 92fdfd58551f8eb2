"""What every command runs in: its options, what it writes, and how it ends."""
