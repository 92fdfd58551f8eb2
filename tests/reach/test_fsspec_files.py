"""The protocol ipld of fsspec: listing, reading, ranges, caching, and what it refuses."""

import asyncio
import multiprocessing
import pickle
import shutil
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from ipldstore import (
    BlockNotFoundError,
    CorruptBlockError,
    DirectoryCAStore,
    InvalidCIDError,
    IPLDStore,
    LimitExceededError,
    MappingCAStore,
    ReadOnlyStoreError,
)
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import as_link, make_link, to_text
from ipldstore.errors import BlockStoreNotFoundError, BlockStoreURLError
from ipldstore.fsspec import IPLDFileSystem

ABSENT = "bafyreibf3yn5ovxhrcwwdg4sm5sinnkwoyfx3wswghbjchz4zvwt55bhte"


class RemoteCAStore(ContentAddressableStore):
    """A folder that behaves like a network: event loops have to use the asynchronous methods."""

    def __init__(self, folder):
        super().__init__()
        self.folder = DirectoryCAStore(folder)
        self.most = self.under_way = 0

    def get_raw(self, cid):
        return self.folder.get_raw(cid)

    async def get_raw_async(self, cid):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return self.folder.get_raw(cid)

    def put_block(self, cid, data):
        raise NotImplementedError


@pytest.fixture(params=["folder", "network", "car"])
def files(request, mixed):
    if request.param == "network":
        return fsspec.filesystem("ipld", blocks=RemoteCAStore(mixed.blocks))
    return fsspec.filesystem("ipld", blocks=mixed.car if request.param == "car" else mixed.blocks)


@pytest.fixture
def local(tmp_path, values):
    """The same files in a folder: what fsspec itself makes of them."""
    for key, value in values.items():
        path = tmp_path / "files" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)
    return LocalFileSystem(), str(tmp_path / "files")


def below(top, names):
    return sorted(name[len(top) :] for name in names)


def test_registered_by_entry_point():
    assert fsspec.get_filesystem_class("ipld") is IPLDFileSystem


def test_listings_are_those_of_a_folder(files, mixed, local):
    theirs, folder = local
    for path in ("", "/a", "/a/", "/a/b c%20d", "/many", "/a/0"):
        ours = files.ls(mixed.root + path, detail=False)
        assert below(mixed.root, ours) == below(folder, theirs.ls(folder + path, detail=False))
    assert below(mixed.root, files.find(mixed.root)) == below(folder, theirs.find(folder))
    for pattern in ("/*/0", "/many/1?", "/**/.zattrs", "/a/[01]", "/none*"):
        ours, expected = files.glob(mixed.root + pattern), theirs.glob(folder + pattern)
        assert below(mixed.root, ours) == below(folder, expected)
    walked = {top[len(mixed.root) :]: set(names) for top, _, names in files.walk(mixed.root)}
    assert walked == {top[len(folder) :]: set(names) for top, _, names in theirs.walk(folder)}
    assert files.du(mixed.root) == sum(map(len, local_values(theirs, folder)))


def local_values(theirs, folder):
    return theirs.cat(theirs.find(folder)).values()


def test_infos(files, mixed, values):
    for key, value in values.items():
        if not key.startswith("many/1"):
            info = files.info(f"ipld://{mixed.root}/{key}")
            assert (info["type"], info["size"]) == ("file", len(value))
            assert info["name"] == f"{mixed.root}/{key}"
    # the CID that `ipfs block put` gives these five bytes
    assert files.info(f"{mixed.root}/a/0")["cid"] == to_text(make_link(b"first", "raw"))
    assert files.info(mixed.root) == {
        "name": mixed.root,
        "type": "directory",
        "size": 0,
        "cid": mixed.root,
    }
    listed = {info["name"]: info for info in files.ls(f"{mixed.root}/a", detail=True)}
    known = {5, 0} if files.blocks.inline_limit else {None}
    assert {listed[f"{mixed.root}/a/{name}"]["size"] for name in (0, 1)} == known
    assert {info["type"] for info in listed.values()} == {"file", "directory"}


def test_values_and_ranges(files, mixed, values):
    assert files.cat(files.find(mixed.root)) == {
        f"{mixed.root}/{key}": value for key, value in values.items()
    }
    ranges = [(None, None), (0, 3), (2, None), (-4, None), (None, -2), (1, -1), (3, 99), (7, 2)]
    for key in ("a/0", "a/1", "large/0", ".zattrs"):
        for start, end in ranges:
            if (start or 0) > (len(values[key]) if end is None else end) >= 0:
                expected = b""
            else:
                expected = values[key][start:end]
            assert files.cat_file(f"{mixed.root}/{key}", start=start, end=end) == expected
    starts = [0, 1_048_570, 2_400_000]
    found = files.cat_ranges([f"{mixed.root}/large/0"] * 3, starts, [at + 20 for at in starts])
    assert found == [values["large/0"][at : at + 20] for at in starts]


