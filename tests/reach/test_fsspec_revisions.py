"""The protocol ipld of fsspec by revision: ipld:///REVISION/path?blocks=STORE."""

import json
import multiprocessing
import pickle
from urllib.parse import quote

import fsspec
import pytest
from fsspec.core import url_to_fs

from ipldstore import DirectoryCAStore, InvalidCIDError, IPLDStore
from ipldstore.cid import as_link
from ipldstore.errors import RepositoryNotFoundError, RevisionError
from ipldstore.fsspec import IPLDFileSystem
from tests.histories import History, make_state, put_state
from tests.reach.test_fsspec_files import RemoteCAStore


class Repository:
    """A repository of two commits in a folder."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.blocks = DirectoryCAStore(folder)
        history = History(self.blocks)
        self.roots, self.commits = [], []
        for number in range(2):
            store = IPLDStore(self.blocks)
            store[".zgroup"], store["g/a/0"] = b'{"zarr_format":2}', b"%d" % number
            self.roots.append(as_link(store.freeze()))
            self.commits.append(history.commit(*self.commits, root=self.roots[-1]))
        self.move(1)

    def move(self, number):
        tip = self.commits[number]
        put_state(self.blocks, make_state({"main": tip, "feature/x": tip, "a%b": tip}))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.delenv("IPLDSTORE_BLOCKS", raising=False)
    return Repository(tmp_path / "blocks")


def value_at(url, **options):
    with fsspec.open(url, **options) as file:
        return file.read()


@pytest.mark.parametrize(
    ("revision", "number"),
    [("main", 1), ("main~1", 0), ("~", 0), ("feature%2Fx", 1), ("feature%2Fx~", 0), ("a%25b^", 0)],
)
def test_urls(repository, revision, number):
    url = f"ipld:///{revision}/g/a/0"
    assert value_at(f"{url}?blocks={repository.folder}") == b"%d" % number
    assert value_at(f"{url}?blocks={quote(repository.folder, safe='')}") == b"%d" % number
    assert value_at(url, blocks=repository.folder) == b"%d" % number
    assert value_at(url, blocks=repository.blocks) == b"%d" % number


def test_cids_with_three_slashes(repository):
    for what in (repository.roots[0], repository.commits[0], f"{repository.commits[1]}~"):
        assert value_at(f"ipld:///{what}/g/a/0?blocks={repository.folder}") == b"0"


def test_the_cids_of_commits(repository):
    files = fsspec.filesystem("ipld", blocks=repository.folder)
    assert files.cat(f"ipld://{repository.commits[0]}/g/a/0") == b"0"
    assert files.info(f"{repository.commits[0]}")["cid"] == str(repository.roots[0])


@pytest.fixture(params=["folder", "network"])
def files(request, repository):
    blocks = repository.folder
    if request.param == "network":
        blocks = RemoteWithPointers(repository.folder)
    return fsspec.filesystem("ipld", blocks=blocks, skip_instance_cache=True)


class RemoteWithPointers(RemoteCAStore):
    def read_pointer(self, name):
        return self.folder.read_pointer(name)

    def swap_pointer(self, name, old, new):
        raise NotImplementedError

    def iter_pointers(self):
        return self.folder.iter_pointers()


def test_a_file_system(files, repository):
    top = "ipld:///main~1"
    assert files.ls(top, detail=False) == ["/main~1/.zgroup", "/main~1/g"]
    assert files.find(top) == ["/main~1/.zgroup", "/main~1/g/a/0"]
    assert files.glob(f"{top}/*/a/?") == ["/main~1/g/a/0"]
    assert files.cat(files.find(top))["/main~1/g/a/0"] == b"0"
    assert files.cat_file(f"{top}/g/a/0") == b"0"
    assert files.info("/main~1")["cid"] == str(repository.roots[0])
    assert files.isdir(f"{top}/g/a/") and files.isfile(f"{top}/g/a/0?blocks=ignored")
    assert not files.exists(f"{top}/none")
    with pytest.raises(FileNotFoundError):
        files.cat_file(f"{top}/none")


def test_it_is_looked_up_once(files, repository):
    assert files.cat_file("ipld:///main/g/a/0") == b"1"
    repository.move(0)
    assert files.cat_file("ipld:///main/g/a/0") == b"1"
    files.invalidate_cache()
    assert files.cat_file("/main/g/a/0") == b"1"


def test_each_url_that_is_opened_is_looked_up(repository):
    url = f"ipld:///main/g/a/0?blocks={repository.folder}"
    first, path = url_to_fs(url)
    assert (path, first.cat_file(path)) == ("/main/g/a/0", b"1")
    repository.move(0)
    second, path = url_to_fs(url)
    assert second.cat_file(path) == b"0"
    assert first.cat_file(path) == b"1"
    assert first != second
    assert first.__dask_tokenize__() != second.__dask_tokenize__()


def read(files, path):
    return files.cat_file(path)


def test_copies_read_the_same(repository):
    url = f"ipld:///main/g/a/0?blocks={repository.folder}"
    files, path = url_to_fs(url)
    assert files.cat_file(path) == b"1"
    repository.move(0)
    copy = pickle.loads(pickle.dumps(files))
    assert copy is not files
    assert copy == files
    assert copy.cat_file(path) == b"1"
    again = pickle.loads(pickle.dumps(copy))
    assert again.cat_file(path) == b"1"
    unused, _ = url_to_fs(url)
    assert pickle.loads(pickle.dumps(unused)).cat_file(path) == b"0"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(read, (files, path)) == b"1"


def test_json(repository):
    files, path = url_to_fs(f"ipld:///main~/g/a/0?blocks={repository.folder}")
    again = IPLDFileSystem.from_json(json.dumps(json.loads(files.to_json())))
    assert again.cat_file(path) == b"0"


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("ipld:///mian/x", RevisionError, "no branch or tag 'mian': did you mean 'main'"),
        ("ipld:///main~7/x", RevisionError, "'~7' goes 7 commits back from 'main', which has 1"),
        ("ipld:///main~x/x", RevisionError, "'main~x' is no revision"),
        ("ipld:///%ff/x", RevisionError, "'%ff' is not UTF-8, percent-encoded"),
        ("ipld:///feature/x", RevisionError, "no branch or tag 'feature'"),
        (
            "ipld://main~1/x",
            InvalidCIDError,
            "three slashes before it, ipld:///main~1?blocks=STORE",
        ),
        ("ipld://main/x", InvalidCIDError, "not a CID: 'main': expected text such as bafyrei"),
        ("ipld:///", FileNotFoundError, "names no root: expected ipld://CID/path, or ipld:///REV"),
    ],
)
def test_mistakes(files, url, error, message):
    for call in (files.cat_file, files.ls, files.info, files.exists):
        if call != files.exists or error is not FileNotFoundError:
            with pytest.raises(error) as caught:
                call(url)
            assert message in str(caught.value)


def test_without_a_repository(tmp_path):
    files = fsspec.filesystem("ipld", blocks=DirectoryCAStore(tmp_path / "blocks"))
    with pytest.raises(RepositoryNotFoundError, match="no repository 'default' in"):
        files.ls("ipld:///main")


def test_zarr_and_xarray(repository):
    xarray = pytest.importorskip("xarray")
    store = IPLDStore(repository.blocks)
    dataset = xarray.Dataset({"t": ("x", [1.0, 2.0])})
    dataset.to_zarr(store, group="g", consolidated=False)
    history = History(repository.blocks)
    tip = history.commit(root=as_link(store.freeze()))
    put_state(repository.blocks, make_state({"main": tip}))
    for options in (
        {"group": "g"},
        {"storage_options": {"blocks": repository.folder}, "group": "g"},
    ):
        query = "" if "storage_options" in options else f"?blocks={repository.folder}"
        opened = xarray.open_zarr(f"ipld:///main{query}", consolidated=False, **options)
        xarray.testing.assert_identical(opened.compute(), dataset)
    below = xarray.open_zarr(f"ipld:///main/g?blocks={repository.folder}", consolidated=False)
    xarray.testing.assert_identical(below.compute(), dataset)
