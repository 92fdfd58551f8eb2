"""The pages of the Python API describe every public name."""

import re

import pytest
from page import ROOT

import ipldstore

API = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs/reference/api").glob("*.md"))
)
DESCRIBED = re.findall(r"^\.\. auto\w+:: ([\w.]+)$", API, re.MULTILINE)


def test_every_public_name_is_described():
    assert sorted(set(ipldstore.__all__) - set(DESCRIBED)) == []


def test_every_tool_for_tests_is_described():
    testing = pytest.importorskip("ipldstore.testing")
    names = {name for name in testing.__all__ if not name.isupper() and name != "Schedule"}
    assert sorted(names - {name.removeprefix("ipldstore.testing.") for name in DESCRIBED}) == []


def test_nothing_is_described_twice():
    assert sorted({name for name in DESCRIBED if DESCRIBED.count(name) > 1}) == []
