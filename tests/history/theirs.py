"""Commits and states as the packages dag-cbor and multiformats write them."""

from __future__ import annotations

import dag_cbor
from hypothesis import strategies as st
from multiformats import CID, multihash

from ipldstore.cid import Link


def cid_of(data, codec="dag-cbor", function="sha2-256"):
    return CID("base32", 1, codec, multihash.digest(data, function))


def link_to(cid):
    return Link(bytes(cid))


def block_of(value):
    """Return the CID of a block, as ours, and its bytes."""
    data = dag_cbor.encode(value)
    return link_to(cid_of(data)), data


ROOT = CID.decode("bafyreidn66mk3fktszrfwayonvpq6y3agtnb5e5o22ivof5tgikbxt7k6u")
RAW = cid_of(b"chunk", "raw")
V0 = CID.decode("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn")
ONE, TWO, THREE = (cid_of(b"%d" % number) for number in range(3))
TIME = 1_767_614_400_000_000
"""Noon of 5 January 2026, UTC."""

FIRST = {
    "commit": 1,
    "root": ROOT,
    "parents": [],
    "generation": 1,
    "time": TIME,
    "author": "Ada",
    "message": "first",
}
FIRST_CID = CID.decode("bafyreiaf67onh5xn73ebq6c236ql7sulrqq5wnnm2w2vdmw7k3dgex6g5m")

SECOND = {
    **FIRST,
    "parents": [FIRST_CID],
    "generation": 2,
    "time": TIME + 1_500_000,
    "message": "más",
    "metadata": {"doi": "10.5/x", "n": [1, None, -0.5, b"\0"]},
    "signature": b"\1\2",
}
SECOND_CID = CID.decode("bafyreifab2agma7jd3d34kehwu4w3zgaveygz25wjmwjpjiqu7hob6vu3u")

CREATED = {
    "repository": 1,
    "branches": {"main": FIRST_CID},
    "tags": {},
    "default": "main",
    "shallow": [],
    "operation": {"kind": "commit", "ref": "main", "to": FIRST_CID, "time": TIME},
    "nonce": bytes(range(16)),
    "collected": 0,
}
CREATED_CID = CID.decode("bafyreiexlnnbge77bpkr7gqk4v2k5uw3j7m4xw7v4ixbnvvfyqidrdof3e")

COLLECTING = {
    "repository": 1,
    "branches": {"main": SECOND_CID, "b/ü": FIRST_CID},
    "tags": {"v1": FIRST_CID},
    "default": "main",
    "shallow": [FIRST_CID, SECOND_CID],
    "operation": {"kind": "collect", "time": TIME},
    "nonce": bytes(range(16, 32)),
    "previous": str(CREATED_CID),
    "collecting": "mark",
    "collected": 3,
}
COLLECTING_CID = CID.decode("bafyreicdqn2b3nqzxxrvp4v7onalplsqfurbg76lmqstx5ghea3frfuipm")

ABSENT = object()

SAMPLES = {
    type(None): None,
    bool: True,
    int: 7,
    float: 1.5,
    str: "text",
    bytes: b"bytes",
    list: [7],
    dict: {"a": 7},
    CID: RAW,
}


def changed(value, **fields):
    """Return a map with some of its fields changed or left out."""
    return {key: item for key, item in (value | fields).items() if item is not ABSENT}


def other_types(fields):
    """Pair each field with values of all other types, a list and a link with a wrong one too."""
    return [
        (name, sample)
        for name, own in fields.items()
        for kind, sample in SAMPLES.items()
        if kind is not own or own in (list, CID)
    ]


nodes = st.binary(max_size=4).map(cid_of) | st.binary(max_size=4).map(
    lambda data: cid_of(data, "dag-cbor", "sha2-512")
)
times = st.integers(0, 253_402_300_799_999_999)
counts = st.integers(0, 2**63 - 1)
names = st.text("abäz09/._-{}", max_size=12).map(lambda text: f"x{text}x".replace("/", "/y"))
names = names.map(lambda name: name.replace("..", ".").replace("..", ".").replace(".lock", ""))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@st.composite
def commits(draw):
    """Draw a commit as the package dag-cbor takes it."""
    parents = draw(st.lists(nodes, max_size=16, unique=True))
    value = {
        "commit": 1,
        "root": draw(nodes),
        "parents": parents,
        "generation": draw(st.integers(2, 2**63 - 1)) if parents else 1,
        "time": draw(times),
        "author": draw(st.text(max_size=20)),
        "message": draw(st.text(max_size=60)),
        "metadata": draw(st.dictionaries(st.text(max_size=9), values, max_size=3)) or ABSENT,
        "signature": draw(st.just(ABSENT) | st.binary(min_size=1, max_size=40)),
    }
    return changed(value)


@st.composite
def operations(draw):
    value = {"kind": draw(st.text(min_size=1, max_size=20)), "time": draw(times)}
    if draw(st.booleans()):
        value["ref"] = draw(names)
        value["from"], value["to"] = draw(st.tuples(*[st.just(ABSENT) | nodes] * 2))
    return changed(value)


@st.composite
def states(draw):
    """Draw a state as the package dag-cbor takes it."""
    refs = draw(st.dictionaries(names, nodes, max_size=6))
    is_branch = {name: draw(st.booleans()) for name in refs}
    value = {
        "repository": 1,
        "branches": {name: link for name, link in refs.items() if is_branch[name]},
        "tags": {name: link for name, link in refs.items() if not is_branch[name]},
        "default": draw(names),
        "shallow": sorted(draw(st.sets(nodes, max_size=4)), key=bytes),
        "operation": draw(operations()),
        "nonce": draw(st.binary(min_size=16, max_size=16)),
        "collected": draw(counts),
        "previous": draw(st.just(ABSENT) | nodes.map(str)),
        "collecting": draw(st.just(ABSENT) | st.text(min_size=1, max_size=20)),
    }
    return changed(value)
