"""Pointers in a folder of blocks: their files, and what may be wrong with them."""

import errno
import os
import re
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from crash_script import DIED

from ipldstore import BackendError, DirectoryCAStore
from ipldstore.backends import numbered
from ipldstore.backends.directory.pointers import PointerFiles
from ipldstore.cid import make_link
from ipldstore.testing import HELLO_RAW

pytestmark = pytest.mark.once

SCRIPT = Path(__file__).with_name("crash_script.py")
A, B, C = map(make_link, (b"a", b"b", b"c"))
VALUE = HELLO_RAW.encode() + b" 000102030405060708090a0b0c0d0e0f\n"


@pytest.fixture
def backend(tmp_path):
    return DirectoryCAStore(tmp_path / "blocks")


@pytest.fixture
def folder(backend):
    """The folder of a pointer that is at A."""
    backend.swap_pointer("default", None, A)
    return backend.path / "ipldstore" / "pointer-default"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def move(backend, times):
    for _ in range(times):
        at = backend.read_pointer("default")
        assert backend.swap_pointer("default", at, B if at == A else A)


def check_fails(backend, match):
    for use in (
        lambda: backend.read_pointer("default"),
        lambda: backend.swap_pointer("default", A, B),
        lambda: backend.swap_pointer("default", None, B),
    ):
        with pytest.raises(BackendError, match=match):
            use()


def test_golden_files(backend, folder):
    backend.swap_pointer("default", A, make_link(b"hello"))
    assert names_in(folder) == ["0000000000000001", "0000000000000002"]
    written = (folder / "0000000000000002").read_bytes()
    assert re.fullmatch(HELLO_RAW.encode() + rb" [0-9a-f]{32}\n", written)
    assert names_in(backend.path) == ["SHARDING", "ipldstore"]


def test_golden_value(backend, folder):
    (folder / "0000000000000009").write_bytes(VALUE)
    assert str(backend.read_pointer("default")) == HELLO_RAW


def test_last_thousand_files_stay(backend, folder, monkeypatch):
    assert PointerFiles.kept == 1000
    monkeypatch.setattr(PointerFiles, "kept", 5)
    move(backend, 22)
    assert names_in(folder) == [f"{number:016}" for number in range(19, 24)]
    assert backend.read_pointer("default") == A


@pytest.mark.parametrize("moves", [3, 4, 5, 6, 30])
def test_who_is_overtaken_is_not_told_that_it_moved(backend, folder, monkeypatch, moves):
    """Its number is free again where the file of it was removed."""
    real = PointerFiles.make

    def make(*arguments):
        monkeypatch.setattr(PointerFiles, "make", real)
        move(backend, moves)
        return real(*arguments)

    monkeypatch.setattr(PointerFiles, "kept", 5)
    monkeypatch.setattr(numbered, "FEWEST", 5)
    monkeypatch.setattr(PointerFiles, "make", make)
    before = backend.read_pointer("default")
    try:
        has_moved = backend.swap_pointer("default", before, C)
    except BackendError as error:
        assert "cannot be told" in str(error)
        assert moves > 5
    else:
        # it is found where it was after an even number of moves
        assert has_moved == (moves <= 5 and moves % 2 == 0)
    assert (backend.read_pointer("default") == C) == (moves == 4)
    assert backend.swap_pointer("default", backend.read_pointer("default"), C)
    assert len(names_in(folder)) <= 5


def test_file_that_was_made_in_spite_of_the_answer(backend, folder, monkeypatch):
    """A network file system repeats what it had no answer to, and finds what it did before."""

    def link(existing, name):
        monkeypatch.undo()
        os.link(existing, name)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)

    monkeypatch.setattr(os, "link", link)
    assert backend.swap_pointer("default", A, B)
    assert backend.read_pointer("default") == B
    assert names_in(folder) == ["0000000000000001", "0000000000000002"]


def test_file_that_a_listing_does_not_show_yet(backend, folder, monkeypatch):
    real = os.listdir
    backend.swap_pointer("default", A, B)
    monkeypatch.setattr(os, "listdir", lambda path: [n for n in real(path) if n[-1] != "2"])
    assert backend.read_pointer("default") == A
    assert not backend.swap_pointer("default", A, C)
    monkeypatch.undo()
    assert backend.swap_pointer("default", B, C)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, None])
def test_file_system_without_hard_links(backend, folder, monkeypatch, number):
    def link(existing, name):
        raise OSError(number, os.strerror(number), name)

    if number is None:
        monkeypatch.delattr(os, "link")
    else:
        monkeypatch.setattr(os, "link", link)
    with pytest.raises(BackendError, match="no hard links: keep it in a SQLiteCAStore"):
        backend.swap_pointer("default", A, B)
    monkeypatch.undo()
    assert names_in(folder) == ["0000000000000001"]
    assert backend.swap_pointer("default", A, B)


@pytest.mark.parametrize("content", [b"", bytes(93), VALUE[:-1], VALUE + b"\0", b"x" * 512])
def test_damaged_file_is_an_error_until_it_is_gone(backend, folder, content):
    """Nothing goes back by itself: a file is on the disk before it has its name."""
    damaged = folder / "0000000000000002"
    damaged.write_bytes(content)
    check_fails(backend, r"0002' is damaged: .* without it the one before counts")
    assert list(backend.iter_pointers()) == ["default"]
    damaged.unlink()
    assert backend.read_pointer("default") == A


