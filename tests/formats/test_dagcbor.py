"""The DAG-CBOR codec against the dag-cbor package, and against bytes that lie.

Where the two differ, on purpose:

* Ours refuses values that are nested more than 64 levels deep.
* Ours refuses links whose digest has not the size that its hash function makes, identity CIDs over
  128 bytes, and digests over 128 bytes of functions that it does not know.
* Ours accepts links whose codec or hash function is not in the table of the multiformats package.
"""

import struct

import dag_cbor
import pytest
from dag_cbor.decoding.err import CBORDecodingError
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multiformats import CID
from multiformats.varint import encode as varint

from ipldstore.cid import Link, make_link
from ipldstore.errors import CodecError
from ipldstore.formats import dagcbor
from ipldstore.formats.hashes import HASHES

RAW_LINK = make_link(b"hello", "raw")
LINKS = [
    RAW_LINK,
    make_link(b"", "dag-cbor"),
    make_link(b"a", "dag-pb"),
    make_link(b"b", 0x0129),
    make_link(b"c", "raw", "sha2-512"),
    make_link(b"d", "dag-cbor", "blake2b-256"),
    Link(bytes(CID.decode("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"))),
    Link(b"\x01\x55\x00\x03abc"),
    Link(b"\x01\x55\x00\x00"),
]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.integers(-300, 300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.binary(max_size=30)
    | st.sampled_from(LINKS)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=26), inner, max_size=4)
    ),
    max_leaves=15,
)


def as_theirs(value):
    """Turn a value of ours into one of the dag-cbor package."""
    if isinstance(value, Link):
        return CID.decode(bytes(value))
    if isinstance(value, dict):
        return {key: as_theirs(item) for key, item in value.items()}
    return [as_theirs(item) for item in value] if isinstance(value, list) else value


def depth_of(value):
    if not isinstance(value, dict | list):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, children), default=0)


def links_of(value):
    if isinstance(value, CID):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from links_of(item)


def is_refused_link(cid):
    name, size = cid.hashfun.name, len(cid.raw_digest)
    return size != HASHES[name].size if name in HASHES else size > 128


REFUSED, NO_OPINION = object(), object()


def decode_theirs(data):
    try:
        return dag_cbor.decode(data)
    except KeyError:
        return NO_OPINION  # a link with a code that is not in the table of multiformats
    except (CBORDecodingError, ValueError, IndexError, OverflowError):
        return REFUSED


def check_agreement(data):
    """Decode bytes with both packages and compare what comes out."""
    theirs = decode_theirs(data)
    try:
        ours = dagcbor.decode(data)
    except CodecError as error:
        assert 0 <= error.offset <= len(data)
        assert (
            theirs in (REFUSED, NO_OPINION)
            or depth_of(theirs) > dagcbor.MAX_DEPTH
            or any(map(is_refused_link, links_of(theirs)))
        ), f"we refuse what they accept: {error}"
        return
    assert theirs is not REFUSED, "we accept what they refuse"
    assert dagcbor.encode(ours) == data
    if theirs is not NO_OPINION:
        assert as_theirs(ours) == theirs
        assert dag_cbor.encode(theirs) == data


@given(VALUES)
@settings(deadline=None, max_examples=examples(150))
@example({"aa": -0.0, "b": 2**64 - 1, "": -(2**64), "é": [], "zzz": {}})
@example({"a" * 23: 1, "a" * 24: 2, "b" * 255: 3, "b" * 256: 4, "c": LINKS})
def test_both_encode_the_same_bytes(value):
    data = dagcbor.encode(value)
    assert data == dag_cbor.encode(as_theirs(value))
    decoded = dagcbor.decode(data)
    assert as_theirs(decoded) == dag_cbor.decode(data)
    assert dagcbor.encode(decoded) == data
    assert dagcbor.nesting(value) == depth_of(value)


@given(st.binary(max_size=40))
@settings(deadline=None, max_examples=examples(300))
def test_arbitrary_bytes(data):
    check_agreement(data)


HEADS = st.integers(0, 255).map(lambda byte: bytes((byte,)))
PIECES = st.one_of(
    HEADS,
    st.sampled_from([b"\xd8\x2a", b"\xd8\x2a\x58\x25\x00", b"\x01\x55\x12\x20", b"\x61a", b"\xa1"]),
    SCALARS.map(dagcbor.encode),
)


