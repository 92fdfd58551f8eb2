"""`ipldstore.copy` from and to whatever zarr opens: stores, paths, URLs, groups and arrays."""

import os
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


def test_into_the_folder_that_is_copied(folder, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(folder / "deep")
    before = sorted(os.listdir(folder))
    monkeypatch.chdir(folder)
    for source in (str(folder), folder, f"file://{folder}", "."):
        for target in ("inner", folder / "deep" / "inner", str(tmp_path / "link"), "x.zip"):
            with pytest.raises(ValueError, match="is in the folder that is copied"):
                ipldstore.copy(source, target)
    assert sorted(os.listdir(folder)) == before
    ipldstore.copy(folder, tmp_path / f"{folder.name}-beside")


def test_names_as_long_as_the_system_allows(folder, tmp_path):
    zipped = tmp_path / ("x" * 251 + ".zip")
    ipldstore.copy(folder, zipped)
    store = IPLDStore()
    ipldstore.copy(zipped, store)
    archive = tmp_path / ("y" * 251 + ".car")
    store.to_car(archive)
    assert ipldstore.open(archive).root_cid == store.root_cid


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


def test_what_is_a_zip_file_its_content_tells(folder, tmp_path):
    ipldstore.copy(folder, tmp_path / "a.zip")
    (tmp_path / "a.zip").rename(tmp_path / "renamed")
    store = IPLDStore()
    ipldstore.copy(tmp_path / "renamed", store)
    assert values_of(store) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["there.zip", "there"])
