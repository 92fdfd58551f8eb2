"""The worked bytes of docs/format.md are the blocks that it says they are."""

import re
from pathlib import Path

import pytest

from tests.history.theirs import CREATED, FIRST, block_of, cid_of

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
LINE = re.compile(r"^ *((?:(?:[0-9a-f]{2})+ +|(?:[0-9a-f]{2})+$)+)", re.MULTILINE)


def blocks():
    """Join the bytes that stand at the beginning of each line."""
    for text in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL):
        yield bytes.fromhex("".join(LINE.findall(text)))


def test_each_is_named_by_its_cid():
    found = list(blocks())
    assert [len(data) for data in found] == [198, 115, 221]
    for data in found:
        assert f"{len(data)} bytes" in PAGE
        assert f"`{cid_of(data)}`" in PAGE
    assert found[1:] == [block_of(FIRST)[1], block_of(CREATED)[1]]
