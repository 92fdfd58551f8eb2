"""The store as an object: equality, views, threads, and backends that fail."""

import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

import pytest
from format_model import expected_root
from multiformats import CID
from watched import BareStore, FailingStore

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    ContentAddressableStore,
    CorruptBlockError,
    DirectoryCAStore,
    InvalidCIDError,
    IPLDStore,
    MappingCAStore,
    ReadOnlyStoreError,
)

CONTENT = {"a/0": b"zero", "a/1": b"one", "a/.zattrs": b'{"b":1}', "b": b""}
MISSING = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"

WRITES = {
    "set": lambda store: store.__setitem__("new", b""),
    "delete": lambda store: store.__delitem__("b"),
    "pop": lambda store: store.pop("b"),
    "clear": lambda store: store.clear(),
    "update": lambda store: store.update({"new": b""}),
    "set_root": lambda store: store.set_root(store.root_cid),
    "import_car": lambda store: store.import_car(store.to_car()),
    "normalize": lambda store: store.normalize(),
}


@pytest.fixture
def store():
    store = IPLDStore()
    store.update(CONTENT)
    return store


def test_a_store_without_a_backend_keeps_its_blocks_in_a_dict(store):
    assert type(store.backend) is MappingCAStore
    store.freeze()
    assert store.backend.mapping.keys() >= {str(store.root_cid)}
    assert IPLDStore().backend != store.backend


@pytest.mark.parametrize("backend", [{}, "blocks", object()])
def test_a_backend_is_a_block_store(backend):
    with pytest.raises(TypeError, match="ContentAddressableStore"):
        IPLDStore(backend)


def test_root_cid_is_none_while_changes_are_not_frozen(store):
    assert store.root_cid is None
    root = store.freeze()
    assert isinstance(root, CID)
    assert str(root) == str(store.root_cid) == expected_root(CONTENT)
    store["b"] = b"x"
    assert store.root_cid is None
    store["b"] = b""
    assert store.root_cid is None
    assert store.freeze() == root
    del store["b"]
    assert store.root_cid is None
    store.freeze()
    store.clear()
    assert store.root_cid is None


def test_equality(store):
    assert store == store
    other = IPLDStore(store.backend)
    assert store != other
    other.update(CONTENT)
    assert store == other
    store.freeze()
    assert store == other
    other.freeze()
    assert store == other
    other["b"] = b"x"
    assert store != other
    assert store != CONTENT
    assert store != dict(store)
    assert dict(store) == CONTENT
    assert store != None  # noqa: E711
    elsewhere = IPLDStore()
    elsewhere.update(CONTENT)
    assert elsewhere != store
    assert elsewhere.freeze() == store.freeze()
    assert elsewhere != store
    assert dict(elsewhere) == dict(store)


def test_equality_of_folders(tmp_path):
    stores = [IPLDStore(DirectoryCAStore(tmp_path)) for _ in range(2)]
    for store in stores:
        store.update(CONTENT)
    assert stores[0] == stores[1]


def test_hash_is_by_identity(store):
    view = store.with_read_only(False)
    assert view == store
    assert hash(store) != hash(view)
    assert len({store, view, store}) == 2


def test_repr_is_short_and_says_the_root(store):
    assert repr(store) == "<IPLDStore not frozen on MappingCAStore(dict)>"
    root = store.freeze()
    assert repr(store) == f"<IPLDStore {root} on MappingCAStore(dict)>"
    assert repr(store.with_read_only(True)).endswith(", read-only>")
    assert str(store) == repr(store)


def test_dask_token(store):
    first = store.__dask_tokenize__()
    assert first != store.__dask_tokenize__(), "fresh while there are changes"
    root = store.freeze()
    frozen = store.__dask_tokenize__()
    assert frozen == store.__dask_tokenize__()
    assert str(root) in frozen
    assert IPLDStore(store.backend, root=root).__dask_tokenize__() == frozen
    store["b"] = b"x"
    assert store.__dask_tokenize__() != frozen
    store["b"] = b""
    store.freeze()
    assert store.__dask_tokenize__() == frozen


