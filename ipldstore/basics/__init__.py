"""What knows nothing of blocks: locks, URLs, words for people."""
