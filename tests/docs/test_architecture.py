"""The page for newcomers names files and functions that are there."""

import re
from pathlib import Path

import pytest

import ipldstore

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
PACKAGE = Path(ipldstore.__file__).parent
PLACES = re.findall(r"`([a-z0-9_/]+\.py)`:\s+`([A-Za-z_.0-9]+)`", PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "name"), sorted(set(PLACES)))
def test_what_is_named_is_there(file, name):
    source = (PACKAGE / file).read_text(encoding="utf-8")
    owner, _, method = name.rpartition(".")
    if owner:
        assert re.search(rf"^class {owner}\b", source, re.MULTILINE)
        assert re.search(rf"^    (async )?def {method}\b", source, re.MULTILINE)
    else:
        assert re.search(rf"^(class|(async )?def) {name}\b", source, re.MULTILINE)


def test_the_ways_are_followed():
    assert len(PLACES) > 15
