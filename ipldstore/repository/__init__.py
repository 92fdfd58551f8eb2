"""Repositories: a hierarchy with its history, its branches and its tags."""
