"""JSON of others, wherever it is parsed: documents, metadata that is looked into, answers."""

import json
import tracemalloc

import pytest
from contained import run_contained

from ipldstore import IPLDStore, diff, info
from ipldstore.formats.jsontext import load_json
from ipldstore.limits import MAX_JSON_BYTES, MAX_JSON_DEPTH

ARRAY = b'{"node_type":"array","shape":[1],"attributes":%s}'
STRANGE = {
    "NaN": b"NaN",
    "infinity": b"[Infinity,-Infinity]",
    "1e400": b"1e400",
    "5,000 digits": b"9" * 5000,
    "minus 5,000 digits": b"-" + b"9" * 5000,
    "lone surrogates": b'"\\ud800\\udfff\\ud800"',
    "duplicate keys": b'{"a":1,"a":2}',
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 lists without an end": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("key", ["zarr.json", ".zarray"])
def test_strange_metadata_is_kept_byte_for_byte(key, name):
    """It cannot be IPLD data, and all that looks into it takes it as it is, or as no array."""
    text = ARRAY % STRANGE[name]
    before, after = IPLDStore(), IPLDStore()
    for store, data in ((before, b"old"), (after, b"new")):
        store[f"a/{key}"] = text
        store["a/c/0"] = data
    root = after.freeze()
    assert IPLDStore(after.backend, root=root)[f"a/{key}"] == text
    archive = after.to_car()
    assert IPLDStore.from_car(archive)[f"a/{key}"] == text
    assert [change.key for change in diff(before, after)] == ["a/c/0"]
    assert info(after).blocks == 3
    assert IPLDStore.from_unixfs(after.to_unixfs(), after.backend).root_cid == root


DEEP = """
import sys
from ipldstore import BackendError, IPLDStore, diff, info
from ipldstore.backends.ipfs.rpc import KuboRPC
from ipldstore.formats.jsontext import load_json
from ipldstore.tree.documents import parse_json

for text in (b"[" * 100_000, b'{"a":' * 100_000, b'{"a":[' * 50_000):
    for data in (text, b'{"b":' + text, b'{"node_type":"array","shape":' + text):
        try:
            load_json(data)
        except ValueError as error:
            assert "more than 256 levels" in str(error), error
        else:
            raise AssertionError("accepted")
        assert parse_json(data) is None
        store, other = IPLDStore(), IPLDStore()
        for one in (store, other):
            one["a/zarr.json"] = one["a/.zarray"] = data
        store["a/0"] = b"x"
        assert [change.key for change in diff(store, other)] == ["a/0"]
        assert info(store).blocks == 3
        try:
            KuboRPC("http://127.0.0.1:1")._parse("id", data)
        except BackendError as error:
            print("expected JSON" in str(error))
"""


def test_deep_text_in_a_small_stack():
    # Python 3.12 and 3.13 crash on it
    assert run_contained(DEEP).split() == ["True"] * 9


def nested(levels, inner=b""):
    return b'{"a":' + b"[" * (levels - 1) + inner + b"]" * (levels - 1) + b"}"


def test_depth_is_limited():
    sides = b",".join([b"[[]]"] * 1000)
    for text in (nested(MAX_JSON_DEPTH), nested(MAX_JSON_DEPTH - 2, sides), b"[%s]" % sides):
        assert load_json(text) == json.loads(text)
    for text in (nested(MAX_JSON_DEPTH + 1), nested(MAX_JSON_DEPTH - 1, sides)):
        with pytest.raises(ValueError, match=f"more than {MAX_JSON_DEPTH} levels"):
            load_json(text)


@pytest.mark.parametrize(
    "value",
    [
        "[" * 1000,
        "{[" * 500,
        '"' * 500 + "[" * 500,
        "\\" * 501 + "[" * 500,
        '\\"[' * 300,
        "\n[" * 300,
    ],
)
def test_brackets_in_text_do_not_count(value):
    text = json.dumps({"a": [value, {value: value}]}).encode()
    assert load_json(text) == json.loads(text)


def test_other_encodings_are_no_way_around():
    # U+2200 holds the byte of a quotation mark, behind which brackets would not be counted
    text = json.dumps("\u2200", ensure_ascii=False) + "[" * 300
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        with pytest.raises(ValueError, match=r"decode|control character|Expecting"):
            load_json(text.encode(encoding))


LONG_STRINGS = r"""
from ipldstore.formats.jsontext import load_json

brackets = b"[" * 300
for text in (
    b'"' + b'\\"' * 1_000_000,
    b'"' + b'\\"' * 1_000_000 + b"\\",
    b'"' * 2_000_000,
    b"\\" * 2_000_000,
    b'"a' * 1_000_000,
    b'"' + b"a" * 2_000_000,
):
    for data in (brackets + text, text + brackets):
        try:
            load_json(data)
        except ValueError:
            print("refused")
"""


def test_strings_without_an_end_take_time_by_their_length():
    assert run_contained(LONG_STRINGS).split() == ["refused"] * 12


def test_length_is_limited():
    fits = b'{"a":1' + b" " * (MAX_JSON_BYTES - 7) + b"}"
    assert len(fits) == MAX_JSON_BYTES
    assert load_json(fits) == {"a": 1}
    store = IPLDStore()
    store["zarr.json"] = fits
    assert store["zarr.json"] == b'{"a":1}'
    longer = fits + b" "
    with pytest.raises(ValueError, match=f"at most {MAX_JSON_BYTES}"):
        load_json(longer)
    store["zarr.json"] = longer
    assert store["zarr.json"] == longer


def test_long_text_that_is_no_document_takes_no_memory():
    """27 MB of brackets would take over 600 MB as Python's lists."""
    text = b'{"a":[' + b"[]," * 9_000_000 + b"[]]}"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="JSON text of"):
            load_json(text)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
