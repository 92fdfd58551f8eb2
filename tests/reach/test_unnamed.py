"""Tops of DAGs that nothing names, in each kind of block store that lists its blocks."""

import dag_cbor
import pytest

from ipldstore import CARStore, DirectoryCAStore, IPLDStore, MappingCAStore, SQLiteCAStore
from ipldstore import unnamed as unnamed_module
from ipldstore.cid import as_link, to_text
from ipldstore.errors import LimitExceededError
from ipldstore.unnamed import find_roots

KINDS = {
    "folder": lambda folder: DirectoryCAStore(folder / "blocks"),
    "sqlite": lambda folder: SQLiteCAStore(folder / "blocks.sqlite"),
    "car": lambda folder: CARStore(folder / "data.car"),
    "mapping": lambda folder: MappingCAStore(),
}


@pytest.fixture(params=KINDS)
def blocks(request, tmp_path):
    with KINDS[request.param](tmp_path) as blocks:
        yield blocks


def begin(blocks):
    return IPLDStore(blocks, root=blocks.put_raw(b"\xa0", "dag-cbor"))


def freeze(blocks, **values):
    store = begin(blocks)
    store.update(values)
    return as_link(store.freeze())


def put(blocks, value):
    return as_link(blocks.put_raw(dag_cbor.encode(value), "dag-cbor"))


def make_commit(blocks, root, *parents):
    value = {"commit": 1, "root": root, "parents": list(parents)}
    value |= {"generation": len(parents) + 1, "time": 0, "author": "", "message": ""}
    return put(blocks, links_in(value))


def links_in(value):
    """Make links those of the other encoder."""
    from multiformats import CID

    def made(item):
        if isinstance(item, dict):
            return {name: made(one) for name, one in item.items()}
        if isinstance(item, list):
            return [made(one) for one in item]
        return CID.decode(to_text(item)) if type(item).__name__ == "Link" else item

    return made(value)


def make_state(blocks, commit, previous=None):
    value = {"repository": 1, "branches": {"main": commit}, "tags": {}, "default": "main"}
    value |= {"shallow": [], "operation": {"kind": "commit", "time": 0}, "nonce": bytes(16)}
    value |= {"collected": 0} | ({"previous": to_text(previous)} if previous else {})
    return put(blocks, links_in(value))


def found(blocks, *known):
    blocks.flush()
    return {(top.cid, top.kind) for top in find_roots(blocks, known=known)}


def test_tops_only(blocks):
    blocks.put_raw(b"\xa0", "dag-cbor")
    assert found(blocks) == set()
    first, second = freeze(blocks, a=b"1"), freeze(blocks, a=b"2")
    assert found(blocks) == {(first, "hierarchy"), (second, "hierarchy")}
    assert found(blocks, first) == {(second, "hierarchy")}
    commit = make_commit(blocks, first)
    assert found(blocks) == {(commit, "commit"), (second, "hierarchy")}
    later = make_commit(blocks, second, commit)
    assert found(blocks) == {(later, "commit")}
    old = make_state(blocks, commit)
    new = make_state(blocks, later, old)
    assert found(blocks) == {(new, "state")}
    assert found(blocks, new) == set()


def test_large_directory_is_one_top(blocks):
    store = begin(blocks)
    for number in range(8000):
        store[f"a/c/{number}"] = b"x"
    root = as_link(store.freeze())
    assert found(blocks) == {(root, "hierarchy")}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\xa1",
        b"chunk",
        b"{}",
        b"\xbf\xff",
        dag_cbor.encode({"a": 1}),
        b"\xa1\x61a\0",
    ],
)
def test_chunks_are_no_tops(blocks, data):
    blocks.put_raw(data, "raw")
    assert found(blocks) == set()


def test_malformed_history_is_no_top(blocks):
    root = freeze(blocks, a=b"1")
    put(blocks, links_in({"commit": 1, "root": root}))
    put(blocks, {"repository": 1, "nonce": bytes(16)})
    assert found(blocks) == set()


def test_times(tmp_path):
    with DirectoryCAStore(tmp_path / "blocks") as blocks:
        root = freeze(blocks, a=b"1")
        (path,) = (p for p in blocks.path.rglob("*.data") if p.stat().st_size > 20)
        (top,) = find_roots(blocks)
        assert (top.cid, top.time) == (root, path.stat().st_mtime_ns / 1e9)
    memory = MappingCAStore()
    freeze(memory, a=b"1")
    assert [top.time for top in find_roots(memory)] == [None]


def test_damaged_block_is_passed_over(tmp_path):
    with DirectoryCAStore(tmp_path / "blocks") as blocks:
        freeze(blocks, a=b"1")
        for path in blocks.path.rglob("*.data"):
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1] + b"\0")
        assert found(blocks) == set()


def test_limit(monkeypatch):
    monkeypatch.setattr(unnamed_module, "MAX_HELD_KEYS", 3)
    blocks = MappingCAStore()
    roots = [freeze(blocks, a=b"%d" % number) for number in range(4)]
    with pytest.raises(LimitExceededError, match="more than 3 links"):
        found(blocks, *roots)
