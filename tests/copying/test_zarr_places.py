"""`ipldstore.copy` from and to whatever zarr opens: stores, paths, URLs, groups and arrays."""

import http.server
import threading
import zipfile
from importlib.metadata import version

import numpy as np
import pytest
import zarr

import ipldstore
from ipldstore import BackendError, InvalidKeyError, IPLDStore, ReadOnlyStoreError

ON_ZARR_2 = version("zarr").startswith("2.")
only_zarr_3 = pytest.mark.skipif(ON_ZARR_2, reason="stores of zarr-python 3")


@pytest.fixture
def folder(tmp_path):
    """Return a Zarr folder with an array in a group, which zarr made."""
    path = tmp_path / "plain.zarr"
    group = zarr.open_group(str(path), mode="w").create_group("deep")
    create = group.create_dataset if ON_ZARR_2 else group.create_array
    create("a", shape=(4,), chunks=(2,), dtype="i4")[:] = np.arange(4)
    return path


def values_of(store, path="deep/a"):
    return zarr.open(store, mode="r")[path][:].tolist()


def test_a_path_is_a_folder(folder, tmp_path):
    store = IPLDStore()
    ipldstore.copy(folder, store)
    assert values_of(store) == [0, 1, 2, 3]
    ipldstore.copy(store, str(tmp_path / "copy"))
    assert values_of(str(tmp_path / "copy")) == [0, 1, 2, 3]


def test_a_file_url_is_decoded(folder, tmp_path):
    (tmp_path / "with space").symlink_to(folder)
    assert ipldstore.copy(f"file://{tmp_path}/with%20space", IPLDStore()).blocks >= 5


def test_home_is_found(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ipldstore.copy("~/plain.zarr", IPLDStore()).blocks >= 5


def test_a_zip_file_there_and_back(folder, tmp_path):
    zipped = tmp_path / "plain.zarr.zip"
    ipldstore.copy(folder, zipped)
    assert values_of(zarr.storage.ZipStore(str(zipped), mode="r")) == [0, 1, 2, 3]
    store = IPLDStore()
    ipldstore.copy(zipped, store)
    assert values_of(store) == [0, 1, 2, 3]


def test_a_zip_file_appears_complete_or_not_at_all(folder, tmp_path):
    def stop(values, size):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ipldstore.copy(folder, tmp_path / "new.zip", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["plain.zarr"]


def test_a_zip_file_is_not_written_over(folder, tmp_path):
    ipldstore.copy(folder, tmp_path / "new.zip")
    before = (tmp_path / "new.zip").read_bytes()
    with pytest.raises(FileExistsError, match=r"new\.zip"):
        ipldstore.copy(folder, tmp_path / "new.zip")
    assert (tmp_path / "new.zip").read_bytes() == before


@only_zarr_3
def test_stores_that_are_not_open_yet(folder, tmp_path):
    with zarr.storage.ZipStore(tmp_path / "a.zip", mode="w") as target:
        ipldstore.copy(folder, target)
    store = IPLDStore()
    source = zarr.storage.ZipStore(tmp_path / "a.zip", mode="r", read_only=True)
    ipldstore.copy(source, store)
    source.close()
    assert values_of(store) == [0, 1, 2, 3]


def test_groups_and_arrays(folder):
    top = zarr.open_group(str(folder), mode="r")
    store = IPLDStore()
    ipldstore.copy(top["deep"], store)
    assert values_of(store, "a") == [0, 1, 2, 3]
    alone = IPLDStore()
    ipldstore.copy(top["deep"]["a"], alone)
    assert zarr.open(alone, mode="r")[:].tolist() == [0, 1, 2, 3]
    target = zarr.open_group(str(folder), mode="a").create_group("again")
    ipldstore.copy(store, target)
    assert values_of(str(folder), "again/a") == [0, 1, 2, 3]


@only_zarr_3
def test_a_store_path(folder):
    path = zarr.storage.StorePath(zarr.storage.LocalStore(folder), "deep")
    store = IPLDStore()
    ipldstore.copy(path, store)
    assert values_of(store, "a") == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["typo.zarr", "typo.zip"])
def test_what_is_not_there(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="typo"):
        ipldstore.copy(tmp_path / name, IPLDStore())
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_a_folder_that_is_not_there(tmp_path):
    typo = str(tmp_path / "typo")
    store = zarr.DirectoryStore(typo) if ON_ZARR_2 else zarr.storage.LocalStore(typo)
    with pytest.raises(FileNotFoundError, match="typo"):
        ipldstore.copy(store, IPLDStore())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InvalidKeyError, match="is no Zarr store"):
        ipldstore.copy(tmp_path, IPLDStore())
    blocks = ipldstore.DirectoryCAStore(tmp_path / "blocks")
    IPLDStore(blocks).freeze()
    with pytest.raises(InvalidKeyError, match="folder of blocks"):
        ipldstore.copy(tmp_path / "blocks", IPLDStore())


@pytest.mark.parametrize("name", ["memory:", "sqlite:x.db", "x.car", "ipfs:"])
def test_block_stores_are_opened_first(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match="open_block_store"):
        ipldstore.copy(IPLDStore(), name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["../../out", "/out", "a/../../out", "a//b", "..", 1])
def test_a_key_that_leads_out_is_refused_before_anything_is_written(tmp_path, key):
    source = {".zgroup": b'{"zarr_format":2}', key: b"x"}
    target = tmp_path / "deep" / "target"
    with pytest.raises(InvalidKeyError):
        ipldstore.copy(source, target)
    assert not [path for path in tmp_path.rglob("*") if path.name in ("out", ".zgroup")]


