"""Plain files as Kubo makes them: the same CIDs, and directories of every form of its read."""

import os

import pytest
from plain_cases import CASES, LARGE, chunks

from ipldstore import DirectoryCAStore, InvalidNodeError, IPLDStore
from ipldstore.cli.work.get import write_folder


def add(kubo, folder, *options):
    return kubo.run("add", "-r", "-Q", "--hidden", "--pin=false", *options, folder).decode().strip()


def write(store, folder):
    write_folder(store, folder)
    return folder


def make_folder(folder, files):
    for key, data in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_cid_is_that_of_ipfs_add(kubo, tmp_path, case):
    files, cid = CASES[case]
    store = IPLDStore()
    store.update(files)
    folder = write(store, tmp_path / "files")
    assert add(kubo, folder) == str(store.to_unixfs()) == cid


def test_ipfs_get_gives_the_files_back(kubo, tmp_path):
    store = IPLDStore(DirectoryCAStore(kubo.blocks))
    store.update(
        {
            f"{case}/{key}": data
            for case in ("metadata", "names", "sizes", "deep")
            for key, data in CASES[case][0].items()
        }
    )
    store.update({f"sharded/{key}": data for key, data in chunks(6000).items()})
    expected = write(store, tmp_path / "expected")
    kubo.run("--offline", "get", "--progress=false", "-o", tmp_path / "got", store.to_unixfs())
    assert read_files(tmp_path / "got") == read_files(expected)


def read_files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--cid-version=0", "--raw-leaves=false", "--chunker=size-262144"],
        ["--cid-version=0", "--raw-leaves=false", "--chunker=size-1048576"],
        ["--chunker=size-2000000"],
        ["--chunker=rabin"],
        ["--trickle"],
        ["--max-file-links=2"],
        ["--max-directory-links=8", "--max-hamt-fanout=8"],
        ["--max-directory-links=8", "--max-hamt-fanout=1024"],
        ["--max-directory-links=8", "--max-hamt-fanout=64", "--cid-version=0"],
        ["--inline", "--inline-limit=64"],
        ["--preserve-mode", "--preserve-mtime", "--raw-leaves=false"],
    ],
    ids=" ".join,
)
def test_every_form_is_read_as_the_same_hierarchy(kubo, tmp_path, options):
    files = CASES["metadata"][0] | CASES["names"][0] | CASES["sizes"][0] | chunks(300)
    expected = IPLDStore()
    expected.update(files)
    directory = add(kubo, make_folder(tmp_path / "files", files), *options)
    store = IPLDStore.from_unixfs(directory, DirectoryCAStore(kubo.blocks))
    assert store.root_cid == expected.freeze()
    assert dict(store) == dict(expected)


def test_hierarchy_shares_the_blocks_of_kubo(kubo, tmp_path):
    files = {f"a/{number}": b"shared %d" % number for number in range(40)} | {"large": LARGE}
    directory = add(kubo, make_folder(tmp_path / "files", files))
    before = {path.name for path in kubo.blocks.glob("??/*.data")}
    store = IPLDStore.from_unixfs(f"/ipfs/{directory}", DirectoryCAStore(kubo.blocks))
    assert dict(store) == files
    # the root alone: the directory of links is small and stands in it
    assert len({path.name for path in kubo.blocks.glob("??/*.data")} - before) == 1


def test_empty_directories_are_left_out(kubo, tmp_path):
    folder = make_folder(tmp_path / "files", {"a/0": b"0"})
    (folder / "empty" / "inner").mkdir(parents=True)
    store = IPLDStore.from_unixfs(add(kubo, folder), DirectoryCAStore(kubo.blocks))
    assert list(store) == ["a/0"]


def test_symlink_is_refused(kubo, tmp_path):
    folder = make_folder(tmp_path / "files", {"a/0": b"0"})
    os.symlink("0", folder / "a" / "link")
    with pytest.raises(InvalidNodeError, match="symlink"):
        IPLDStore.from_unixfs(add(kubo, folder), DirectoryCAStore(kubo.blocks))


def test_file_is_no_directory(kubo, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    with pytest.raises(InvalidNodeError, match="UnixFS file, expected a directory"):
        IPLDStore.from_unixfs(add(kubo, path), DirectoryCAStore(kubo.blocks))