@pytest.mark.parametrize(
    "spell", [str, bytes, lambda root: root, lambda root: root.set(base="base36")]
)
def test_roots_are_taken_in_any_form(store, spell):
    root = spell(store.freeze())
    assert dict(IPLDStore(store.backend, root=root).items()) == CONTENT
    other = IPLDStore(store.backend)
    other["x"] = b"gone"
    other.set_root(root, discard=True)
    assert dict(other.items()) == CONTENT
    assert str(other.root_cid) == expected_root(CONTENT)


@pytest.mark.parametrize(
    ("root", "error"),
    [
        ("", InvalidCIDError),
        ("bafyfake", InvalidCIDError),
        (b"\x01\x71", InvalidCIDError),
        (MISSING, BlockNotFoundError),
        (None, TypeError),
        (7, TypeError),
    ],
)
def test_a_bad_root_leaves_the_store_as_it_was(store, root, error):
    for frozen in (False, True):
        if frozen:
            store.freeze()
        before = store.root_cid
        with pytest.raises(error):
            store.set_root(root)
        assert store.root_cid == before
        assert dict(store.items()) == CONTENT


def test_a_corrupt_root_leaves_the_store_as_it_was(store):
    root = store.freeze()
    store.backend.mapping[MISSING] = b"not this"
    with pytest.raises(CorruptBlockError, match=MISSING):
        store.set_root(MISSING)
    assert store.root_cid == root


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_read_only_views_refuse_every_write(store, write):
    root = store.freeze()
    views = [
        store.with_read_only(True),
        IPLDStore(store.backend, root=root, read_only=True),
        pickle.loads(pickle.dumps(store.with_read_only(True))),
    ]
    for view in views:
        assert view.read_only
        with pytest.raises(ReadOnlyStoreError, match="read-only"):
            write(view)
        assert dict(view.items()) == CONTENT
        assert view.root_cid == store.root_cid == root
        assert view.freeze() == root


def test_views_share_the_hierarchy(store):
    view = store.with_read_only(True)
    assert not store.read_only
    store["new"] = b"seen"
    assert view["new"] == b"seen"
    writable = view.with_read_only(False)
    writable["new"] = b"changed"
    assert store["new"] == view["new"] == b"changed"
    assert view == store == writable


@pytest.mark.parametrize("make_backend", [MappingCAStore, BareStore])
def test_threads_may_write_at_once(make_backend):
    store = IPLDStore(make_backend())
    start = Barrier(8)

    def write(part):
        start.wait()
        for index in range(200):
            store[f"shared/{part}.{index}"] = b"%d" % index
            store[f"own/{part}/{index}"] = b"%d" % index
            if index % 50 == 0:
                store.freeze()
                assert store[f"own/{part}/{index}"] == b"%d" % index
                list(store)
            if index % 2:
                del store[f"own/{part}/{index}"]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    content = {f"shared/{part}.{n}": b"%d" % n for part in range(8) for n in range(200)}
    content |= {f"own/{part}/{n}": b"%d" % n for part in range(8) for n in range(0, 200, 2)}
    assert dict(store.items()) == content
    assert str(store.freeze()) == expected_root(content)


def test_a_failed_write_changes_nothing():
    store = IPLDStore(FailingStore())
    store.update(CONTENT)
    root = store.freeze()
    store.backend.puts_left = 0
    for key in ("a/0", "new", "deep/er/new"):
        with pytest.raises(BackendError, match="no space left") as caught:
            store[key] = b"changed"
        assert caught.value.retryable
    assert store.root_cid == root
    assert dict(store.items()) == CONTENT
    assert store.freeze() == root


@pytest.mark.parametrize("puts_left", range(8))
def test_a_failed_freeze_keeps_the_changes(puts_left):
    """Four directories that are blocks of their own, one document, and pages: nine puts."""
    content = {f"d{part}/{index}": b"v" for part in range(4) for index in range(200)}
    content |= {f"paged/{index}": b"v" for index in range(6_000)}
    content["a/.zattrs"] = b'{"a":"' + b"x" * 9_000 + b'"}'
    store = IPLDStore(FailingStore())
    store.update(content)
    store.backend.puts_left = puts_left
    for _ in range(2):
        with pytest.raises(BackendError, match="no space left"):
            store.freeze()
        assert store.root_cid is None
        assert len(store) == len(content)
        assert store["d3/199"] == b"v"
        store.backend.puts_left = 0
    store.backend.puts_left = None
    store["d1/7"] = content["d1/7"] = b"new"
    root = store.freeze()
    fresh = IPLDStore(store.backend)
    fresh.update(content)
    assert fresh.freeze() == root
    assert dict(IPLDStore(store.backend, root=root).items()) == content