@given(st.lists(PIECES, max_size=8).map(b"".join))
@settings(deadline=None, max_examples=examples(300))
def test_bytes_that_look_like_cbor(data):
    check_agreement(data)


@st.composite
def mutated(draw):
    """Draw the encoding of a value with a few bytes changed, left out, put in or cut off."""
    data = bytearray(dagcbor.encode(draw(VALUES)))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 3)))
        data[start:stop] = draw(st.binary(max_size=3))
    return bytes(data)


@given(mutated())
@settings(deadline=None, max_examples=examples(300))
def test_mutated_bytes(data):
    check_agreement(data)


@given(VALUES)
@settings(deadline=None, max_examples=examples(50))
def test_every_cut_is_refused(value):
    data = dagcbor.encode(value)
    for size in range(min(len(data), 200)):
        with pytest.raises(CodecError):
            dagcbor.decode(data[:size])


# From appendix A of RFC 8949, and the DAG-CBOR specification's form of links.
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (1000, "1903e8"),
        (1000000, "1a000f4240"),
        (1000000000000, "1b000000e8d4a51000"),
        (18446744073709551615, "1bffffffffffffffff"),
        (-18446744073709551616, "3bffffffffffffffff"),
        (-1, "20"),
        (-100, "3863"),
        (1.1, "fb3ff199999999999a"),
        (-4.1, "fbc010666666666666"),
        (0.0, "fb0000000000000000"),
        (-0.0, "fb8000000000000000"),
        (False, "f4"),
        (True, "f5"),
        (None, "f6"),
        (b"", "40"),
        (b"\1\2\3\4", "4401020304"),
        ("", "60"),
        ("IETF", "6449455446"),
        ("水", "63e6b0b4"),
        ([], "80"),
        ([1, [2, 3], [4, 5]], "8301820203820405"),
        ({}, "a0"),
        ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
        ({"b": 2, "aa": 1}, "a261620262616101"),
        (
            RAW_LINK,
            "d82a582500015512202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        ),
    ],
)
def test_golden_bytes(value, text):
    data = bytes.fromhex(text)
    assert dagcbor.encode(value) == data
    decoded = dagcbor.decode(data)
    assert decoded == value
    assert type(decoded) is type(value)
    assert str(decoded) == str(value)


def test_keys_are_sorted_by_length_then_bytes():
    keys = ["", "b", "aa", "ab", "水", "zzzz"]
    assert list(dagcbor.decode(dagcbor.encode(dict.fromkeys(reversed(keys))))) == keys


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("", "data ends", 0),
        ("1817", "not minimal", 0),
        ("1900ff", "not minimal", 0),
        ("1a0000ffff", "not minimal", 0),
        ("1b00000000ffffffff", "not minimal", 0),
        ("820018", "within the head", 2),
        ("5801ff", "not minimal", 0),
        ("9fff", "indefinite", 0),
        ("5f42010243030405ff", "indefinite", 0),
        ("bfff", "indefinite", 0),
        ("1c", "indefinite or reserved", 0),
        ("0000", "1 trailing bytes", 1),
        ("f7", "simple value", 0),
        ("f0", "simple value", 0),
        ("f820", "simple value", 0),
        ("f93c00", "simple value", 0),
        ("fa47c35000", "simple value", 0),
        ("fb7ff8000000000000", "not finite", 0),
        ("81fb7ff0000000000000", "not finite", 1),
        ("fbfff0000000000000", "not finite", 0),
        ("62c328", "not UTF-8", 0),
        ("63eda080", "not UTF-8", 0),
        ("a16161", "data ends", 3),
        ("a16261", "longer", 1),
        ("a162c32800", "not UTF-8", 1),
        ("a10000", "not text", 1),
        ("a1416100", "not text", 1),
        ("a2616100616101", "repeated", 4),
        ("a2616200616101", "out of order", 4),
        ("a262616100616201", "out of order", 5),
        ("a178016100", "not minimal", 1),
        ("c100", "tag 1 ", 0),
        ("d82b40", "tag 43", 0),
        ("d82a00", "not a byte string", 0),
        ("d82a6100", "not a byte string", 0),
        ("d82a40", "zero byte", 0),
        ("d82a450155000161", "zero byte", 0),
        ("d82a450001550001", "cut short", 0),
        ("d82a4700015500016161", "trailing", 0),
        ("d82ad82a4600015500 0161", "not a byte string", 0),
    ],
)
def test_refused_bytes(text, message, offset):
    data = bytes.fromhex(text)
    with pytest.raises(CodecError, match=message) as caught:
        dagcbor.decode(data)
    assert caught.value.offset == offset
    assert data == b"" or f"byte {offset}" in str(caught.value)
    check_agreement(data)


