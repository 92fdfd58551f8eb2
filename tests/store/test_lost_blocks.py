"""Blocks that go from the block store after they were put or loaded, before the next freeze."""

import pickle
import shutil

import pytest
from small_pages import shrink

from ipldstore import (
    BlockNotFoundError,
    CachingCAStore,
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
    SQLiteCAStore,
    UnionCAStore,
    verify,
)
from ipldstore.cid import as_link, to_text
from ipldstore.limits import MAX_KEPT_LINKS

LONG = {f"a/c/{index}": b"chunk %d" % (index % 7) for index in range(7_000)}
DOCUMENT = b'{"text":"' + b"x" * 9_000 + b'"}'
CONTENT = {
    "zarr.json": b'{"zarr_format":3}',
    "a/zarr.json": DOCUMENT,
    "b/.zattrs": b"{}",
    **{f"b/{index}": b"small %d" % index for index in range(300)},
}


def nodes_of(blocks):
    return {name for name in blocks if name.startswith("bafyrei")}


def fresh_root(content):
    store = IPLDStore()
    store.update(content)
    return store.freeze()


@pytest.fixture(params=["short", "paged"])
def content(request):
    return CONTENT | (LONG if request.param == "paged" else {})


@pytest.fixture
def blocks():
    return {}


@pytest.fixture
def store(content, blocks):
    store = IPLDStore(MappingCAStore(blocks))
    store.update(content)
    store.freeze()
    return store


def test_a_folder_that_was_emptied(tmp_path, content):
    store = IPLDStore(DirectoryCAStore(tmp_path))
    store.update(content)
    root = store.freeze()
    for shard in tmp_path.glob("??"):
        shutil.rmtree(shard)
    store.clear()
    store.update(content)
    assert store.freeze() == root
    assert dict(IPLDStore(DirectoryCAStore(tmp_path), root=root)) == content


def test_going_back_to_what_was_collected(blocks):
    store = IPLDStore(MappingCAStore(blocks))
    store["a/0"] = b"one"
    first = store.freeze()
    store["a/0"] = b"two"
    store.freeze()
    del blocks[str(first)]
    store["a/0"] = b"one"
    assert store.freeze() == first
    assert dict(IPLDStore(MappingCAStore(blocks), root=first)) == {"a/0": b"one"}


def test_a_damaged_root_is_mended_by_freezing_it_again(tmp_path):
    store = IPLDStore(DirectoryCAStore(tmp_path))
    store["a/0"] = b"one"
    root = store.freeze()
    file = next(path for path in tmp_path.glob("??/*.data") if b"one" not in path.read_bytes())
    file.write_bytes(b"damage")
    store["a/0"] = b"x"
    store["a/0"] = b"one"
    assert store.freeze() == root
    assert dict(IPLDStore(DirectoryCAStore(tmp_path), root=root)) == {"a/0": b"one"}


def test_short_directories_that_went_are_put_again(blocks):
    store = IPLDStore(MappingCAStore(blocks))
    store.update(CONTENT)
    root = store.freeze()
    nodes = nodes_of(blocks)
    assert len(nodes) == 3, "the root, b and the document"
    for node in nodes:
        del blocks[node]
    assert store.freeze() == root
    assert nodes_of(blocks) == nodes
    store["new"] = b"value"
    for node in nodes:
        del blocks[node]
    root = store.freeze()
    assert root == fresh_root(CONTENT | {"new": b"value"})
    assert dict(IPLDStore(MappingCAStore(blocks), root=root)) == CONTENT | {"new": b"value"}


def test_each_node_that_went_is_put_again_or_told(store, content, blocks):
    """Pages that were put and are not in memory any more cannot be made again."""
    root = store.root_cid
    told = 0
    for node in sorted(nodes_of(blocks)):
        data = blocks.pop(node)
        try:
            assert store.freeze() == root
            assert blocks[node] == data
        except BlockNotFoundError as error:
            assert node in str(error)
            assert "put it back" in str(error)
            blocks[node] = data
            told += 1
    assert store.freeze() == root
    assert (told > 3) == ("a/c/0" in content)
    assert dict(IPLDStore(MappingCAStore(blocks), root=root)) == content


def test_what_was_loaded_and_went_is_put_again(store, content, blocks):
    root = store.root_cid
    opened = IPLDStore(MappingCAStore(blocks), root=root)
    assert dict(opened) == content
    opened["b/0"] = b"changed"
    before = dict(blocks)
    document = to_text(store.backend.make_cid(*encoded_document()))
    for node in nodes_of(blocks) - {document}:
        del blocks[node]
    changed = content | {"b/0": b"changed"}
    root = opened.freeze()
    assert root == fresh_root(changed)
    assert dict(IPLDStore(MappingCAStore(blocks), root=root)) == changed
    assert len(nodes_of(before) - nodes_of(blocks)) == 2, "the old root, and the old b"


