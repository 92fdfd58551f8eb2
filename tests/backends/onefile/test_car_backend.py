"""Blocks in a CAR archive: the contract, its bytes, its root, and files that it refuses."""

import pickle

import pytest

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CachingCAStore,
    CarFormatError,
    IPLDStore,
    MappingCAStore,
    ReadOnlyStoreError,
    UnionCAStore,
)
from ipldstore.backends.carfile.store import CARStore
from ipldstore.cid import make_link
from ipldstore.testing import PointerTests
from tests.archives.carbytes import make_block, read_car, write_car

EMPTY = make_block({})
HELLO = make_block(b"hello", "raw")
ROOT = make_block({"a": HELLO.cid})

EMPTY_DIGEST = "c19a797fa1fd590cd2e5b42d1cf5f246e29b91684e2f87404b81dc345c7a56a0"
"""What `printf '\\xa0' | sha256sum` prints; so the others, of their bytes."""

HELLO_DIGEST = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
ROOT_DIGEST = "ebda430b5270fdb3b24d8445b595a36fca33b4654c26a2e80c5663785e628600"

HEADER = "3aa265726f6f747381d82a5825000171 1220 {root} 6776657273696f6e 01"
EMPTY_SECTION = f"25 01711220 {EMPTY_DIGEST} a0"
HELLO_SECTION = f"29 01551220 {HELLO_DIGEST} 68656c6c6f"
ROOT_SECTION = f"50 01711220 {ROOT_DIGEST} a16161d82a5825000155 1220 {HELLO_DIGEST}"

BEFORE = bytes.fromhex(HEADER.format(root=EMPTY_DIGEST) + EMPTY_SECTION + HELLO_SECTION)
AFTER = bytes.fromhex(HEADER.format(root=ROOT_DIGEST) + EMPTY_SECTION + HELLO_SECTION) + (
    bytes.fromhex(ROOT_SECTION)
)


