"""JSON documents: which are held as IPLD data, where they stand, and how they read back."""

import json
import math

import dag_cbor
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from multiformats import CID

from ipldstore import IPLDStore

MEBIBYTE = 1_048_576


def frozen(text, name=".zattrs"):
    """Return a frozen store of one value, and the entry in its root block."""
    store = IPLDStore()
    store[name] = text
    before = store[name]
    root = store.freeze()
    assert store[name] == before
    assert IPLDStore(store.backend, root=root)[name] == before
    return store, dag_cbor.decode(store.backend.get_block(root))[name]


def nested(levels):
    """Return the text of an object and lists, nested so many levels in all."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def text_document(size):
    """Return the text of a document of so many bytes (over 65,536) as DAG-CBOR."""
    text = json.dumps({"a": "x" * (size - 8)}).encode()
    assert len(dag_cbor.encode(json.loads(text))) == size
    return text


HELD = [
    (b"{}", {}),
    (b' \t\r\n{ "a" : 1 } \n', {"a": 1}),
    (b'{"b":{"c":[1,"x",true,false,null,{}]}}', {"b": {"c": [1, "x", True, False, None, {}]}}),
    (b'{"a":-9223372036854775808}', {"a": -(2**63)}),
    (b'{"a":18446744073709551615}', {"a": 2**64 - 1}),
    (b'{"a":-0}', {"a": 0}),
    (b'{"a":-0.0}', {"a": -0.0}),
    (b'{"a":-0e5}', {"a": -0.0}),
    (b'{"a":1.0}', {"a": 1.0}),
    (b'{"a":1e2}', {"a": 100.0}),
    (b'{"a":1E+2}', {"a": 100.0}),
    (b'{"a":0.1000000000000000055}', {"a": 0.1}),
    (b'{"a":18446744073709551616.0}', {"a": 2.0**64}),
    (b'{"a":1.7976931348623157e308}', {"a": 1.7976931348623157e308}),
    (b'{"a":5e-324}', {"a": 5e-324}),
    (b'{"a":1e-400}', {"a": 0.0}),
    (b'{"a":0.' + b"1" * 5000 + b"}", {"a": 1 / 9}),
    (b'{"\\u00e9":"\\ud83d\\ude00"}', {"é": "😀"}),
    ('{"é":"😀\u2028"}'.encode(), {"é": "😀\u2028"}),
    (b'{"a":"\\u0000"}', {"a": "\0"}),
    (b'{"":{"":0}}', {"": {"": 0}}),
    (b'{"a":"NaN"}', {"a": "NaN"}),
    (b'{"/":"bafkqaaa"}', {"/": "bafkqaaa"}),
    (nested(31), json.loads(nested(31))),
]

KEPT_AS_BYTES = [
    b'{"a":NaN}',
    b'{"a":[Infinity]}',
    b'{"a":-Infinity}',
    b'{"a":1e400}',
    b'{"a":-1e400}',
    b'{"a":1.7976931348623159e308}',
    b'{"a":18446744073709551616}',
    b'{"a":-9223372036854775809}',
    b'{"a":100000000000000000000000}',
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":-' + b"9" * 5000 + b"}",
    b'{"a":"\\ud800"}',
    b'{"a":["\\udc00\\ud800"]}',
    b'{"\\ud800":1}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":1,"a":1}',
    b'{"a":1,"\\u0061":2}',
    b'{"b":[{"a":1,"a":2}]}',
    nested(32),
    nested(1000),
    nested(100_000),
    b"[" * 100_000,
    b"[1]",
    b"1",
    b'"text"',
    b"null",
    b"",
    b" ",
    b"{",
    b"{}{}",
    b"{}x",
    b"{}\0",
    b"{'a':1}",
    b'{"a":1,}',
    b'{"a":01}',
    b'{"a":.5}',
    b'{"a":+1}',
    b'{"a":1.}',
    b'{"a":"\n"}',
    b'{"a":"\xff"}',
    b'{1:"a"}',
    b"not JSON",
    b"\xef\xbb\xbf{}",
    '{"a":1}'.encode("utf-16"),
    '{"a":1}'.encode("utf-16-le"),
    '{"a":1}'.encode("utf-32"),
]


def short(value):
    return repr(value)[:40]


@pytest.mark.parametrize(("text", "value"), HELD, ids=short)
def test_held_as_ipld_data(text, value):
    store, entry = frozen(text)
    assert repr(entry) == repr(value)
    assert repr(json.loads(store[".zattrs"])) == repr(value)
    assert store[".zattrs"] == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("text", KEPT_AS_BYTES, ids=short)
def test_kept_as_plain_bytes(text):
    store, entry = frozen(text)
    assert isinstance(entry, CID)
    assert entry.codec.name == "raw"
    assert store.backend.get_block(entry) == text
    assert store[".zattrs"] == text


@pytest.mark.parametrize("name", ["zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"])
def test_every_metadata_name(name):
    _, entry = frozen(b'{"a": 1}', name)
    assert entry == {"a": 1}


@pytest.mark.parametrize("name", ["json", "zarr.JSON", ".zattrs2", "a.json", "0"])
def test_other_names_keep_their_bytes(name):
    store, entry = frozen(b'{"a": 1}', name)
    assert isinstance(entry, CID)
    assert store[name] == b'{"a": 1}'


def test_read_back_is_compact_and_in_canonical_order():
    text = '{"long": 1e16, "b": [1.50, 1E-7, -0], "a": {"é": "\\u00e8\\/", "z": "\\n"}, "aa": -0.0}'
    store, _ = frozen(text.encode())
    expected = '{"a":{"z":"\\n","é":"è/"},"b":[1.5,1e-07,0],"aa":-0.0,"long":1e+16}'
    assert store[".zattrs"] == expected.encode()


def test_minus_zero_keeps_its_sign():
    store, entry = frozen(b'{"a":-0.0,"b":0.0}')
    assert math.copysign(1, entry["a"]) == -1
    assert store[".zattrs"] == b'{"a":-0.0,"b":0.0}'


def test_spelling_does_not_matter():
    texts = [b'{"aa":1.0,"b":"e"}', b'{ "b" : "\\u0065",\n "aa" : 10e-1 }']
    assert len({str(frozen(text)[0].root_cid) for text in texts}) == 1


@pytest.mark.parametrize("buffer", [bytearray, memoryview])
def test_any_buffer(buffer):
    _, entry = frozen(buffer(b'{"a": 1}'))
    assert entry == {"a": 1}


def test_inlined_up_to_8_kib_and_linked_above():
    document = {"a": [0] * (8192 - 6)}
    assert len(dag_cbor.encode(document)) == 8192
    _, entry = frozen(json.dumps(document).encode())
    assert entry == document

    document["a"].append(0)
    store, entry = frozen(json.dumps(document).encode())
    assert entry.codec.name == "dag-cbor"
    assert store.backend.get_block(entry) == dag_cbor.encode(document)
    assert json.loads(store[".zattrs"]) == document


def test_held_up_to_1_mib():
    text = text_document(MEBIBYTE)
    store, entry = frozen(text)
    assert entry.codec.name == "dag-cbor"
    assert json.loads(store[".zattrs"]) == json.loads(text)

    text = text_document(MEBIBYTE + 1)
    store, entry = frozen(text)
    assert entry.codec.name != "dag-cbor"
    assert store[".zattrs"] == text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.sampled_from([2**64 - 1, 2**64, -(2**63), -(2**63) - 1])
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=8), inner)
    ),
    max_leaves=10,
)


def is_exact(value):
    """Whether IPLD data holds a value of JSON exactly, by the rules of the format."""
    if isinstance(value, dict):
        return all(map(is_exact, value)) and all(map(is_exact, value.values()))
    if isinstance(value, list):
        return all(map(is_exact, value))
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or -(2**63) <= value < 2**64


def in_order(value):
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
@settings(deadline=None, max_examples=examples(150))
def test_equal_as_json_data(value):
    text = json.dumps(value).encode()
    store, entry = frozen(text)
    assert isinstance(entry, dict) == is_exact(json.loads(text))
    if isinstance(entry, dict):
        assert repr(in_order(json.loads(store[".zattrs"]))) == repr(in_order(json.loads(text)))
    else:
        assert store[".zattrs"] == text
