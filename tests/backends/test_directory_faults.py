"""A disk that fails: real faults give BackendError, and nothing half-written stays behind."""

import errno
import pickle
import shutil
import subprocess
import sys

import pytest

from ipldstore import BackendError, DirectoryCAStore
from ipldstore.cid import make_link

HELLO = make_link(b"hello")

LIMITED = """
import resource, sys
from pathlib import Path
from ipldstore import BackendError, BlockNotFoundError, DirectoryCAStore
from ipldstore.cid import make_link

backend = DirectoryCAStore(sys.argv[1])
cid = backend.put(b"hello")
try:
{action}
except BackendError as error:
    print(type(error.__cause__).__name__, error.__cause__.errno, error.retryable)
"""


@pytest.fixture
def backend(tmp_path):
    return DirectoryCAStore(tmp_path / "blocks")


@pytest.fixture
def blocked(backend):
    """A store with a file where the shard folder of the block has to be."""
    (backend.path / "QJ").write_text("in the way")
    return backend


def run_limited(folder, action):
    code = LIMITED.format(action="\n".join("    " + line for line in action))
    result = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_path_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("content")
    with pytest.raises(BackendError, match="file") as caught:
        DirectoryCAStore(tmp_path / "file")
    assert not caught.value.retryable
    assert (tmp_path / "file").read_text() == "content"


def test_path_below_a_file(tmp_path):
    (tmp_path / "file").write_text("content")
    with pytest.raises(BackendError):
        DirectoryCAStore(tmp_path / "file" / "blocks")


def test_path_too_long(tmp_path):
    with pytest.raises(BackendError) as caught:
        DirectoryCAStore(tmp_path / ("x" * 300))
    assert caught.value.__cause__.errno == errno.ENAMETOOLONG
    assert not caught.value.retryable


def test_sharding_that_is_a_folder(tmp_path):
    (tmp_path / "SHARDING").mkdir()
    with pytest.raises(BackendError):
        DirectoryCAStore(tmp_path)


@pytest.mark.parametrize("call", ["get_block", "has", "size_of"])
def test_reading_through_a_file(blocked, call):
    with pytest.raises(BackendError, match=str(HELLO)) as caught:
        getattr(blocked, call)(HELLO)
    assert not caught.value.retryable


def test_writing_through_a_file(blocked):
    with pytest.raises(BackendError, match=str(HELLO)):
        blocked.put(b"hello")
    assert leftovers(blocked.path) == []
    assert (blocked.path / "QJ").read_text() == "in the way"


def test_folder_in_place_of_a_block(backend):
    backend.put(b"hello")
    (file,) = backend.path.glob("??/*.data")
    file.unlink()
    file.mkdir()
    with pytest.raises(BackendError):
        backend.get_block(HELLO)
    (file / "content").touch()
    with pytest.raises(BackendError):
        backend.put(b"hello")
    assert leftovers(backend.path) == []


def test_loop_of_symbolic_links(backend):
    (backend.path / "QJ").symlink_to("QJ")
    for call in (backend.get_block, backend.has):
        with pytest.raises(BackendError) as caught:
            call(HELLO)
        assert caught.value.__cause__.errno == errno.ELOOP
    with pytest.raises(BackendError):
        backend.put(b"hello")


def test_file_size_limit(tmp_path):
    said = run_limited(
        tmp_path,
        [
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))",
            "backend.put(b'x' * 50_000)",
        ],
    )
    assert said == ["OSError", str(errno.EFBIG), "False"]
    assert leftovers(tmp_path) == []
    backend = DirectoryCAStore(tmp_path)
    assert make_link(b"x" * 50_000) not in backend
    assert backend.get(HELLO) == b"hello"


def test_too_many_open_files_may_be_tried_again(tmp_path):
    said = run_limited(
        tmp_path,
        ["resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))", "backend.get(cid)"],
    )
    assert said == ["OSError", str(errno.EMFILE), "True"]


def test_disk_error_may_be_tried_again(tmp_path):
    # reading the memory of a process at an unmapped address is a real EIO
    backend = DirectoryCAStore(tmp_path)
    (tmp_path / "QJ").mkdir()
    key = "CIQCZ4SNXJP3BIYOE3UDWKWFXHRJ4GYWDZOB7J2CLZZQIM3CSOFZQJA"
    (tmp_path / "QJ" / f"{key}.data").symlink_to("/proc/self/mem")
    with pytest.raises(BackendError) as caught:
        backend.get(HELLO)
    assert caught.value.__cause__.errno == errno.EIO
    assert caught.value.retryable


def test_error_survives_pickling(blocked):
    with pytest.raises(BackendError) as caught:
        blocked.put(b"hello")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.retryable) == (str(caught.value), caught.value.retryable)


def test_missing_block_in_a_missing_shard(backend):
    assert HELLO not in backend


@pytest.mark.parametrize("remove", ["all in it", "it"])
def test_a_folder_that_was_emptied_takes_nothing(tmp_path, remove):
    """What was put would be found by nobody; a new store begins anew, for the old one too."""
    folder = tmp_path / "blocks"
    store = DirectoryCAStore(folder)
    store.put(b"gone")
    shutil.rmtree(folder)
    if remove == "all in it":
        folder.mkdir()
    with pytest.raises(BackendError, match=r"emptied or removed .* make a new DirectoryCAStore"):
        store.put(b"block")
    assert not folder.exists() or not any(folder.iterdir())
    others = DirectoryCAStore(folder)
    cid = store.put(b"block")
    assert others.get(cid) == b"block"
