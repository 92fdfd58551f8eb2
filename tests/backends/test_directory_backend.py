"""Blocks in a folder: the contract, the names and places of files, and folders it refuses."""

import os
import shutil

import pytest

from ipldstore import BackendError, DirectoryCAStore
from ipldstore.cid import as_link
from ipldstore.testing import JournalTests

SHARDING = b"/repo/flatfs/shard/v1/next-to-last/2\n"

# The multihash in upper-case base32, as flatfs names its files; for instance
#   (printf '\x12\x20'; printf hello | openssl sha256 -binary) | base32 -w0
FILES = {
    ("raw", b"hello"): "QJ/CIQCZ4SNXJP3BIYOE3UDWKWFXHRJ4GYWDZOB7J2CLZZQIM3CSOFZQJA.data",
    ("dag-cbor", b"hello"): "QJ/CIQCZ4SNXJP3BIYOE3UDWKWFXHRJ4GYWDZOB7J2CLZZQIM3CSOFZQJA.data",
    ("raw", b""): "QV/CIQOHMGEIKMPYHAUTL57JSEZN64SIJ5OIHSGJG4TJSSJLGI3PBJLQVI.data",
}


class DirectoryTests(JournalTests):
    def corrupt(self, backend, cid):
        (file,) = backend.path.glob("??/*.data")
        file.write_bytes(b"damaged")


class TestDirectory(DirectoryTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        return DirectoryCAStore(folder / "blocks", default_hash=default_hash)


class TestDirectoryWithFsync(DirectoryTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        return DirectoryCAStore(folder / "blocks", default_hash=default_hash, fsync=True)


@pytest.fixture
def backend(tmp_path):
    return DirectoryCAStore(tmp_path / "blocks")


def files_in(folder):
    return sorted(
        str(path.relative_to(folder)).replace(os.sep, "/")
        for path in folder.rglob("*")
        if path.is_file()
    )


@pytest.mark.parametrize("block", FILES)
def test_golden_file(backend, block):
    codec, data = block
    backend.put_raw(data, codec)
    assert files_in(backend.path) == sorted([FILES[block], "SHARDING"])
    assert (backend.path / FILES[block]).read_bytes() == data


def test_golden_file_of_another_hash_function(tmp_path):
    # the same with \xa0\xe4\x02\x20 and the digest that `b2sum -l 256` prints
    DirectoryCAStore(tmp_path, default_hash="blake2b-256").put_raw(b"hello", "raw")
    assert files_in(tmp_path) == [
        "SHARDING",
        "SZ/UDSAEIBSJXHQE7OUUMFJGLCED43FUJPINMLT335EXDSYSSBFGRY3QG3SZ4.data",
    ]


def test_golden_sharding_file(backend):
    assert (backend.path / "SHARDING").read_bytes() == SHARDING


def test_two_codecs_share_a_file(backend):
    backend.put_raw(b"hello", "raw")
    backend.put_raw(b"hello", "dag-cbor")
    assert len(files_in(backend.path)) == 2


def test_parents_of_the_folder_are_made(tmp_path):
    backend = DirectoryCAStore(str(tmp_path / "a" / "b"))
    assert backend.get(backend.put(b"hello")) == b"hello"


def test_folder_is_opened_again(backend):
    cid = backend.put(b"hello")
    assert DirectoryCAStore(backend.path).get(cid) == b"hello"


def test_relative_path_survives_a_change_of_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backend = DirectoryCAStore("blocks")
    cid = backend.put(b"hello")
    monkeypatch.chdir(tmp_path.parent)
    assert backend.get(cid) == b"hello"


def test_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("content")
    with pytest.raises(BackendError, match="SHARDING"):
        DirectoryCAStore(tmp_path)
    assert files_in(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize(
    "sharding",
    [
        b"",
        b"/repo/flatfs/shard/v1/next-to-last/3\n",
        b"/repo/flatfs/shard/v1/prefix/2\n",
        b"\xff" * 1000,
    ],
)
def test_folder_with_another_sharding_is_refused(tmp_path, sharding):
    (tmp_path / "SHARDING").write_bytes(sharding)
    with pytest.raises(BackendError, match="next-to-last/2"):
        DirectoryCAStore(tmp_path)
    assert (tmp_path / "SHARDING").read_bytes() == sharding


def test_sharding_without_newline_is_accepted(tmp_path):
    (tmp_path / "SHARDING").write_bytes(SHARDING.strip())
    backend = DirectoryCAStore(tmp_path)
    assert backend.get(backend.put(b"hello")) == b"hello"


def test_files_that_are_no_blocks_are_left_alone(backend):
    others = ("_README", ".temp/x", "QJ/.put-1-abandoned", "QJ/notes.txt", "diskUsage.cache")
    for name in others:
        path = backend.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("not ours")
    again = DirectoryCAStore(backend.path)
    assert again.get(again.put(b"hello")) == b"hello"
    assert {(backend.path / name).read_text() for name in others} == {"not ours"}


@pytest.mark.parametrize("damage", [b"", b"hell", b"hellO", b"hello!"])
def test_damaged_file_is_written_again(backend, damage):
    cid = backend.put(b"hello")
    (backend.path / FILES["raw", b"hello"]).write_bytes(damage)
    backend.put(b"hello")
    assert backend.get(cid) == b"hello"
    assert len(files_in(backend.path)) == 2


def test_present_block_is_not_written_again(backend):
    backend.put(b"hello")
    file = backend.path / FILES["raw", b"hello"]
    before = file.stat()
    backend.put(b"hello")
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_deleted_shard_folder_is_made_again(backend):
    cid = backend.put(b"hello")
    shutil.rmtree(backend.path / "QJ")
    assert cid not in backend
    backend.put(b"hello")
    assert backend.get(cid) == b"hello"


def test_size_is_known(backend):
    assert backend.size_of(as_link(backend.put(b"hello"))) == 5


def test_equal_when_the_folder_is(backend, tmp_path):
    assert backend == DirectoryCAStore(backend.path)
    assert hash(backend) == hash(DirectoryCAStore(backend.path))
    assert backend != DirectoryCAStore(tmp_path / "other")
