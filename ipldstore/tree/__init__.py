"""The hierarchy of directories, documents and values that a root CID names."""
