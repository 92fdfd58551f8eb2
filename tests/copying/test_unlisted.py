"""`ipldstore.copy` from stores that do not list their keys, or list directories only."""

import http.server
import json
import threading
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import pytest
import zarr

import ipldstore
from ipldstore import BackendError, IPLDStore, LimitExceededError, ReadOnlyStoreError

ON_ZARR_2 = version("zarr").startswith("2.")
only_zarr_3 = pytest.mark.skipif(ON_ZARR_2, reason="stores of zarr-python 3")
FORMATS = [2] if ON_ZARR_2 else [2, 3]


@contextmanager
def serve(folder, answers=None, query=""):
    """Serve a folder, and give the URL; some paths, and another query, get a status."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *arguments):
            pass

        def send_head(self):
            self.path, _, given = self.path.partition("?")
            status = 403 if given != query else (answers or {}).get(self.path)
            if status is None:
                return super().send_head()
            self.send_error(status)
            return None

        def list_directory(self, path):
            self.send_error(404)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def libraries():
    pytest.importorskip("fsspec" if ON_ZARR_2 else "obstore")


def consolidate(path, zarr_format):
    if ON_ZARR_2:
        zarr.consolidate_metadata(zarr.DirectoryStore(str(path)))
    else:
        zarr.consolidate_metadata(zarr.storage.LocalStore(path), zarr_format=zarr_format)


def make(path, zarr_format):
    """Make a group with arrays of several kinds, of which not all chunks are there."""
    options = {} if ON_ZARR_2 else {"zarr_format": zarr_format}
    group = zarr.open_group(str(path), mode="w", **options)
    deep = group.create_group("deep")
    create = deep.create_dataset if ON_ZARR_2 else deep.create_array
    create("a", shape=(5, 3), chunks=(2, 2), dtype="i4", fill_value=7)[:2] = 1
    create("scalar", shape=(), chunks=(), dtype="f8")[()] = 1.5
    create("empty", shape=(0,), chunks=(1,), dtype="i1")
    deep["a"].attrs["unit"] = "mm"
    group.attrs["title"] = "Rain"
    if zarr_format == 3:
        group.create_array("sharded", shape=(4,), chunks=(1,), shards=(2,), dtype="i1")[:] = 1
        group.create_array(
            "dotted",
            shape=(3, 3),
            chunks=(2, 2),
            dtype="i1",
            chunk_key_encoding={"name": "v2", "separator": "."},
        )[:] = 1
    else:
        create = group.create_dataset if ON_ZARR_2 else group.create_array
        slashes = (
            {"dimension_separator": "/"}
            if ON_ZARR_2
            else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        )
        create("slashes", shape=(3, 3), chunks=(2, 2), dtype="i1", **slashes)[:] = 1
    consolidate(path, zarr_format)


def root_of(source):
    """Return the root of a copy, and how many values were copied."""
    store = IPLDStore()
    copied = ipldstore.copy(source, store)
    return store.root_cid, copied


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_consolidated_metadata_tells_what_a_web_server_has(tmp_path, zarr_format):
    make(tmp_path / "x.zarr", zarr_format)
    with serve(tmp_path) as web:
        assert root_of(f"{web}/x.zarr") == root_of(tmp_path / "x.zarr")


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_a_group_that_zarr_opened_there(tmp_path, zarr_format):
    pytest.importorskip("fsspec")
    make(tmp_path / "x.zarr", zarr_format)
    expected = root_of(zarr.open_group(str(tmp_path / "x.zarr"), mode="r")["deep"])
    with serve(tmp_path) as web:
        group = zarr.open_group(f"{web}/x.zarr", mode="r")
        assert root_of(group) == root_of(tmp_path / "x.zarr")
        assert root_of(group["deep"]) == expected


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_an_array_alone_needs_nothing_consolidated(tmp_path, zarr_format):
    make(tmp_path / "x.zarr", zarr_format)
    with serve(tmp_path) as web:
        for name in ("a", "scalar"):
            path = f"x.zarr/deep/{name}"
            assert root_of(f"{web}/{path}") == root_of(tmp_path / path)


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_an_array_that_grew_since_it_was_consolidated(tmp_path, zarr_format):
    make(tmp_path / "x.zarr", zarr_format)
    consolidated = {
        name: (tmp_path / "x.zarr" / name).read_bytes()
        for name in ("zarr.json", ".zmetadata")
        if (tmp_path / "x.zarr" / name).exists()
    }
    array = zarr.open_group(str(tmp_path / "x.zarr"), mode="a")["deep/a"]
    array.resize(9, 3) if ON_ZARR_2 else array.resize((9, 3))
    array[:] = 2
    for name, data in consolidated.items():
        (tmp_path / "x.zarr" / name).write_bytes(data)
    with serve(tmp_path) as web:
        assert root_of(f"{web}/x.zarr") == root_of(tmp_path / "x.zarr")


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("status", [403, 500])
def test_a_fault_is_no_missing_chunk(tmp_path, zarr_format, status):
    make(tmp_path / "x.zarr", zarr_format)
    chunk = "deep/a/c/0/0" if zarr_format == 3 else "deep/a/0.0"
    assert (tmp_path / "x.zarr" / chunk).exists()
    store = IPLDStore()
    with serve(tmp_path, {f"/x.zarr/{chunk}": status}) as web:
        with pytest.raises(BackendError, match=rf"cannot read '{chunk}' of .*{status}"):
            ipldstore.copy(f"{web}/x.zarr", store)
        if not ON_ZARR_2:
            with pytest.raises(BackendError, match=rf"cannot read '{chunk}'"):
                ipldstore.copy(zarr.open_group(f"{web}/x.zarr", mode="r"), store)
    assert not store


def test_nothing_is_consolidated(tmp_path):
    zarr.open_group(str(tmp_path / "x.zarr"), mode="w").create_group("deep")
    with serve(tmp_path) as web:
        with pytest.raises(BackendError, match="not consolidated"):
            ipldstore.copy(f"{web}/x.zarr", IPLDStore())
        with pytest.raises(FileNotFoundError, match=r"typo\.zarr"):
            ipldstore.copy(f"{web}/typo.zarr", IPLDStore())


def test_what_is_asked_of_a_web_server_is_asked_for_each_key(tmp_path):
    make(tmp_path / "x.zarr", 2)
    with serve(tmp_path, query="token=hidden") as web:
        if ON_ZARR_2:
            with pytest.raises(BackendError, match="zarr-python 3"):
                ipldstore.copy(f"{web}/x.zarr?token=hidden", IPLDStore())
        else:
            assert root_of(f"{web}/x.zarr?token=hidden") == root_of(tmp_path / "x.zarr")


def test_nothing_is_written_to_a_web_server():
    with pytest.raises(ReadOnlyStoreError, match="web server"):
        ipldstore.copy({}, "http://127.0.0.1:9/x.zarr")


def test_no_password_is_shown():
    with pytest.raises(BackendError) as caught:
        ipldstore.copy("http://somebody:secret@127.0.0.1:9/x.zarr?token=hidden", IPLDStore())
    shown = f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
    assert "127.0.0.1:9" in shown
    assert not any(word in shown for word in ("somebody", "secret", "hidden"))


ARRAY = {
    "zarr_format": 2,
    "shape": [3],
    "chunks": [2],
    "dtype": "|i1",
    "fill_value": 0,
    "order": "C",
    "filters": None,
    "compressor": None,
}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"shape": [10**18], "chunks": [1]}, LimitExceededError, "1,000,000,000,000,000,000"),
        ({"shape": [2**32] * 40}, BackendError, "does not say which chunks"),
        ({"chunks": [0]}, BackendError, "does not say which chunks"),
        ({"shape": [-1]}, BackendError, "does not say which chunks"),
        ({"shape": "all"}, BackendError, "does not say which chunks"),
        ({"dimension_separator": "?"}, BackendError, "does not say which chunks"),
    ],
)
def test_arrays_that_ask_for_too_much(tmp_path, change, error, message):
    (tmp_path / ".zarray").write_text(json.dumps(ARRAY | change))
    with serve(tmp_path) as web, pytest.raises(error, match=message):
        ipldstore.copy(web, IPLDStore())


@pytest.mark.parametrize("text", ["<html>", "[]", "{", "[" * 10_000, "\xff"])
def test_documents_that_are_none(tmp_path, text):
    (tmp_path / ".zmetadata").write_bytes(text.encode("latin-1"))
    with serve(tmp_path) as web, pytest.raises(BackendError, match=r"\.zmetadata.*malformed"):
        ipldstore.copy(web, IPLDStore())


def directories(folder, *missing):
    """Return a store of a folder that lists directories only, and lacks methods."""

    class Directories(zarr.storage.LocalStore):
        def list(self):
            raise NotImplementedError

        def list_prefix(self, prefix):
            raise NotImplementedError

        async def exists(self, key):
            raise NotImplementedError

        async def list_dir(self, prefix):
            if any(prefix.endswith(name) for name in missing):
                raise NotImplementedError
            async for name in super().list_dir(prefix):
                yield name

    return Directories(folder, read_only=True)


@only_zarr_3
@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("missing", [(), ("a", "scalar")], ids=["all", "but arrays"])
def test_a_store_that_lists_directories_only(tmp_path, zarr_format, missing):
    make(tmp_path / "x.zarr", zarr_format)
    (tmp_path / "x.zarr" / "nothing in it").mkdir()
    store = directories(tmp_path / "x.zarr", *missing)
    assert root_of(store) == root_of(tmp_path / "x.zarr")
    deep = zarr.storage.StorePath(store, "deep")
    assert root_of(deep) == root_of(zarr.open_group(tmp_path / "x.zarr", mode="r")["deep"])


@only_zarr_3
def test_a_store_that_lists_nothing(tmp_path):
    with pytest.raises(BackendError, match="neither list"):
        ipldstore.copy(directories(tmp_path, ""), IPLDStore())


@only_zarr_3
def test_a_store_that_says_that_it_lists_nothing(tmp_path):
    class Unlisted(zarr.storage.LocalStore):
        supports_listing = False

        def list(self):
            raise AssertionError("listed")

    make(tmp_path / "x.zarr", 3)
    assert root_of(Unlisted(tmp_path / "x.zarr")) == root_of(tmp_path / "x.zarr")


@only_zarr_3
def test_virtual_chunks(tmp_path):
    pytest.importorskip("virtualizarr")
    h5py = pytest.importorskip("h5py")
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import HDFParser

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("deep/a", data=np.arange(12).reshape(3, 4), chunks=(2, 2))
    registry = ObjectStoreRegistry({"file://": LocalStore()})
    store = IPLDStore()
    ipldstore.copy(HDFParser()(f"file://{tmp_path}/x.h5", registry), store)
    assert zarr.open(store, mode="r")["deep/a"][:].tolist() == np.arange(12).reshape(3, 4).tolist()
