"""Hierarchies that are written and read: the mapping, values, forks, archives and publishing."""
