"""The DAG-CBOR codec over the codec fixtures of the IPLD project."""

import json
import os
from pathlib import Path

import pytest

from ipldstore import dagcbor
from ipldstore.cid import make_link, parse_text, to_text
from ipldstore.errors import CodecError

if "IPLDSTORE_FIXTURES" not in os.environ:
    pytest.skip("IPLDSTORE_FIXTURES is not set", allow_module_level=True)

FOLDER = Path(os.environ["IPLDSTORE_FIXTURES"]) / "codec-fixtures"
FILES = sorted(FOLDER.glob("fixtures/*/*.dag-cbor"))
REFUSED = [
    pytest.param(case["hex"], id=case["name"])
    for file in sorted(FOLDER.glob("negative-fixtures/dag-cbor/decode/*.json"))
    for case in json.loads(file.read_text())
]


def test_the_fixtures_are_there():
    assert len(FILES) > 90
    assert REFUSED


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_fixture_decodes_and_encodes_to_its_own_bytes(file):
    data = file.read_bytes()
    assert dagcbor.encode(dagcbor.decode(data)) == data
    assert make_link(data, "dag-cbor") == parse_text(file.stem)
    assert to_text(make_link(data, "dag-cbor")) == file.stem


@pytest.mark.parametrize("text", REFUSED)
def test_negative_fixture_is_refused(text):
    with pytest.raises(CodecError):
        dagcbor.decode(bytes.fromhex(text))