def test_what_was_never_loaded_is_not_asked_for(store, content, blocks):
    opened = IPLDStore(MappingCAStore(blocks), root=store.root_cid)
    document = to_text(store.backend.make_cid(*encoded_document()))
    del blocks[document]
    opened["b/0"] = b"changed"
    opened.freeze()
    assert document not in blocks


def encoded_document():
    import dag_cbor

    return dag_cbor.encode({"text": "x" * 9_000}), "dag-cbor"


def test_a_reader_asks_for_nothing(store, blocks):
    asked = []

    class Asked(MappingCAStore):
        def find_missing(self, cids):
            asked.extend(cids)
            return super().find_missing(cids)

    opened = IPLDStore(Asked(blocks), root=store.root_cid)
    list(opened)
    assert opened.freeze() == store.root_cid
    assert not asked
    opened["new"] = b"value"
    document = to_text(store.backend.make_cid(*encoded_document()))
    directories = nodes_of(blocks) - {document}
    opened.freeze()
    assert {to_text(link) for link in asked if link[1] == 0x71} == directories


def test_a_cache_makes_up_for_its_source(tmp_path):
    source = MappingCAStore({})
    store = IPLDStore(CachingCAStore(source, DirectoryCAStore(tmp_path)), cache_bytes=0)
    store.update(CONTENT)
    root = store.freeze()
    list(store)
    nodes = nodes_of(source.mapping)
    for node in nodes:
        del source.mapping[node]
    assert store.freeze() == root
    assert nodes_of(source.mapping) == nodes


@pytest.mark.parametrize(
    "make", [MappingCAStore, DirectoryCAStore, SQLiteCAStore], ids=lambda make: make.__name__
)
def test_values_that_went_before_they_were_frozen(make, tmp_path, monkeypatch):
    backend = make(*({MappingCAStore: [], SQLiteCAStore: [tmp_path / "x"]}.get(make, [tmp_path])))
    store = IPLDStore(backend)
    for index in range(100):
        store[f"a/{index}"] = b"value %d" % index
    store["b"] = store["c"] = b"overwritten"
    store["b"] = store["c"] = b"kept"
    gone = {backend.make_cid(b"value %d" % index, "raw") for index in range(1, 100)}
    gone.add(backend.make_cid(b"overwritten", "raw"))
    found = type(backend).find_missing
    monkeypatch.setattr(
        type(backend), "find_missing", lambda self, cids: found(self, cids) | (gone & set(cids))
    )
    keys = "'a/1', 'a/10', 'a/11', 'a/12', 'a/13' and 22 more; write all again"
    with pytest.raises(BlockNotFoundError, match=f"looked for: {keys}"):
        store.freeze()
    assert store.root_cid is None
    gone.clear()
    assert store.freeze() == store.root_cid


def test_values_that_went_are_written_again(tmp_path):
    store = IPLDStore(DirectoryCAStore(tmp_path))
    store["a/0"] = b"value"
    for shard in tmp_path.glob("??"):
        shutil.rmtree(shard)
    with pytest.raises(BlockNotFoundError, match="looked for: 'a/0'; write"):
        store.freeze()
    store["a/0"] = b"value"
    root = store.freeze()
    assert dict(IPLDStore(DirectoryCAStore(tmp_path), root=root)) == {"a/0": b"value"}


def test_what_is_remembered_is_bounded():
    store = IPLDStore()
    for index in range(3_000):
        store["a"] = b"%d" % index
        store.freeze()
    assert len(store.reader.tree._kept.links) <= 1025
    kept = store.reader.tree._kept
    for index in range(MAX_KEPT_LINKS + 10):
        kept.add(as_link(b"\x01\x71\x12\x20" + index.to_bytes(32, "big")))
    assert MAX_KEPT_LINKS // 2 <= len(kept.links) <= MAX_KEPT_LINKS


def test_an_event_loop_may_freeze(blocks):
    """A store on a network may run a loop of its own to ask."""
    import asyncio

    class Networked(MappingCAStore):
        inline_limit = 0

        def __init__(self):
            super().__init__(blocks)
            self.inline_limit = 0

        def find_missing(self, cids):
            return asyncio.run(self._find(list(cids)))

        async def _find(self, cids):
            return super().find_missing(cids)

    async def freeze_twice():
        store = IPLDStore(Networked())
        store["a/0"] = b"value"
        store.freeze()
        blocks.clear()
        store["a/0"] = b"other"
        return store.freeze()

    root = asyncio.run(freeze_twice())
    assert dict(IPLDStore(MappingCAStore(blocks), root=root)) == {"a/0": b"other"}


def test_values_that_went_with_their_directories(blocks):
    """Directories are made again; that the values are gone too is said each time."""
    store = IPLDStore(MappingCAStore(blocks))
    store.update({f"a/{index}": b"%d" % index for index in range(300)})
    root = store.freeze()
    kept = dict(blocks)
    blocks.clear()
    for _ in range(2):
        with pytest.raises(BlockNotFoundError, match="the values cannot be"):
            store.freeze()
    blocks.update({name: data for name, data in kept.items() if name.startswith("bafkrei")})
    assert store.freeze() == root
    assert blocks == kept