def damage_last_block(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


class CARTests(PointerTests):
    names = ("default",)
    keeps_states_only = True

    def corrupt(self, backend, cid):
        damage_last_block(backend.path)


class TestCAR(CARTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        return CARStore(folder / "data.car", default_hash=default_hash)


class TestCARWithFsync(CARTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        return CARStore(folder / "data.car", default_hash=default_hash, fsync=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.car"


@pytest.fixture
def backend(path):
    with CARStore(path) as backend:
        yield backend


def freeze(backend, **values):
    store = IPLDStore(backend)
    store.update(values)
    return store.freeze()


def test_golden_archive(backend, path):
    assert not path.exists()
    store = IPLDStore(backend)
    store["a"] = b"hello"
    assert path.read_bytes() == BEFORE == write_car([EMPTY.cid], [EMPTY, HELLO])
    assert store.freeze() == ROOT.cid
    assert path.read_bytes() == AFTER == write_car([ROOT.cid], [EMPTY, HELLO, ROOT])


@pytest.mark.parametrize("hash_name", ["sha2-512", "blake2b-256"])
def test_roots_of_other_hash_functions(path, hash_name):
    with CARStore(path, default_hash=hash_name) as backend:
        root = freeze(backend, a=b"hello")
    blocks = [make_block({}, hash_name=hash_name), make_block(b"hello", "raw", hash_name)]
    blocks.append(make_block({"a": blocks[1].cid}, hash_name=hash_name))
    assert root == blocks[2].cid
    assert path.read_bytes() == write_car([root], blocks)


def test_archive_that_was_never_frozen_is_an_empty_hierarchy(backend, path):
    IPLDStore(backend)["a"] = b"hello"
    assert dict(IPLDStore.from_car(path)) == {}
    with CARStore(path) as other:
        assert IPLDStore(other).root_cid == EMPTY.cid


def test_store_opens_with_the_root_of_the_archive(backend, path):
    root = freeze(backend, a=b"hello")
    backend.close()
    store = IPLDStore(CARStore(path, read_only=True))
    assert (store.root_cid, dict(store)) == (root, {"a": b"hello"})
    assert dict(IPLDStore(store.backend, root=EMPTY.cid)) == {}


def test_dataset_is_changed_in_place(path):
    with CARStore(path) as backend:
        first = freeze(backend, a=b"hello")
    size = path.stat().st_size
    with CARStore(path) as backend:
        second = freeze(backend, b=b"more")
        assert dict(IPLDStore(backend, root=first)) == {"a": b"hello"}
    assert path.read_bytes()[59:size] == AFTER[59:]
    assert IPLDStore.from_car(path).root_cid == second
    assert dict(IPLDStore.from_car(path)) == {"a": b"hello", "b": b"more"}


def test_frozen_without_a_change_is_the_root_that_is_open(backend, path):
    first, second = freeze(backend, a=b"1"), freeze(backend, a=b"2")
    store = IPLDStore(backend)
    assert store.root_cid == second
    store.set_root(first)
    assert read_car(path.read_bytes())[0] == [second]
    store.freeze()
    assert read_car(path.read_bytes())[0] == [first]


def test_imported_archive(backend, path):
    other = IPLDStore(MappingCAStore({}))
    other["a"] = b"hello"
    store = IPLDStore(backend)
    store.import_car(other.to_car())
    store.freeze()
    assert read_car(path.read_bytes())[0] == [ROOT.cid]


def test_reading_does_not_change_the_root(backend, path):
    first, second = freeze(backend, a=b"1"), freeze(backend, a=b"2")
    backend.close()
    store = IPLDStore(backend, root=first)
    store.to_car()
    store.with_read_only(True).freeze()
    pickle.dumps(store)
    IPLDStore(CARStore(path, read_only=True), root=first).freeze()
    assert read_car(path.read_bytes())[0] == [second]


def test_fork_leaves_the_root_alone(backend, path):
    store = IPLDStore(backend)
    store["a"] = b"hello"
    store.freeze()
    fork = store.fork()
    fork["b"] = b"of the fork"
    fork.freeze()
    assert read_car(path.read_bytes())[0] == [ROOT.cid]
    store.merge(fork)
    assert read_car(path.read_bytes())[0] == [ROOT.cid]
    assert read_car(path.read_bytes())[0] != [store.freeze()]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda backend: CachingCAStore(backend, MappingCAStore({})),
        lambda backend: UnionCAStore(backend, MappingCAStore({})),
    ],
)
def test_layers_pass_the_root_on(backend, path, wrap):
    freeze(wrap(backend), a=b"hello")
    assert path.read_bytes() == AFTER
    assert dict(IPLDStore(wrap(backend))) == {"a": b"hello"}


def test_block_is_written_once(backend, path):
    backend.put_raw(b"hello", "raw")
    backend.put_raw(b"hello", "raw")
    backend.put_raw(b"\xa0", "dag-cbor")
    backend.close()
    backend.put_raw(b"hello", "raw")
    assert path.read_bytes() == BEFORE


def test_block_under_a_second_codec_is_a_section_of_its_own(backend, path):
    backend.put_raw(b"hello", "raw")
    backend.put_raw(b"hello", "dag-cbor")
    _, blocks = read_car(path.read_bytes())
    assert [block.cid.codec.name for block in blocks] == ["dag-cbor", "raw", "dag-cbor"]


def test_damaged_block_is_mended_in_its_place(backend, path):
    backend.put_raw(b"hello", "raw")
    damage_last_block(path)
    backend.put_raw(b"hello", "raw")
    assert path.read_bytes() == BEFORE


def test_many_blocks_in_one_archive(backend, path):
    blocks = [b"%d" % i * (i % 300) for i in range(1, 3000)]
    cids = [backend.put_raw(data, "raw") for data in blocks]
    with CARStore(path) as again:
        assert [again.get(cid) for cid in cids] == blocks
        assert again.find_missing([*cids, make_link(b"missing")]) == {make_link(b"missing")}
    assert len(read_car(path.read_bytes())[1]) == len(set(blocks)) + 1


def test_read_only_store_refuses_to_write(path):
    with pytest.raises(BackendError, match="no CAR archive"):
        CARStore(path, read_only=True)
    path.write_bytes(AFTER)
    with CARStore(path, read_only=True) as backend:
        with pytest.raises(ReadOnlyStoreError):
            backend.put(b"more")
        copy = pickle.loads(pickle.dumps(backend))
        with pytest.raises(ReadOnlyStoreError):
            copy.put(b"more")
        copy.close()
    assert path.read_bytes() == AFTER


def test_nothing_is_made_by_reading(backend, path):
    assert HELLO.cid not in backend
    with pytest.raises(BlockNotFoundError):
        backend.get(HELLO.cid)
    assert (dict(IPLDStore(backend)), backend.noted_root) == ({}, None)
    backend.flush()
    assert not path.exists()


def test_empty_file_becomes_an_archive(backend, path):
    path.touch()
    assert HELLO.cid not in backend
    backend.put(b"hello")
    assert path.read_bytes() == BEFORE


@pytest.mark.parametrize("size", [1, 58, 59, 96])
def test_beginning_that_was_not_finished_becomes_an_archive(path, size):
    path.write_bytes(BEFORE[:size])
    with CARStore(path) as backend:
        assert dict(IPLDStore(backend)) == {}
        backend.put(b"hello")
    assert path.read_bytes() == BEFORE


def test_missing_folder(tmp_path):
    backend = CARStore(tmp_path / "no" / "data.car")
    with pytest.raises(BackendError, match="make it first"):
        backend.put(b"hello")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("kind", ["folder", "below a file"])
def test_path_that_is_no_file(tmp_path, kind):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(BackendError, match="cannot open"):
        CARStore(tmp_path if kind == "folder" else tmp_path / "file" / "data.car")


@pytest.mark.parametrize(
    "content",
    [b"\0", b"PK\x03\x04" * 20, b"x", AFTER[:58], bytes.fromhex("0aa16776657273696f6e02")],
)
def test_file_of_something_else_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(CarFormatError) as caught:
        CARStore(path)
    assert caught.value.offset is not None
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "roots", [[], [EMPTY.cid, HELLO.cid], [make_block({}, hash_name="sha2-512").cid]]
)
def test_archive_whose_root_cannot_be_replaced_is_only_read(path, roots):
    archive = write_car(roots, [EMPTY, HELLO])
    path.write_bytes(archive)
    with CARStore(path) as backend:
        assert backend.get(HELLO.cid) == b"hello"
        with pytest.raises(ReadOnlyStoreError, match="import it into a new"):
            backend.put(b"more")
        assert backend.get(HELLO.cid) == b"hello"
    assert path.read_bytes() == archive


def test_version_0_cids_are_read(path):
    block = make_block(bytes.fromhex("0a020801"), "dag-pb")
    old = block._replace(cid=block.cid.set(version=0, base="base58btc"))
    path.write_bytes(write_car([old.cid], [old]))
    with CARStore(path) as backend:
        assert backend.get_block(old.cid) == block.data
        assert backend.noted_root == bytes(block.cid)


def test_relative_path_survives_a_change_of_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with CARStore("data.car") as backend:
        cid = backend.put(b"hello")
        monkeypatch.chdir(tmp_path.parent)
        backend.close()
        assert backend.get(cid) == b"hello"


def test_equal_when_the_file_is(backend, path, tmp_path):
    assert backend == CARStore(path)
    assert hash(backend) == hash(CARStore(path))
    assert backend != CARStore(tmp_path / "other.car")
