"""What `ipld://` answers for paths of every kind: fsspec's LocalFileSystem is the oracle."""

import os

import fsspec
import pytest

from ipldstore import IPLDStore

CONTENT = {"a/0": b"value", "a/b/1": b"x", "lines": b"one\ntwo\n", "empty": b""}
PATHS = ["", "/", "/a", "/a/", "/a/b", "/a/0", "/lines", "/empty", "/absent", "/a/absent"]


def read(files, path, mode):
    with files.open(path, mode) as file:
        return file.read()


def get(method, **options):
    def run(files, path, target):
        getattr(files, method)(path, target, **options)
        inside = os.walk(target)
        return os.path.isfile(target), sorted((top[len(target) :], *rest) for top, *rest in inside)

    return run


def listing(method, **options):
    def run(files, path, target):
        top = files._strip_protocol(path)
        return sorted(name.removeprefix(top) for name in getattr(files, method)(path, **options))

    return run


def walk(files, path, target):
    top = files._strip_protocol(path)
    found = files.walk(path, on_error="raise")
    return [(place.removeprefix(top), sorted(dirs), sorted(names)) for place, dirs, names in found]


METHODS = {
    "open": lambda files, path, _: read(files, path, "rb"),
    "open as text": lambda files, path, _: read(files, path, "r"),
    "cat": lambda files, path, _: files.cat(path),
    "cat_file": lambda files, path, _: files.cat_file(path),
    "cat_file from the end": lambda files, path, _: files.cat_file(path, start=-3),
    "cat_file beyond the end": lambda files, path, _: files.cat_file(path, start=50, end=60),
    "cat a pattern": lambda files, path, _: files.cat(f"{path}/*", on_error="omit").values(),
    "cat_ranges": lambda files, path, _: files.cat_ranges([path], [0], [2], on_error="raise"),
    "cat_ranges returned": lambda files, path, _: files.cat_ranges([path], [0], [2]),
    "read_block": lambda files, path, _: files.read_block(path, 1, 3, b"\n"),
    "read_bytes": lambda files, path, _: files.read_bytes(path),
    "read_text": lambda files, path, _: files.read_text(path),
    "head": lambda files, path, _: files.head(path, 3),
    "tail": lambda files, path, _: files.tail(path, 3),
    "get_file": get("get_file"),
    "get": get("get"),
    "get recursive": get("get", recursive=True),
    "download": get("download"),
    "exists": lambda files, path, _: files.exists(path),
    "isfile": lambda files, path, _: files.isfile(path),
    "isdir": lambda files, path, _: files.isdir(path),
    "type": lambda files, path, _: files.info(path)["type"],
    "ls": listing("ls", detail=False),
    "find": listing("find"),
    "find with directories": listing("find", withdirs=True),
    "find a level": listing("find", maxdepth=1),
    "expand_path": listing("expand_path", recursive=True),
    "get_mapper": lambda files, path, _: sorted(files.get_mapper(path)),
    "walk": walk,
}


def outcome(method, files, path, target):
    """What a method gives, with exceptions by their class."""
    try:
        found = METHODS[method](files, path, str(target))
    except OSError as error:
        return type(error)
    if isinstance(found, bytes | str | bool | tuple):
        return found
    return [type(part) if isinstance(part, Exception) else part for part in found]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same files as a hierarchy and on a disk, each with the path of its top."""
    store, disk = IPLDStore(), tmp_path_factory.mktemp("disk")
    for key, value in CONTENT.items():
        store[key] = value
        (disk / key).parent.mkdir(parents=True, exist_ok=True)
        (disk / key).write_bytes(value)
    ours = fsspec.filesystem("ipld", blocks=store.backend)
    return (ours, str(store.freeze())), (fsspec.filesystem("file"), str(disk))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_answered_as_on_a_disk(both, method, path, tmp_path):
    ours, disk = (
        outcome(method, files, top + path, tmp_path / name)
        for name, (files, top) in zip(("ours", "disk"), both, strict=True)
    )
    assert ours == disk


@pytest.mark.parametrize("method", ["open", "cat", "cat_ranges", "read_block", "head", "tail"])
def test_a_directory_is_not_opened(both, method, tmp_path):
    for files, top in both:
        for path in (top, f"{top}/a", f"{top}/a/"):
            assert outcome(method, files, path, tmp_path) is IsADirectoryError


def test_below_a_file_there_is_nothing(both):
    """A disk says NotADirectoryError, which readers of Zarr do not take for an absent chunk."""
    (ours, root), (disk, top) = both
    with pytest.raises(FileNotFoundError):
        ours.cat_file(f"{root}/lines/0")
    with pytest.raises(NotADirectoryError):
        disk.cat_file(f"{top}/lines/0")