def test_a_file_in_the_way(folder, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match="is not written over"):
        ipldstore.copy(folder, tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_a_zip_file_in_no_folder(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder to put"):
        ipldstore.copy(folder, tmp_path / "no" / "x.zip")


def test_a_damaged_zip_file(folder, tmp_path):
    ipldstore.copy(folder, tmp_path / "a.zip")
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(BackendError, match=r"cannot open .*a\.zip"):
        ipldstore.copy(tmp_path / "a.zip", IPLDStore())


@only_zarr_3
def test_stores_that_are_not_open_yet(folder, tmp_path):
    target = zarr.storage.ZipStore(tmp_path / "a.zip", mode="w")
    ipldstore.copy(folder, target)
    assert target._is_open  # it would be emptied if it were opened again
    target.close()
    source = zarr.storage.ZipStore(tmp_path / "a.zip", mode="r", read_only=True)
    store = IPLDStore()
    ipldstore.copy(source, store)
    assert values_of(store) == [0, 1, 2, 3]
    assert not source._is_open


@only_zarr_3
def test_a_store_that_is_open_stays_open(folder, tmp_path):
    ipldstore.copy(folder, tmp_path / "a.zip")
    source = zarr.storage.ZipStore(tmp_path / "a.zip", mode="r", read_only=True)
    group = zarr.open_group(source, mode="r")
    ipldstore.copy(group, IPLDStore())
    assert source._is_open
    assert group["deep/a"][:].tolist() == [0, 1, 2, 3]
    source.close()


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


def group_in(store):
    """Make a group with an array in it, which is alone in neither directory."""
    top = zarr.open_group(store, mode="w")
    top.create_group("other")
    group = top.create_group("deep")
    create = group.create_dataset if ON_ZARR_2 else group.create_array
    create("a", shape=(4,), chunks=(2,), dtype="i4")[:] = np.arange(4)
    return zarr.open_group(store, mode="r")["deep"]


def test_a_group_of_a_hierarchy_is_copied_by_its_blocks(tmp_path):
    store = IPLDStore()
    group, target = group_in(store), ipldstore.MappingCAStore()
    copied = ipldstore.copy(group, target)
    expected = IPLDStore()
    expected.update({key[5:]: value for key, value in store.items() if key.startswith("deep/")})
    assert values_of(IPLDStore(target, root=expected.freeze()), "a") == [0, 1, 2, 3]
    assert copied.blocks == len(target.mapping) == len(expected.backend.mapping)
    ipldstore.copy(group["a"], tmp_path / "array")
    assert zarr.open(str(tmp_path / "array"), mode="r")[:].tolist() == [0, 1, 2, 3]


def test_into_a_group_of_a_hierarchy(folder):
    store = IPLDStore()
    target = zarr.open_group(store, mode="w").create_group("in")
    ipldstore.copy(folder, target)
    assert store.root_cid is not None
    assert values_of(store, "in/deep/a") == [0, 1, 2, 3]
    ipldstore.copy(store, target)
    assert values_of(store, "in/in/deep/a") == [0, 1, 2, 3]


@pytest.mark.skipif(not ON_ZARR_2, reason="groups of zarr-python 2")
def test_a_group_with_chunks_elsewhere(tmp_path):
    documents, chunks = {}, {}
    group = zarr.open_group(documents, mode="w", chunk_store=chunks)
    group.create_dataset("deep/a", data=np.arange(4), chunks=2)
    for source, path in ((group, "deep/a"), (group["deep"], "a")):
        store = IPLDStore()
        ipldstore.copy(source, store)
        assert values_of(store, path) == [0, 1, 2, 3]
    target = zarr.open_group({}, mode="w", chunk_store={}).create_group("new")
    ipldstore.copy(group, target)
    assert target["deep/a"][:].tolist() == [0, 1, 2, 3]
    assert {*target.chunk_store} == {"new/deep/a/0", "new/deep/a/1"}


@pytest.mark.skipif(not ON_ZARR_2, reason="groups of zarr-python 2")
def test_a_group_with_consolidated_metadata(folder):
    store = zarr.DirectoryStore(str(folder))
    zarr.consolidate_metadata(store)
    group = zarr.open_consolidated(store)
    expected = IPLDStore()
    ipldstore.copy(folder, expected)
    for source in (group, group.store):
        found = IPLDStore()
        ipldstore.copy(source, found)
        assert found.root_cid == expected.root_cid


@pytest.mark.parametrize("name", ["typo.zarr", "typo.zip"])
def test_what_is_not_there(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="typo"):
        ipldstore.copy(tmp_path / name, IPLDStore())
    assert list(tmp_path.iterdir()) == []


def typos(folder):
    """Give stores, and parts of stores, that are not there."""
    yield zarr.DirectoryStore(f"{folder}x") if ON_ZARR_2 else zarr.storage.LocalStore(f"{folder}x")
    if ON_ZARR_2:
        yield zarr.storage.FSStore(f"{folder}x")
        yield zarr.storage.FSStore("memory://typo")
        return
    yield zarr.storage.WrapperStore(zarr.storage.LocalStore(f"{folder}x"))
    yield zarr.storage.StorePath(zarr.storage.LocalStore(folder), "typo")
    yield zarr.storage.FsspecStore.from_url("memory://typo")


@pytest.mark.parametrize("number", range(3 if ON_ZARR_2 else 4))
def test_stores_that_are_not_there(folder, number):
    pytest.importorskip("fsspec")
    store = list(typos(folder))[number]
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(FileNotFoundError, match=r"typo|plain\.zarrx"):
        ipldstore.copy(store, IPLDStore())
    assert sorted(folder.parent.rglob("*")) == before


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InvalidKeyError, match="is no Zarr store"):
        ipldstore.copy(tmp_path, IPLDStore())
    blocks = ipldstore.DirectoryCAStore(tmp_path / "blocks")
    IPLDStore(blocks).freeze()
    with pytest.raises(InvalidKeyError, match="folder of blocks"):
        ipldstore.copy(tmp_path / "blocks", IPLDStore())
    with pytest.raises(TypeError, match="open_block_store"):
        ipldstore.copy({}, tmp_path / "blocks")


@pytest.mark.parametrize("name", ["memory:", "sqlite:x.db", "x.car", "ipfs:"])
def test_block_stores_are_opened_first(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match="open_block_store"):
        ipldstore.copy(IPLDStore(), name)
    assert list(tmp_path.iterdir()) == []


def test_a_root_is_no_target(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = IPLDStore().freeze()
    for name in (str(root), f"ipld://{root}", f"ipfs://{root}/group"):
        with pytest.raises(TypeError, match="is a root"):
            ipldstore.copy({}, name)
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


@pytest.mark.parametrize("name", ["x.nc", "x.npy", "x.tif", "x.tar", "x.JSON"])
def test_a_name_of_another_kind_of_file(folder, tmp_path, name):
    with pytest.raises(ValueError, match="is named as a file of another kind: a Zarr store is"):
        ipldstore.copy(folder, tmp_path / name)
    assert not (tmp_path / name).exists()
    (tmp_path / name).mkdir()
    ipldstore.copy(folder, tmp_path / name)


def test_a_root_in_any_form(folder, tmp_path, monkeypatch):
    blocks = ipldstore.DirectoryCAStore(tmp_path / "blocks")
    store = IPLDStore(blocks)
    ipldstore.copy(folder, store)
    monkeypatch.setenv("IPLDSTORE_BLOCKS", str(tmp_path / "blocks"))
    root = store.root_cid
    for source in (root, str(root), bytes(root), f"ipfs://{root}", store):
        other = IPLDStore()
        ipldstore.copy(source, other)
        assert other.root_cid == root
    with pytest.raises(TypeError, match="is a root, which never changes"):
        ipldstore.copy(folder, root)


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


def test_a_path_of_another_class(folder):
    class Named:
        def __fspath__(self):
            return str(folder)

    store = IPLDStore()
    ipldstore.copy(Named(), store)
    assert values_of(store) == [0, 1, 2, 3]


@only_zarr_3
def test_a_mapping_that_zarr_wrote():
    buffers = {}
    group_in(zarr.storage.MemoryStore(buffers))
    store = IPLDStore()
    ipldstore.copy(buffers, store)
    assert values_of(store) == [0, 1, 2, 3]


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
