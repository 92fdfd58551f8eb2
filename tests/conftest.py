"""Puts this folder on the path of every test, for the helpers that several folders share."""

import warnings

from hypothesis import settings

from ipldstore.errors import UnfrozenChangesWarning

# --doctest-modules would import all of these as one module of the name `conftest`
collect_ignore_glob = ["conftest.py", "*/conftest.py", "*/*/conftest.py"]

# what is still there when all tests are done may be given up
warnings.simplefilter("ignore", UnfrozenChangesWarning)

# for a second Python, after one where all examples were tried
settings.register_profile("again", max_examples=25)