def other_work(store):
    """Ways in which a tree is frozen or exchanged that nobody is told of."""
    return {
        "fork": store.fork,
        "pickle": lambda: pickle.dumps(store),
        "merge": lambda: merge_one(store),
    }


def merge_one(store):
    fork = store.fork()
    fork["merged"] = b"in a fork"
    store.merge(fork)


@pytest.mark.parametrize("work", ["fork", "pickle", "merge"])
def test_values_are_looked_for_after_other_work(work, blocks):
    store = IPLDStore(MappingCAStore(blocks))
    store["a/0"] = b"one"
    other_work(store)[work]()
    for name in [name for name in blocks if name.startswith("bafkrei")]:
        del blocks[name]
    with pytest.raises(BlockNotFoundError, match="write all again"):
        store.freeze()


def test_a_fork_loses_a_value_before_it_is_merged(blocks):
    store = IPLDStore(MappingCAStore(blocks))
    fork = store.fork()
    for index in range(5):
        fork[f"v/{index}"] = b"value %d" % index
    del blocks[str(store.backend.make_cid(b"value 3", "raw"))]
    store.merge(fork)
    with pytest.raises(BlockNotFoundError, match="looked for: 'v/3'"):
        store.freeze()


def test_nodes_are_looked_for_after_a_merge(blocks):
    store = IPLDStore(MappingCAStore(blocks))
    store.update(CONTENT)
    store.freeze()
    merge_one(store)
    lost = next(name for name in nodes_of(blocks) if len(blocks[name]) > 10_000)
    data = blocks.pop(lost)
    with pytest.raises(BlockNotFoundError, match=lost):
        store.freeze()
    blocks[lost] = data
    assert verify(store.freeze(), store.backend).ok


def test_a_loss_that_was_told_is_not_forgotten(blocks):
    """Two nodes went, one that can be made again and one that cannot; that one comes back."""
    store = IPLDStore(MappingCAStore(blocks))
    store.update(LONG | CONTENT)
    root = store.freeze()
    page = max(nodes_of(blocks), key=lambda name: len(blocks[name]))
    other = next(name for name in nodes_of(blocks) if 10_000 < len(blocks[name]) < 20_000)
    data = blocks.pop(page)
    del blocks[other]
    with pytest.raises(BlockNotFoundError, match=page):
        store.freeze()
    blocks[page] = data
    assert store.freeze() == root
    assert verify(root, store.backend).ok


def test_a_loss_after_reading_what_is_not_canonical(blocks):
    """What is read marks its path as to be rewritten, and names its old block no more."""
    backend = MappingCAStore(blocks)
    leaf = backend.put(b"v")
    small = backend.put({"0": leaf})
    large = backend.put({**{f"{index}": leaf for index in range(300)}, "s": small})
    opened = IPLDStore(backend, root=backend.put({"d": large, "e": leaf}))
    opened["e"] = b"w"
    root = opened.freeze()
    assert opened["d/s/0"] == b"v"
    blocks.pop(str(large), None)
    found = opened.freeze()
    assert verify(found, backend).ok
    assert dict(IPLDStore(backend, root=found)) == dict(opened)
    assert root != found, "it is in the canonical form now"


@pytest.mark.parametrize("cache_bytes", [0, 64 << 20])
def test_each_node_of_lists_of_pages_that_went(cache_bytes, blocks, monkeypatch):
    """Also those that were dropped from memory, below others that were."""
    shrink(monkeypatch)
    store = IPLDStore(MappingCAStore(blocks), cache_bytes=cache_bytes)
    content = {f"a/b/{index}": b"%d" % (index % 9) for index in range(150)} | {"f": b"1"}
    store.update(content)
    root = store.freeze()
    for lost in sorted(nodes_of(blocks)):
        opened = IPLDStore(MappingCAStore(dict(blocks)), root=root, cache_bytes=cache_bytes)
        assert dict(opened) == content
        opened["f"] = b"2"
        opened.backend.mapping.pop(lost)
        try:
            found = opened.freeze()
        except BlockNotFoundError as error:
            assert lost in str(error)
            continue
        assert verify(found, opened.backend).ok, lost


def test_stores_as_one_are_asked_once(blocks):
    asked = []

    class Asked(MappingCAStore):
        def find_missing(self, cids):
            asked.append(len(set(cids)))
            return super().find_missing(cids)

    union = UnionCAStore(Asked(blocks), Asked({}))
    store = IPLDStore(union)
    store.update(CONTENT)
    store.freeze()
    asked.clear()
    store["b/1"] = b"new"
    store.freeze()
    assert len(asked) == 2, "the value and the nodes"