def test_damaged_file_that_is_not_the_last_one(backend, folder):
    (folder / "0000000000000001").write_bytes(b"")
    (folder / "0000000000000002").write_bytes(VALUE)
    assert backend.swap_pointer("default", make_link(b"hello"), B)


def test_large_file(backend, folder):
    (folder / "0000000000000002").write_bytes(VALUE * 6)
    check_fails(backend, "558 bytes, at most 512")


def test_what_is_no_file(backend, folder):
    os.mkfifo(folder / "0000000000000002")
    check_fails(backend, "not a regular file")


def test_file_that_is_listed_and_not_there(backend, folder):
    (folder / "0000000000000002").symlink_to("nothing")
    check_fails(backend, "0002' is listed, and not there")


def test_last_number(backend, folder):
    (folder / "9999999999999999").write_bytes(VALUE)
    with pytest.raises(BackendError, match="no number is left"):
        backend.swap_pointer("default", make_link(b"hello"), B)


def test_other_files_are_left_alone(backend, folder):
    others = [
        "2",
        "00000000000000002",
        "000000000000000٢",
        "notes",
        ".put-1-abandoned",
        "-000000000000002",
    ]
    for name in others:
        (folder / name).write_bytes(b"not ours")
    for name in ("pointer-A", "pointer-", "pointer-empty", "other"):
        (folder.parent / name).mkdir()
    assert list(backend.iter_pointers()) == ["default"]
    assert backend.read_pointer("empty") is None
    assert backend.swap_pointer("default", A, B)
    assert {(folder / name).read_bytes() for name in others} == {b"not ours"}


def test_file_where_the_folder_should_be(backend):
    (backend.path / "ipldstore").write_bytes(b"in the way")
    assert DirectoryCAStore(backend.path).get(backend.put(b"hello")) == b"hello"
    check_fails(backend, "Not a directory")
    with pytest.raises(BackendError, match="Not a directory"):
        list(backend.iter_pointers())


@pytest.mark.parametrize("remove", ["all in it", "it"])
def test_a_folder_that_was_emptied_takes_no_pointer(backend, remove):
    shutil.rmtree(backend.path)
    if remove == "all in it":
        backend.path.mkdir()
    with pytest.raises(BackendError, match=r"emptied or removed .* make a new DirectoryCAStore"):
        backend.swap_pointer("default", None, A)
    assert not backend.path.exists() or names_in(backend.path) == []


# a look for the highest file, what is in it, the new file, and a look for a higher one
SWAP = "listdir open file open open write fsync close link unlink listdir"
SYNCED = " ".join(["open fsync close"] * 3)


def swap_and_die(folder, step, fsync):
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(step), str(fsync), str(A), str(B)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("fsync", [False, True])
def test_death_at_every_step(tmp_path, fsync):
    for step in count():
        backend = DirectoryCAStore(tmp_path / str(step), fsync=fsync)
        backend.swap_pointer("default", None, A)
        result = swap_and_die(backend.path, step, fsync)
        at = backend.read_pointer("default")
        assert at in (A, B)
        assert backend.swap_pointer("default", at, C)
        if result.returncode == 0:
            break
        assert result.returncode == DIED, result.stderr
    # the store itself is opened first
    expected = SWAP.replace("unlink", f"unlink {SYNCED}") if fsync else SWAP
    assert result.stdout.endswith(expected)
    assert at == B


def test_what_has_the_name_of_a_pointer_and_is_none(backend, folder, tmp_path):
    """Others may put anything there: it is no pointer, and hides none."""
    (folder.parent / "pointer-file").write_bytes(VALUE)
    (folder.parent / "pointer-loop").symlink_to("pointer-loop")
    (folder.parent / "pointer-zero").mkdir()
    (folder.parent / "pointer-zero" / f"{0:016}").write_bytes(VALUE)
    assert list(backend.iter_pointers()) == ["default"]
    assert backend.read_pointer("zero") is None


def test_a_link_that_leads_nowhere_is_an_error(backend, folder):
    (folder.parent / "pointer-nowhere").symlink_to(backend.path / "missing" / "folder")
    with pytest.raises(BackendError, match="cannot move pointer 'nowhere'"):
        backend.swap_pointer("nowhere", None, A)


def test_a_number_that_is_always_taken_is_an_error(backend, folder, monkeypatch):
    monkeypatch.setattr(PointerFiles, "make", lambda *arguments: False)
    with pytest.raises(BackendError, match="is taken, and not there") as caught:
        backend.swap_pointer("default", A, B)
    assert caught.value.retryable


def test_a_folder_that_went_is_no_absence(backend, folder):
    shutil.rmtree(backend.path)
    for use in (
        lambda: backend.read_pointer("default"),
        lambda: list(backend.iter_pointers()),
        lambda: backend.swap_pointer("default", A, B),
    ):
        with pytest.raises(BackendError, match="was emptied or removed"):
            use()
