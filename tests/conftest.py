"""Puts this folder on the path of every test, for the helpers that several folders share."""

# --doctest-modules would import all of these as one module of the name `conftest`
collect_ignore_glob = ["conftest.py", "*/conftest.py"]
