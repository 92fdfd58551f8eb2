"""Programs of others that the tests need: skipped where absent, but not in CI."""

import os

import pytest


def skip_without(what):
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI has to have it")
    pytest.skip(what)
