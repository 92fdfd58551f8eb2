"""Commits against the package dag-cbor, and against blocks that are none."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import dag_cbor
import pytest
from examples import examples
from hypothesis import given, settings

from ipldstore.cid import Link, make_link
from ipldstore.errors import CodecError, InvalidNodeError
from ipldstore.history.commit import Commit, decode_commit
from tests.history.theirs import (
    ABSENT,
    CID,
    FIRST,
    FIRST_CID,
    ONE,
    RAW,
    ROOT,
    SECOND,
    SECOND_CID,
    THREE,
    TIME,
    TWO,
    V0,
    block_of,
    changed,
    cid_of,
    commits,
    link_to,
    other_types,
)

# As in docs/format.md.
FIRST_BLOCK = bytes.fromhex(
    "a764726f6f74d82a582500017112206df798ad955396625b030e6d5f0f636034da1e93aed6915717b332141bcfea"
    "f56474696d651b000647a2cc69700066617574686f726341646166636f6d6d697401676d65737361676565666972"
    "737467706172656e7473806a67656e65726174696f6e01"
)
SECOND_BLOCK = bytes.fromhex(
    "a964726f6f74d82a582500017112206df798ad955396625b030e6d5f0f636034da1e93aed6915717b332141bcfea"
    "f56474696d651b000647a2cc80536066617574686f726341646166636f6d6d697401676d657373616765646dc3a1"
    "7367706172656e747381d82a5825000171122005f7dcd3f6edfec818785adfa0bfca8b8c21db35acd5b551b2df56"
    "c6625fc6eb686d65746164617461a2616e8401f6fbbfe0000000000000410063646f696631302e352f7869736967"
    "6e61747572654201026a67656e65726174696f6e02"
)


def as_ours(value):
    """Make a commit of what the package dag-cbor takes."""
    fields = {name: item for name, item in value.items() if name != "commit"}
    return Commit(**fields | {"root": link_to(value["root"]), "parents": links(value["parents"])})


def links(cids):
    return tuple(link_to(cid) for cid in cids)


first = as_ours(FIRST)


@pytest.mark.parametrize(
    ("value", "block", "cid"),
    [(FIRST, FIRST_BLOCK, FIRST_CID), (SECOND, SECOND_BLOCK, SECOND_CID)],
)
def test_golden_blocks(value, block, cid):
    assert dag_cbor.encode(value) == block
    assert cid_of(block) == cid
    assert as_ours(value).encode() == block
    assert make_link(block, "dag-cbor") == bytes(cid)
    assert decode_commit(link_to(cid), block) == as_ours(value)


def test_what_is_read():
    commit = decode_commit(link_to(SECOND_CID), SECOND_BLOCK)
    assert commit.root == bytes(ROOT)
    assert commit.parents == (bytes(FIRST_CID),)
    assert commit.generation == 2
    assert commit.time == TIME + 1_500_000
    assert commit.author == "Ada"
    assert commit.message == "más"
    assert commit.metadata == {"doi": "10.5/x", "n": [1, None, -0.5, b"\0"]}
    assert commit.signature == b"\1\2"
    assert first.metadata == {}
    assert first.signature is None


@given(commits())
@settings(deadline=None, max_examples=examples(100))
def test_both_encode_the_same_bytes(value):
    link, data = block_of(value)
    ours = as_ours(value)
    assert ours.encode() == data
    decoded = decode_commit(link, data)
    assert decoded == ours
    assert hash(decoded) == hash(ours)
    assert decoded.encode() == data


LONGEST = {
    "parents": [cid_of(b"%d" % number) for number in range(16)],
    "generation": 2**63 - 1,
    "time": 253_402_300_799_999_999,
    "author": "é" * 512,
    "message": "é" * (1 << 15),
    "metadata": {"": "x" * ((64 << 10) - 5)},
    "signature": bytes(64 << 10),
}


def test_the_longest_there_may_be():
    link, data = block_of(FIRST | LONGEST)
    assert decode_commit(link, data).encode() == data


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"commit": ABSENT}, "commit is missing"),
        ({"commit": 2}, "commit is 2, expected 1"),
        ({"commit": 2, "later": True}, "commit is 2, expected 1"),
        ({"commit": True}, "commit is a boolean, expected an integer"),
        ({"root": ABSENT}, "root is missing"),
        ({"parents": ABSENT}, "parents is missing"),
        ({"generation": ABSENT}, "generation is missing"),
        ({"time": ABSENT}, "time is missing"),
        ({"author": ABSENT}, "author is missing"),
        ({"message": ABSENT}, "message is missing"),
        ({"later": 1}, "'later' is no field of it"),
        ({"x" * 1000: 1}, f"{'x' * 100!r} is no field of it"),
        ({"signature": None}, "signature is null"),
        ({"root": RAW}, f"root is {RAW}, expected a CIDv1 of codec dag-cbor"),
        ({"root": V0}, "root is bafybei.*, expected a CIDv1 of codec dag-cbor"),
        ({"root": str(ROOT)}, "root is text, expected a link"),
        ({"root": bytes(ROOT)}, "root is bytes, expected a link"),
        ({"parents": [RAW]}, f"a parent is {RAW}, expected a CIDv1 of codec dag-cbor"),
        ({"parents": [str(ONE)]}, "a parent is text, expected a link"),
        ({"parents": [{}]}, "a parent is a map, expected a link"),
        ({"parents": [ONE, TWO, ONE], "generation": 2}, f"parent {ONE} is repeated"),
        (
            {"parents": [cid_of(b"%d" % number) for number in range(17)], "generation": 2},
            "17 parents, at most 16",
        ),
        ({"generation": 0}, "generation is 0, expected 1"),
        ({"generation": -1}, "generation is -1, expected 1"),
        ({"generation": 2}, "generation is 2, expected 1"),
        ({"parents": [ONE]}, "generation is 1, expected 2 to 9223372036854775807"),
        ({"parents": [ONE], "generation": 2**63}, "generation is 9223372036854775808, expected"),
        ({"time": -1}, "time is -1, expected 0 to 253402300799999999"),
        ({"time": 253_402_300_800_000_000}, "time is 253402300800000000, expected"),
        ({"author": "é" * 512 + "x"}, "author has 1025 bytes, at most 1024"),
        ({"message": "é" * 32768 + "x"}, "message has 65537 bytes, at most 65536"),
        ({"metadata": {}}, "metadata is empty, expected to be absent then"),
        ({"metadata": {"": "x" * ((64 << 10) - 4)}}, "metadata has 65537 bytes, at most 65536"),
        ({"metadata": {"a": [{"b": THREE}]}}, f"metadata holds a link, {THREE}"),
        ({"signature": b""}, "signature has 0 bytes, at least 1"),
        ({"signature": bytes(65537)}, "signature has 65537 bytes, at most 65536"),
        ({"later": bytes(256 << 10)}, "it has .* bytes, at most 262144"),
    ],
)
def test_refused_commits(fields, message):
    link, data = block_of(changed(FIRST, **fields))
    with pytest.raises(InvalidNodeError, match=f"^block {link} holds no commit: {message}"):
        decode_commit(link, data)


TYPES = {
    "commit": int,
    "root": CID,
    "parents": list,
    "generation": int,
    "time": int,
    "author": str,
    "message": str,
    "metadata": dict,
    "signature": bytes,
}


@pytest.mark.parametrize(("name", "sample"), other_types(TYPES), ids=repr)
def test_a_field_of_another_type_is_refused(name, sample):
    link, data = block_of(SECOND | {name: sample})
    with pytest.raises(InvalidNodeError, match=f"holds no commit: .*{name.removesuffix('s')}"):
        decode_commit(link, data)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b"fcommit\x01", b"fcommit\x18\x01", "not minimal"),
        (b"\x84\x01", b"\x9f\x01", "indefinite"),
        (b"\xfb\xbf\xe0\0\0\0\0\0\0", b"\xfb\x7f\xf8\0\0\0\0\0\0", "not finite"),
        (b"\xfb\xbf\xe0\0\0\0\0\0\0", b"\xfb\x7f\xf0\0\0\0\0\0\0", "not finite"),
        (b"\xfb\xbf\xe0\0\0\0\0\0\0", b"\xf9\xb8\0", "64-bit float"),
        (b"fauthorcAdafcommit\x01", b"fcommit\x01fauthorcAda", "out of order"),
        (b"gmessage", b"gparents", "repeated or out of order"),
        (b"cAda", b"c\xff\xfe\xfd", "not UTF-8"),
        (b"jgeneration\x02", b"jgeneration\x02\x00", "1 trailing bytes"),
        (b"\xd8\x2a\x58\x25\x00\x01\x71", b"\xd8\x2b\x58\x25\x00\x01\x71", "tag 43"),
    ],
)
def test_what_is_not_canonical_is_refused(before, after, message):
    assert before in SECOND_BLOCK
    data = SECOND_BLOCK.replace(before, after, 1)
    link = make_link(data, "dag-cbor")
    with pytest.raises(InvalidNodeError, match=f"^block {link} holds no commit: .*{message}"):
        decode_commit(link, data)


def test_every_cut_is_refused():
    for size in range(len(SECOND_BLOCK)):
        data = SECOND_BLOCK[:size]
        with pytest.raises(InvalidNodeError):
            decode_commit(make_link(data, "dag-cbor"), data)


@pytest.mark.parametrize("value", [[FIRST], [], "commit", 1, None, {}])
def test_what_is_no_map_of_a_commit(value):
    link, data = block_of(value)
    with pytest.raises(InvalidNodeError, match=r"expected a map|commit is missing"):
        decode_commit(link, data)


def test_blocks_of_another_codec():
    link = make_link(FIRST_BLOCK, "raw")
    with pytest.raises(InvalidNodeError, match=r"its codec is 0x55, expected 0x71 \(dag-cbor\)"):
        decode_commit(link, FIRST_BLOCK)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"root": bytes(ROOT)}, InvalidNodeError, "root is bytes, expected a link"),
        ({"parents": ["main"]}, InvalidNodeError, "a parent is text, expected a link"),
        ({"time": 1.5}, InvalidNodeError, "time is a float, expected an integer"),
        ({"author": None}, InvalidNodeError, "author is null, expected text"),
        ({"author": "\ud800"}, InvalidNodeError, "author holds a lone surrogate"),
        ({"message": b"first"}, InvalidNodeError, "message is bytes, expected text"),
        ({"metadata": [1]}, InvalidNodeError, "metadata is a list, expected a map"),
        ({"metadata": None}, InvalidNodeError, "metadata is null, expected a map"),
        ({"metadata": {"a": link_to(ONE)}}, InvalidNodeError, "metadata holds a link"),
        ({"metadata": {"a": (link_to(ONE),)}}, InvalidNodeError, "metadata holds a link"),
        ({"metadata": {"a": float("nan")}}, CodecError, "not finite"),
        ({"metadata": {"a": {1}}}, CodecError, "no form for set"),
        ({"metadata": {1: "a"}}, CodecError, "key 1 is not text"),
        ({"signature": link_to(ONE)}, InvalidNodeError, "signature is a link, expected bytes"),
    ],
)
def test_commits_that_are_not_made(fields, error, message):
    with pytest.raises(error, match=message):
        replace(first, **fields)


def test_metadata_nests_within_the_limit_of_blocks():
    def nested(levels):
        value = 0
        for _ in range(levels):
            value = {"a": value}
        return value

    commit = replace(first, metadata=nested(63))
    assert decode_commit(link_to(FIRST_CID), commit.encode()) == commit
    with pytest.raises(CodecError, match="64 levels"):
        replace(first, metadata=nested(64))


def test_a_commit_does_not_change():
    given_metadata = {"a": [1]}
    commit = replace(first, metadata=given_metadata)
    block = commit.encode()
    given_metadata["a"].append(2)
    assert commit.metadata == {"a": [1]}
    with pytest.raises(FrozenInstanceError):
        commit.author = "Bob"
    with pytest.raises(TypeError):
        commit.metadata["b"] = 1
    assert commit.encode() == block


def test_equal_commits_are_one_block():
    assert replace(first, parents=[]) == first
    assert replace(first, metadata={"a": (1,)}) == replace(first, metadata={"a": [1]})
    different = [replace(first, metadata={"a": value}) for value in (1, True, 1.0, 0, -0.0, 0.0)]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_copies(protocol):
    commit = decode_commit(link_to(SECOND_CID), SECOND_BLOCK)
    for again in (pickle.loads(pickle.dumps(commit, protocol)), copy.deepcopy(commit)):
        assert again == commit
        assert again.metadata == commit.metadata
        assert type(again.root) is Link
