"""The pointer of a CAR archive: its root, where that is the state of a repository."""

import os
import shutil
import subprocess
import sys

import pytest

from ipldstore import BackendError, CachingCAStore, CARStore, IPLDStore, MappingCAStore
from ipldstore.blockstore.abilities import KeepsPointers
from ipldstore.cid import as_link, make_link
from ipldstore.errors import InvalidNameError, InvalidNodeError, ReadOnlyStoreError
from tests.archives.carbytes import make_block, read_car, write_car

pytestmark = pytest.mark.once

EMPTY = make_block({})


def make_state(number):
    """Make the block of a state, by another encoder."""
    return make_block(
        {
            "repository": 1,
            "branches": {},
            "tags": {},
            "default": "main",
            "shallow": [],
            "operation": {"kind": "init", "time": number},
            "nonce": bytes(16),
            "collected": 0,
        }
    )


FIRST, SECOND = map(make_state, (1, 2))
OLD, NEW = as_link(FIRST.cid), as_link(SECOND.cid)
HIERARCHY = make_block({"a": make_block(b"hello", "raw").cid})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.car"


@pytest.fixture
def backend(path):
    with CARStore(path) as backend:
        yield backend


@pytest.fixture
def repository(backend):
    """A store whose archive is at the first state, with the second in it."""
    for block in (FIRST, SECOND):
        backend.put_block(as_link(block.cid), block.data)
    assert backend.swap_pointer("default", None, OLD)
    return backend


def test_golden_archive(repository, path):
    blocks = [EMPTY, FIRST, SECOND]
    assert path.read_bytes() == write_car([FIRST.cid], blocks)
    assert repository.swap_pointer("default", OLD, NEW)
    assert path.read_bytes() == write_car([SECOND.cid], blocks)
    assert isinstance(repository, KeepsPointers)


def test_an_archive_holds_one_repository(repository):
    for use in (repository.read_pointer, lambda name: repository.swap_pointer(name, None, NEW)):
        with pytest.raises(InvalidNameError, match="holds one repository, with the name 'default'"):
            use("other")
    assert list(repository.iter_pointers()) == ["default"]


@pytest.mark.parametrize("swaps_again", [False, True])
def test_frozen_hierarchy_leaves_the_state_alone(repository, path, swaps_again):
    store = IPLDStore(repository, root=EMPTY.cid)
    store["a"] = b"hello"
    assert store.freeze() == HIERARCHY.cid
    assert read_car(path.read_bytes())[0] == [FIRST.cid]
    repository.note_root(NEW)
    assert repository.read_pointer("default") == OLD
    if swaps_again:
        assert repository.swap_pointer("default", OLD, NEW)
    assert dict(IPLDStore(repository, root=HIERARCHY.cid)) == {"a": b"hello"}


def test_hierarchy_is_not_opened_on_a_repository_without_a_root(repository):
    with pytest.raises(InvalidNodeError, match="it is the state of a repository"):
        IPLDStore(repository)


def test_root_of_a_hierarchy_is_no_pointer_and_stays(backend, path):
    store = IPLDStore(backend)
    store["a"] = b"hello"
    root = store.freeze()
    backend.put_block(OLD, FIRST.data)
    before = path.read_bytes()
    assert backend.read_pointer("default") is None
    assert list(backend.iter_pointers()) == []
    assert not backend.swap_pointer("default", as_link(root), OLD)
    with pytest.raises(BackendError, match=f"archive of the hierarchy {root}, which would be lost"):
        backend.swap_pointer("default", None, OLD)
    assert path.read_bytes() == before


def test_empty_hierarchy_of_another_hash_function_gives_way(path):
    with CARStore(path, default_hash="blake3") as backend:
        backend.put_block(OLD, FIRST.data)
    with CARStore(path) as backend:
        assert backend.swap_pointer("default", None, OLD)
        assert backend.read_pointer("default") == OLD


@pytest.mark.parametrize(
    ("cid", "match"),
    [
        (make_link(b"missing", "dag-cbor"), "no block"),
        (as_link(EMPTY.cid), "is not the state of a repository"),
        (make_link(FIRST.data, "raw"), "is not the state of a repository"),
    ],
)
def test_pointer_goes_to_states_in_the_archive_only(repository, path, cid, match):
    before = path.read_bytes()
    with pytest.raises(BackendError, match=match):
        repository.swap_pointer("default", OLD, cid)
    assert path.read_bytes() == before


def test_state_of_a_longer_cid_does_not_fit(repository, path):
    long = make_link(FIRST.data, "dag-cbor", "sha2-512")
    repository.put_block(long, FIRST.data)
    with pytest.raises(ReadOnlyStoreError, match="not as long"):
        repository.swap_pointer("default", OLD, long)
    assert repository.read_pointer("default") == OLD


def test_nothing_is_made_by_asking(backend, path):
    assert backend.read_pointer("default") is None
    assert list(backend.iter_pointers()) == []
    assert backend.swap_pointer("default", OLD, NEW) is False
    assert not path.exists()


