"""Leaves out of the search for doctests what is a program, and finds its modules only as one."""

collect_ignore = ["follow.py"]