def test_a_zip_file_that_leads_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr(".zgroup", b'{"zarr_format":2}')
        file.writestr("../../out", b"x")
    with pytest.raises(InvalidKeyError):
        ipldstore.copy(tmp_path / "evil.zip", tmp_path / "deep" / "target")
    assert not list(tmp_path.rglob("out"))


def test_folders_in_a_zip_file_are_no_keys(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a/", b"")
        file.writestr("a/.zarray", b"{}")
        file.writestr(".zgroup", b'{"zarr_format":2}')
    store = IPLDStore()
    ipldstore.copy(tmp_path / "a.zip", store)
    assert sorted(store) == [".zgroup", "a/.zarray"]


def test_an_empty_store_copies_nothing():
    empty = zarr.storage.KVStore({}) if ON_ZARR_2 else zarr.storage.MemoryStore()
    assert ipldstore.copy(empty, IPLDStore()) == (0, 0, 0)


def test_text_names_a_root_or_an_archive(folder, tmp_path, monkeypatch):
    store = IPLDStore(ipldstore.DirectoryCAStore(tmp_path / "blocks"))
    ipldstore.copy(folder, store)
    root = store.freeze()
    store.to_car(tmp_path / "a.car")
    monkeypatch.setenv("IPLDSTORE_BLOCKS", str(tmp_path / "blocks"))
    for name in (str(root), f"ipfs://{root}", str(tmp_path / "a.car")):
        found = IPLDStore()
        ipldstore.copy(name, found)
        assert found.root_cid == root


@only_zarr_3
def test_a_target_that_only_reads(folder, tmp_path):
    target = zarr.storage.LocalStore(tmp_path / "target", read_only=True)
    with pytest.raises(ReadOnlyStoreError):
        ipldstore.copy(folder, target)


@only_zarr_3
def test_groups_come_before_what_is_below_them(folder):
    class Watched(zarr.storage.MemoryStore):
        async def set(self, key, value, byte_range=None):
            order.append(key)
            await super().set(key, value)

    order = []
    ipldstore.copy(folder, Watched())
    assert order[:3] == ["zarr.json", "deep/zarr.json", "deep/a/zarr.json"]
    assert set(order[3:]) == {"deep/a/c/0", "deep/a/c/1"}


def test_icechunk_there_and_back(folder):
    icechunk = pytest.importorskip("icechunk")
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    session = repository.writable_session("main")
    ipldstore.copy(folder, session.store)
    session.commit("copied")
    store = IPLDStore()
    ipldstore.copy(repository.readonly_session("main").store, store)
    assert values_of(store) == [0, 1, 2, 3]


@only_zarr_3
def test_a_store_that_lists_directories_only(folder):
    class Directories(zarr.storage.LocalStore):
        def list(self):
            raise NotImplementedError

        def list_prefix(self, prefix):
            raise NotImplementedError

    store = IPLDStore()
    ipldstore.copy(Directories(folder), store)
    assert values_of(store) == [0, 1, 2, 3]


@only_zarr_3
def test_a_store_that_lists_nothing(folder):
    class Nothing(zarr.storage.LocalStore):
        def list(self):
            raise NotImplementedError

        def list_dir(self, prefix):
            raise NotImplementedError

    with pytest.raises(BackendError, match="neither list"):
        ipldstore.copy(Nothing(folder), IPLDStore())


@pytest.fixture
def web(tmp_path):
    """Return the URL of a web server on a folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@only_zarr_3
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_web_server_with_consolidated_metadata(tmp_path, web, zarr_format):
    pytest.importorskip("obstore")
    group = zarr.open_group(tmp_path / "web.zarr", mode="w", zarr_format=zarr_format)
    array = group.create_array("deep/a", shape=(5, 3), chunks=(2, 2), dtype="i4", fill_value=7)
    array[:2] = np.arange(6).reshape(2, 3)
    if zarr_format == 3:
        group.create_array("sharded", shape=(4,), chunks=(1,), shards=(2,), dtype="i1")[:] = 1
    group.create_array("scalar", shape=(), dtype="f8")[()] = 1.5
    zarr.consolidate_metadata(group.store, zarr_format=zarr_format)
    store, expected = IPLDStore(), IPLDStore()
    ipldstore.copy(f"{web}/web.zarr", store)
    ipldstore.copy(tmp_path / "web.zarr", expected)
    assert store.freeze() == expected.freeze()


@only_zarr_3
def test_a_web_server_without_consolidated_metadata(folder, web):
    pytest.importorskip("obstore")
    with pytest.raises(BackendError, match="not consolidated"):
        ipldstore.copy(f"{web}/plain.zarr", IPLDStore())
    with pytest.raises(FileNotFoundError):
        ipldstore.copy(f"{web}/typo.zarr", IPLDStore())


def test_other_urls_by_fsspec(folder):
    pytest.importorskip("fsspec")
    ipldstore.copy(folder, "memory://copied.zarr")
    store = IPLDStore()
    ipldstore.copy("memory://copied.zarr", store)
    assert values_of(store) == [0, 1, 2, 3]
    with pytest.raises(FileNotFoundError):
        ipldstore.copy("memory://typo.zarr", IPLDStore())
    with pytest.raises(BackendError, match="unheardof"):
        ipldstore.copy("unheardof://typo.zarr", IPLDStore())
