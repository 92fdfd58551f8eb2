"""The codecs over the codec fixtures of the IPLD project."""

import json
import os
from pathlib import Path

import pytest

from ipldstore.cid import make_link, parse_text, to_text
from ipldstore.errors import CodecError, InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.unixfs.nodes import decode_node, iter_pb_links

if "IPLDSTORE_FIXTURES" not in os.environ:
    pytest.skip("IPLDSTORE_FIXTURES is not set", allow_module_level=True)

FOLDER = Path(os.environ["IPLDSTORE_FIXTURES"]) / "codec-fixtures"
FILES = sorted(FOLDER.glob("fixtures/*/*.dag-cbor"))
PB_FILES = sorted(FOLDER.glob("fixtures/*/*.dag-pb"))


def refused(codec):
    return [
        pytest.param(case["hex"], id=case["name"])
        for file in sorted(FOLDER.glob(f"negative-fixtures/{codec}/decode/*.json"))
        for case in json.loads(file.read_text())
    ]


def test_the_fixtures_are_there():
    assert len(FILES) > 90
    assert len(PB_FILES) > 15
    assert refused("dag-cbor")
    assert len(refused("dag-pb")) >= 9


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_fixture_decodes_and_encodes_to_its_own_bytes(file):
    data = file.read_bytes()
    assert dagcbor.encode(dagcbor.decode(data)) == data
    assert make_link(data, "dag-cbor") == parse_text(file.stem)
    assert to_text(make_link(data, "dag-cbor")) == file.stem


@pytest.mark.parametrize("text", refused("dag-cbor"))
def test_negative_fixture_is_refused(text):
    with pytest.raises(CodecError):
        dagcbor.decode(bytes.fromhex(text))


@pytest.mark.parametrize("file", PB_FILES, ids=lambda file: file.parent.name)
def test_links_of_a_dag_pb_fixture_are_those_of_its_dag_json(file):
    node = json.loads(next(file.parent.glob("*.dag-json")).read_text())
    assert list(iter_pb_links(file.read_bytes())) == [
        parse_text(link["Hash"]["/"]) for link in node["Links"]
    ]


@pytest.mark.parametrize("text", refused("dag-pb"))
def test_negative_dag_pb_fixture_is_refused(text):
    data = bytes.fromhex(text)
    with pytest.raises(CodecError):
        list(iter_pb_links(data))
    with pytest.raises(InvalidNodeError):
        decode_node(make_link(data, "dag-pb"), data)