def test_an_unreachable_backend_raises_and_never_says_missing(store):
    backend = FailingStore()
    backend.mapping.update(store.backend.mapping)
    for index in range(300):
        store[f"big/{index}"] = b"v"
    backend.mapping.update(store.backend.mapping)
    root = store.freeze()
    backend.mapping.update(store.backend.mapping)
    far = IPLDStore(backend, root=root)
    backend.gets_fail = True
    for use in (
        lambda: far["a/0"],
        lambda: far.get("a/0"),
        lambda: far["big/0"],
        lambda: "big/0" in far,
        lambda: list(far),
        lambda: far.__setitem__("big/0", b"x"),
        lambda: far.__delitem__("big/0"),
        lambda: far.set_root(root),
    ):
        with pytest.raises(BackendError, match="out of reach") as caught:
            use()
        assert not isinstance(caught.value, KeyError)
    assert far.root_cid == root
    backend.gets_fail = False
    assert dict(far.items()) == dict(store.items())


@pytest.mark.parametrize("make_backend", [MappingCAStore, BareStore])
def test_a_missing_block_is_no_missing_key(make_backend):
    store = IPLDStore(make_backend())
    store.update(CONTENT)
    for index in range(300):
        store[f"big/{index}"] = b"v%d" % index
    root = store.freeze()
    blocks = getattr(store.backend, "mapping", None) or store.backend.blocks
    for cid in [cid for cid in blocks if str(cid) != str(root)]:
        del blocks[cid]
    store.set_root(root)
    for use in (
        lambda: store["a/0"],
        lambda: store.get("a/0"),
        lambda: store.pop("a/0", None),
        lambda: store.setdefault("a/0", b""),
        lambda: store["big/0"],
        lambda: "big/none" in store,
        lambda: list(store),
        store.to_car,
    ):
        with pytest.raises(BlockNotFoundError, match="no block baf") as caught:
            use()
        assert isinstance(caught.value, LookupError)
        assert not isinstance(caught.value, KeyError)
    assert store["a/.zattrs"] == CONTENT["a/.zattrs"]
    assert store.root_cid == root


def test_errors_while_reading_name_the_key_and_the_block(store):
    store.freeze()
    (cid,) = (cid for cid, data in store.backend.mapping.items() if data == b"zero")
    store.backend.mapping[cid] = b"Zero"
    with pytest.raises(CorruptBlockError, match=re.escape(cid)) as caught:
        store["a/0"]
    assert any("'a/0'" in note for note in caught.value.__notes__)


def test_a_new_error_in_a_backend_comes_through(store):
    class Broken(ContentAddressableStore):
        def get_raw(self, cid):
            raise OSError("the disk is gone")

        def put_block(self, cid, data):
            raise OSError("the disk is gone")

    broken = IPLDStore(Broken())
    with pytest.raises(OSError, match="disk is gone"):
        broken["a"] = b""
    assert not broken
    with pytest.raises(OSError, match="disk is gone"):
        broken.freeze()
    with pytest.raises(OSError, match="disk is gone"):
        broken.set_root(MISSING)


def test_any_buffer_is_a_value():
    store = IPLDStore()
    for key, value in {"a": bytearray(b"xyz"), "b": memoryview(b"xyz"), "c": b"xyz"}.items():
        store[key] = value
        assert store[key] == b"xyz"
    changing = bytearray(b"xyz")
    store["d"] = changing
    changing[0] = 0
    assert store["d"] == b"xyz"
    with pytest.raises(TypeError):
        store["e"] = "text"
    assert "e" not in store


def test_threads_that_pop_the_same_keys():
    """Each value is given to one of them, and nobody gets an error for a key that went."""
    store = IPLDStore()
    store.update({f"a/{index}": b"%d" % index for index in range(300)})
    taken = []

    def take():
        taken.extend([store.pop(f"a/{index}", None) for index in range(300)])

    threads = [Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1200
    assert sorted(filter(None, taken)) == sorted(b"%d" % index for index in range(300))
    assert not store
