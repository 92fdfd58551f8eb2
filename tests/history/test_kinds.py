"""Commits, states, directories and documents are told apart by their blocks."""

import json

import pytest

from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.cid import as_link, make_link
from ipldstore.errors import CodecError, InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.history import kinds
from ipldstore.history.kinds import is_commit, is_state, kind_of
from ipldstore.history.state import decode_state
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.decode import decode_directory
from tests.history.theirs import (
    ABSENT,
    COLLECTING,
    CREATED,
    FIRST,
    ONE,
    RAW,
    ROOT,
    SECOND,
    block_of,
    changed,
    link_to,
)
from tests.tree.golden import ROOTS, load

COMMITS = [FIRST, SECOND, FIRST | {"commit": 2, "later": {}}]
MANY = {**CREATED, "branches": {f"b{number:03}": ONE for number in range(300)}}
STATES = [CREATED, COLLECTING, MANY, CREATED | {"repository": 2, "a later field": {}}]


@pytest.mark.parametrize("value", COMMITS)
def test_commits(value):
    _, data = block_of(value)
    assert is_commit(data)
    assert not is_state(data)


@pytest.mark.parametrize("value", STATES)
def test_states(value):
    _, data = block_of(value)
    assert is_state(data)
    assert not is_commit(data)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "repository nonce commit root",
        [CREATED],
        {"a": CREATED, "b": FIRST},
        {"commit": RAW, "root": RAW, "repository": RAW, "nonce": RAW},
        {"commit": {"0": RAW}, "root": ROOT, "repository": {"0": RAW}, "nonce": ROOT},
        changed(CREATED, nonce=ABSENT),
        changed(CREATED, repository=True),
        changed(CREATED, repository=1.0),
        changed(CREATED, nonce=RAW),
        changed(FIRST, root=ABSENT),
        changed(FIRST, root=bytes(ROOT)),
        changed(FIRST, commit="1"),
    ],
)
def test_neither(value):
    _, data = block_of(value)
    assert not is_state(data)
    assert not is_commit(data)


def test_what_is_both_is_refused():
    link, data = block_of(FIRST | CREATED)
    assert is_state(data)
    assert not is_commit(data)
    with pytest.raises(InvalidNodeError, match="is no field of it"):
        decode_state(link, data)


def test_malformed_and_long_blocks_are_neither():
    for value in (FIRST, CREATED):
        _, data = block_of(value)
        for size in range(len(data)):
            assert not is_commit(data[:size])
            assert not is_state(data[:size])
        assert not is_commit(data + b"\0")
        assert not is_state(data + b"\0")
    assert not is_commit(dagcbor.encode({"commit": 1, "root": link_to(ROOT), "x": "x" * 262_144}))
    assert not is_state(dagcbor.encode({"repository": 1, "nonce": b"", "x": "x" * 1_048_576}))


def test_directories_are_not_decoded_to_tell(monkeypatch):
    def decode(data):
        raise AssertionError(data)

    _, data = block_of({f"{number}": RAW for number in range(99)} | {"repository": {"0": RAW}})
    monkeypatch.setattr(kinds.dagcbor, "decode", decode)
    assert not is_state(data)
    assert not is_commit(data)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *((value, f"it is a commit, of the hierarchy {ROOT}") for value in COMMITS),
        *((value, "it is the state of a repository, whose branches") for value in STATES),
    ],
)
def test_neither_is_a_directory(value, message):
    link, data = block_of(value)
    for root in (True, False):
        with pytest.raises(InvalidNodeError, match=f"^block {link} holds no directory: {message}"):
            decode_directory(link, data, root=root)
    backend = MappingCAStore()
    backend.put_raw(data, "dag-cbor")
    with pytest.raises(InvalidNodeError, match=message):
        list(Hierarchy(backend, root=link))
    above = as_link(backend.put_raw(dagcbor.encode({"a": link}), "dag-cbor"))
    with pytest.raises(InvalidNodeError, match=message):
        Hierarchy(backend, root=above).get("a/0")


@pytest.mark.parametrize("fields", [{"nonce": ABSENT}, {"repository": "1"}, {"nonce": "1"}])
def test_what_is_nearly_a_state_is_no_directory(fields):
    link, data = block_of(changed(CREATED, **fields))
    with pytest.raises(InvalidNodeError, match="holds no directory: "):
        decode_directory(link, data, root=True)


@pytest.mark.parametrize("name", ROOTS)
def test_roots_of_version_0_1_are_directories(name):
    store = Hierarchy.from_car(load(name))
    root = as_link(store.root_cid)
    data = store.backend.get_block(root)
    assert not is_state(data)
    assert not is_commit(data)
    assert kind_of(dagcbor.decode(data) if data[0] >> 5 == 5 else {}) is None
    decode_directory(root, data, root=True)


def test_directories_with_the_names_of_fields():
    store = Hierarchy()
    content = {f"{name}/0": b"chunk" for name in (*FIRST, *COLLECTING)}
    store.update(content)
    root = as_link(store.freeze())
    data = store.backend.get_block(root)
    assert not is_state(data)
    assert not is_commit(data)
    assert dict(Hierarchy(store.backend, root=root)) == content


@pytest.mark.parametrize(
    "document",
    [
        {"commit": 1, "root": str(ROOT), "parents": [], "text": "x" * 9000},
        {"repository": 1, "nonce": "x" * 16, "branches": {}, "text": "x" * 9000},
    ],
)
def test_documents_are_neither(document):
    """A large document stands in a block of its own, and may hold any name and integer."""
    store = Hierarchy()
    store[".zattrs"] = json.dumps(document).encode()
    store.freeze()
    data = dagcbor.encode(document)
    assert store.backend.has(make_link(data, "dag-cbor"))
    assert not is_state(data)
    assert not is_commit(data)
    assert json.loads(store[".zattrs"]) == document


def test_what_is_no_dag_cbor_is_neither():
    data = b"\xffjrepositoryenoncefcommitdroot"
    with pytest.raises(CodecError):
        dagcbor.decode(data)
    assert not is_state(data)
    assert not is_commit(data)
