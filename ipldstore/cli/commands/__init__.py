"""The commands, one module each; what they work with is imported when they are called."""