def test_open_files(files, mixed, values):
    with files.open(f"ipld://{mixed.root}/large/0", "rb") as file:
        file.seek(1_048_570)
        assert file.read(20) == values["large/0"][1_048_570:1_048_590]
        assert file.size == len(values["large/0"])
    with files.open(f"{mixed.root}/.zattrs", "r", encoding="utf-8") as file:
        assert file.read() == '{"place":"Köln"}'


def test_existence(files, mixed):
    assert files.exists(mixed.root) and files.isdir(mixed.root) and not files.isfile(mixed.root)
    assert files.isdir(f"{mixed.root}/a") and files.isfile(f"ipld://{mixed.root}/a/0")
    for path in ("a/9", "none", "a/0/below", "a/../x", ".zgroup/x", "a//0", "\0"):
        assert not files.exists(f"{mixed.root}/{path}")
        with pytest.raises(FileNotFoundError):
            files.cat_file(f"{mixed.root}/{path}")
        with pytest.raises(FileNotFoundError):
            files.info(f"{mixed.root}/{path}")
        with pytest.raises(FileNotFoundError):
            files.ls(f"{mixed.root}/{path}")
    with pytest.raises(IsADirectoryError):
        files.cat_file(f"{mixed.root}/a")
    with pytest.raises(FileNotFoundError, match="names no root: expected ipld://CID/path"):
        files.ls("ipld://")
    with pytest.raises(InvalidCIDError, match="not a CID: 'nonsense'"):
        files.exists("ipld://nonsense/a")


def test_get_copies_a_tree(files, mixed, values, tmp_path):
    files.get(f"{mixed.root}/", str(tmp_path / "out"), recursive=True)
    copied = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert copied == values


def test_nothing_is_written(files, mixed, tmp_path):
    target = f"{mixed.root}/a/0"
    (tmp_path / "x").write_bytes(b"x")
    for write in (
        lambda: files.pipe(target, b"x"),
        lambda: files.put(str(tmp_path / "x"), target),
        lambda: files.rm(target),
        lambda: files.rm_file(target),
        lambda: files.rmdir(f"{mixed.root}/a"),
        lambda: files.mv(target, f"{mixed.root}/new"),
        lambda: files.touch(f"{mixed.root}/new"),
        lambda: files.mkdir(f"{mixed.root}/new"),
        lambda: files.makedirs(f"{mixed.root}/new"),
        lambda: files.cp(target, f"{mixed.root}/new"),
        lambda: files.open(target, "wb"),
    ):
        with pytest.raises(ReadOnlyStoreError, match="only read"):
            write()


@pytest.fixture
def damaged(mixed, tmp_path):
    """A copy of the blocks: one gone, one with other bytes, one at the top of a subtree."""
    blocks = tmp_path / "blocks"
    shutil.copytree(mixed.blocks, blocks)
    store = IPLDStore(DirectoryCAStore(blocks), root=mixed.root)
    name_of = store.backend._file_name
    for key, data in {"many/1": None, "many/2": b"other", "large/0": None}.items():
        path = name_of(as_link(store._find(key)))
        if data is None:
            shutil.os.unlink(path)
        else:
            with open(path, "wb") as file:
                file.write(data)
    return blocks


@pytest.fixture(params=["folder", "network"])
def damaged_files(request, damaged):
    store = RemoteCAStore(damaged) if request.param == "network" else str(damaged)
    return fsspec.filesystem("ipld", blocks=store)


def test_a_lost_block_is_never_a_missing_key(damaged_files, mixed):
    files, top = damaged_files, mixed.root
    for key, error in {
        "many/1": BlockNotFoundError,
        "many/2": CorruptBlockError,
        "large/0": BlockNotFoundError,
    }.items():
        assert not issubclass(error, OSError | KeyError)
        with pytest.raises(error) as raised:
            files.cat_file(f"{top}/{key}")
        assert raised.value.__notes__ == [f"while reading '{top}/{key}'"]
        for on_error in ("raise", "omit", "return"):
            with pytest.raises(error):
                files.cat([f"{top}/a/0", f"{top}/{key}"], on_error=on_error)
        mapper = files.get_mapper(top)
        with pytest.raises(error):
            mapper[key]
        with pytest.raises(error):
            mapper.getitems(["a/0", key], on_error="omit")
    missing = f"{top}/a/9"
    assert files.cat([missing, f"{top}/a/0"], on_error="omit") == {f"{top}/a/0": b"first"}
    assert isinstance(files.cat([missing], on_error="return")[missing], FileNotFoundError)
    for call in (files.exists, files.isdir, files.isfile, files.info, files.ls, files.find):
        with pytest.raises(BlockNotFoundError):
            call(ABSENT)


def test_many_values_at_once(mixed):
    store = RemoteCAStore(mixed.blocks)
    files = fsspec.filesystem("ipld", blocks=store)
    assert len(files.cat(files.glob(f"{mixed.root}/many/1*"))) == 111
    assert store.most > 10


async def test_on_the_callers_own_loop(mixed, values):
    files = fsspec.filesystem("ipld", blocks=mixed.blocks, asynchronous=True)
    assert await files._cat_file(f"{mixed.root}/large/0", 5, 9) == values["large/0"][5:9]
    assert await files._isdir(mixed.root)
    assert len(await files._find(mixed.root)) == len(values)