@pytest.mark.parametrize("level", [b"\x81", b"\xa1\x61a"])
def test_nesting_is_bounded(level):
    deepest = level * 64 + b"\x00"
    value = dagcbor.decode(deepest)
    assert depth_of(value) == dagcbor.nesting(value) == 64
    assert dagcbor.encode(value) == deepest
    for levels in (65, 100_000):
        with pytest.raises(CodecError, match="more than 64 levels"):
            dagcbor.decode(level * levels + b"\x00")


@pytest.mark.parametrize("levels", [65, 100_000])
@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}])
def test_deep_values_are_not_encoded(levels, wrap):
    value = 0
    for _ in range(levels):
        value = wrap(value)
    with pytest.raises(CodecError, match="more than 64 levels"):
        dagcbor.encode(value)


@pytest.mark.parametrize("head", ["5b", "7b", "9b", "bb", "d82a5b", "a17b", "a161618161607b"])
@pytest.mark.parametrize("length", [2**32, 2**40, 2**63, 2**64 - 1])
def test_lying_lengths(head, length):
    data = bytes.fromhex(head) + struct.pack(">Q", length) + b"\x00" * 20
    with pytest.raises(CodecError):
        dagcbor.decode(data)
    check_agreement(data)


def test_a_list_may_be_no_longer_than_the_bytes_left():
    assert dagcbor.decode(b"\x83\x00\x00\x00") == [0, 0, 0]
    with pytest.raises(CodecError, match="4 items announced at byte 0, 3 bytes left"):
        dagcbor.decode(b"\x84\x00\x00\x00")
    with pytest.raises(CodecError, match="2 items announced at byte 0, 3 bytes left"):
        dagcbor.decode(b"\xa2\x61a\x00")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**64, "64 bits"),
        (-(2**64) - 1, "64 bits"),
        pytest.param(10**5000, "64 bits", id="5,000 digits"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ("\ud800", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({1: 2}, "key 1 is not text"),
        ({None: 2}, "not text"),
        ({b"a": 2}, "not text"),
        ({1, 2}, "set"),
        (object(), "object"),
        (1j, "complex"),
    ],
)
def test_values_without_a_form(value, message):
    for wrapped in (value, [value], {"a": value}):
        with pytest.raises(CodecError, match=message) as caught:
            dagcbor.encode(wrapped)
        assert caught.value.offset is None


def link_item(cid):
    return dag_cbor.encode([b"\0" + cid]).replace(b"\x81", b"\x81\xd8\x2a", 1)


@pytest.mark.parametrize(
    ("hash_code", "size"), [(0x12, 31), (0x12, 20), (0x1E, 64), (0xB220, 20), (0, 129), (0xD5, 129)]
)
def test_stricter_on_digest_sizes(hash_code, size):
    data = link_item(b"\x01\x55" + varint(hash_code) + varint(size) + bytes(size))
    if hash_code != 0xD5:
        assert links_of(dag_cbor.decode(data))
    with pytest.raises(CodecError, match=f"{size} bytes"):
        dagcbor.decode(data)


def test_more_lenient_on_codes():
    cid = b"\x01" + varint(0x7FFFFFFF) + b"\x12\x20" + bytes(32)
    data = link_item(cid)
    assert dagcbor.decode(data) == [cid]
    with pytest.raises(KeyError):
        dag_cbor.decode(data)


def test_links_are_found_in_the_order_of_their_block():
    value = {"bb": [LINKS[1], {"x": LINKS[2]}], "a": LINKS[0], "c": {"y": [[LINKS[3]]]}}
    data = dagcbor.encode(value)
    found = list(dagcbor.iter_links(dagcbor.decode(data)))
    assert found == [LINKS[0], LINKS[3], LINKS[1], LINKS[2]]
    assert all(type(link) is Link for link in found)
    assert list(dagcbor.iter_links([b"bytes", "text", {}])) == []
    assert [bytes(link)[:2] for link in dagcbor.iter_links([LINKS[6]])] == [b"\x01\x70"]
