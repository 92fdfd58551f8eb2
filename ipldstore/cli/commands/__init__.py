"""What the commands take; what they do is imported when they are called."""
