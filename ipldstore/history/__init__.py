"""Versions of a hierarchy as blocks: commits, the states of repositories, and their names."""
