"""What several commands work with: blocks, roots, files to make, progress."""