# fsspec leaves the file of a block cache open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_caching_protocols(cache, mixed, values, tmp_path):
    options = {"ipld": {"blocks": mixed.blocks}, cache: {"cache_storage": str(tmp_path / "cache")}}
    for _ in range(2):
        with fsspec.open(f"{cache}::ipld://{mixed.root}/large/0", **options) as file:
            assert file.read() == values["large/0"]
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*")) >= 2_500_000


def test_instances_do_not_mix_stores(mixed, real, tmp_path, monkeypatch):
    one, same, other = (
        fsspec.filesystem("ipld", blocks=blocks)
        for blocks in (mixed.blocks, mixed.blocks, real.car)
    )
    assert one is same and one == same and hash(one) == hash(same) and one != other
    empty, full = MappingCAStore(), MappingCAStore()
    root = IPLDStore(full)
    root["x"] = b"y"
    name = f"{root.freeze()}/x"
    first, second = (fsspec.filesystem("ipld", blocks=store) for store in (empty, full))
    assert first is not second and first != second
    assert second.cat(name) == b"y"
    with pytest.raises(BlockNotFoundError):
        first.cat(name)
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        DirectoryCAStore("blocks").put(folder.encode())
        assert fsspec.filesystem("ipld", blocks="blocks").backend.path.parent.name == folder


def test_blocks_from_the_environment(mixed, real, monkeypatch):
    with pytest.raises(BlockStoreURLError, match="name a block store with blocks= or the env"):
        fsspec.filesystem("ipld")
    for written in (mixed, real):
        monkeypatch.setenv("IPLDSTORE_BLOCKS", written.blocks)
        assert fsspec.filesystem("ipld").isdir(written.root)
    monkeypatch.setitem(fsspec.config.conf, "ipld", {"blocks": mixed.car})
    assert fsspec.filesystem("ipld").backend.path == Path(mixed.car)


def test_wrong_options(mixed, tmp_path):
    with pytest.raises(BlockStoreNotFoundError, match="no folder of blocks"):
        fsspec.filesystem("ipld", blocks=str(tmp_path / "none"))
    with pytest.raises(TypeError, match=r"takes no option 'timeuot': expected .*fsync"):
        fsspec.filesystem("ipld", blocks=mixed.blocks, timeuot=3)
    with pytest.raises(TypeError, match="timeout: a block store that is open takes no options"):
        fsspec.filesystem("ipld", blocks=MappingCAStore(), timeout=3)


def read_elsewhere(pickled, path):
    files = pickle.loads(pickled)
    return files.cat_file(path)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_other_processes(method, mixed):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    files = fsspec.filesystem("ipld", blocks=mixed.blocks)
    path = f"{mixed.root}/a/0"
    assert files.cat_file(path) == b"first"
    again = pickle.loads(pickle.dumps(files))
    assert again is files
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(read_elsewhere, (pickle.dumps(files), path)) == b"first"


def test_by_json(mixed):
    files = fsspec.filesystem("ipld", blocks=mixed.blocks)
    again = fsspec.AbstractFileSystem.from_json(files.to_json())
    assert again.cat_file(f"{mixed.root}/a/0") == b"first"


@pytest.fixture
def endless():
    """Files on 2^40 keys, in 41 blocks."""
    backend = MappingCAStore()
    cid = backend.put(b"x")
    for _ in range(40):
        cid = backend.put({"a": cid, "b": cid})
    return fsspec.filesystem("ipld", blocks=backend, skip_instance_cache=True), str(cid)


@pytest.mark.parametrize("way", ["find", "du", "expand_path"])
def test_what_lists_everything_refuses_what_has_no_end(endless, way):
    files, root = endless
    options = {"recursive": True} if way == "expand_path" else {}
    with pytest.raises(LimitExceededError, match="1,099,511,627,776 keys"):
        getattr(files, way)(root, **options)
    with pytest.raises(LimitExceededError, match="549,755,813,888 keys"):
        getattr(files, way)(f"{root}/a", **options)


@pytest.mark.parametrize(
    "way",
    [
        lambda files, root: list(files.walk(root)),
        lambda files, root: files.find(root, maxdepth=39),
        lambda files, root: files.du(root, maxdepth=39),
        lambda files, root: files.glob(root + "/*" * 30),
    ],
)
def test_what_goes_so_deep_ends_at_the_limit(monkeypatch, endless, way):
    monkeypatch.setattr("ipldstore.fsspec.MAX_HELD_KEYS", 100)
    files, root = endless
    with pytest.raises(LimitExceededError, match="more than 100 "):
        way(files, root)


def test_a_few_files_of_what_has_no_end_are_listed(endless):
    files, root = endless
    assert files.find(root, maxdepth=1, withdirs=True) == [root, f"{root}/a", f"{root}/b"]
    assert files.find(f"{root}" + "/a" * 38) == sorted(
        f"{root}{'/a' * 38}/{name}" for name in ("a/a", "a/b", "b/a", "b/b")
    )