@pytest.mark.parametrize("roots", [[], [FIRST.cid, SECOND.cid]])
def test_archive_that_cannot_be_written_to(path, roots):
    path.write_bytes(write_car(roots, [FIRST, SECOND]))
    with CARStore(path) as backend:
        assert backend.read_pointer("default") is None
        with pytest.raises(ReadOnlyStoreError):
            backend.swap_pointer("default", None, OLD)


def test_read_only_store_reads_the_pointer(repository, path):
    repository.close()
    with CARStore(path, read_only=True) as backend:
        assert backend.read_pointer("default") == OLD
        for old, new in ((OLD, NEW), (NEW, OLD)):
            with pytest.raises(ReadOnlyStoreError):
                backend.swap_pointer("default", old, new)


def test_reader_sees_a_pointer_that_moved(repository, path):
    repository.flush()
    with CARStore(path, read_only=True) as reader:
        assert reader.read_pointer("default") == OLD
        repository.swap_pointer("default", OLD, NEW)
        assert reader.read_pointer("default") == NEW
        assert reader.get_block(NEW) == SECOND.data


def test_another_writer_is_told_to_wait(repository, path):
    with CARStore(path) as other, pytest.raises(BackendError, match="another store") as caught:
        other.swap_pointer("default", OLD, NEW)
    assert caught.value.retryable
    repository.close()
    with CARStore(path) as other:
        assert other.swap_pointer("default", OLD, NEW)


@pytest.mark.parametrize("change", ["damaged", "missing"])
def test_state_that_cannot_be_read(path, change):
    data = write_car([FIRST.cid], [EMPTY, FIRST] if change == "damaged" else [EMPTY])
    path.write_bytes(data[:-1] + b"\2" if change == "damaged" else data)
    with CARStore(path) as backend:
        backend.put_block(NEW, SECOND.data)
        for use in (
            lambda: backend.read_pointer("default"),
            lambda: list(backend.iter_pointers()),
            lambda: backend.swap_pointer("default", OLD, NEW),
            lambda: backend.swap_pointer("default", None, NEW),
        ):
            with pytest.raises(BackendError, match=str(FIRST.cid)):
                use()
        backend.put_block(OLD, FIRST.data)
        assert backend.read_pointer("default") == OLD


def test_cache_passes_the_pointer_on(repository):
    assert CachingCAStore(repository, MappingCAStore()).read_pointer("default") == OLD


SCRIPT = """
import os, sys
from ipldstore.backends.carfile.store import CARStore
from ipldstore.cid import as_link

path, fsync, fatal, old, new, data = sys.argv[1:]
made = []


def counted(name, function):
    def call(*arguments, **options):
        if len(made) == int(fatal):
            if name == "pwrite" and arguments[2]:
                function(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
            os.kill(os.getpid(), 9)
        made.append(name)
        return function(*arguments, **options)

    return call


for name in ("open", "close", "pwrite", "ftruncate", "fsync"):
    setattr(os, name, counted(name, getattr(os, name)))
with CARStore(path, fsync=fsync == "True") as backend:
    new = as_link(new)
    backend.put_block(new, bytes.fromhex(data))
    assert backend.swap_pointer("default", as_link(old), new)
print(*made)
"""


@pytest.mark.parametrize("fsync", [False, True])
def test_death_at_every_step(repository, path, tmp_path, fsync):
    """It is at one state or at the other, with its block, and moves on; blocks come first."""
    third = make_state(3)
    last = as_link(third.cid)
    repository.close()
    found = []
    for step in range(30):
        copy = tmp_path / f"{step}.car"
        shutil.copyfile(path, copy)
        arguments = [copy, fsync, step, OLD, last, third.data.hex()]
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        with CARStore(copy) as backend:
            at = backend.read_pointer("default")
            found.append(at)
            assert at in (OLD, last)
            assert backend.swap_pointer("default", at, NEW)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert (found[0], found[-1]) == (OLD, last)
    writes = [name for name in done.stdout.split() if name in ("pwrite", "fsync")]
    expected = "pwrite pwrite fsync pwrite fsync" if fsync else "pwrite pwrite pwrite"
    assert " ".join(writes) == expected


def test_error_of_the_disk_leaves_the_pointer(repository, path, monkeypatch):
    repository.close()
    third = make_state(3)

    def fail(descriptor):
        raise OSError(5, os.strerror(5))

    backend = CARStore(path, fsync=True)
    backend.put_block(as_link(third.cid), third.data)
    monkeypatch.setattr(os, "fsync", fail)
    for _ in range(2):
        with pytest.raises(BackendError):
            backend.swap_pointer("default", OLD, as_link(third.cid))
    monkeypatch.undo()
    with pytest.raises(BackendError, match="could not be forced to the disk"):
        backend.close()
    with CARStore(path) as again:
        assert again.read_pointer("default") == OLD
        assert again.swap_pointer("default", OLD, NEW)
