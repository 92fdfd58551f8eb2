"""A verification that was stopped, however hard, and goes on with its journal."""

import signal
import subprocess
import sys

import pytest
from hierarchy_blocks import VALUES, CountingStore, Made, fill

from ipldstore import DirectoryCAStore, IPLDStore, MappingCAStore, info, verify
from ipldstore.errors import JournalError

pytestmark = pytest.mark.once

CHUNK = "bafkreidmq73ig4nsrfkha7v3skx647gp7n2mn5y6zd7krkmm6yiefckylm"


@pytest.fixture
def store():
    store = IPLDStore(CountingStore())
    fill(store)
    return store


def stopped(store, path, blocks=300):
    """Run until so many blocks are read."""

    def stop(read, size):
        if read >= blocks:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(store, journal=path, progress=stop)


def test_a_stopped_run_goes_on(store, tmp_path):
    path = tmp_path / "journal"
    stopped(store, path)
    noted = len(path.read_text().splitlines()) - 1
    assert noted > 100
    store.backend.reads.clear()
    report = verify(store, journal=path)
    assert report.ok
    assert report.skipped == noted
    assert report.blocks + report.skipped == len(store.backend.mapping)
    assert len(store.backend.reads) == report.blocks


def test_it_is_removed_when_all_is_sound_and_the_next_run_reads_all(store, tmp_path):
    path = tmp_path / "journal"
    for _ in range(2):
        report = verify(store, journal=path)
        assert (report.skipped, report.blocks) == (0, len(store.backend.mapping))
        assert not path.exists()


def test_it_stays_while_there_are_problems(store, tmp_path):
    path, chunk = tmp_path / "journal", str(store.backend.make_cid(b"single", "raw"))
    data = store.backend.mapping.pop(chunk)
    first, second = (verify(store, journal=path) for _ in range(2))
    values = [cid for cid in store.backend.mapping if cid.startswith("bafkrei")]
    assert first.problems == second.problems
    assert (first.skipped, second.skipped) == (0, len(values))
    store.backend.mapping[chunk] = data
    store.backend.reads.clear()
    assert verify(store, journal=path).ok
    assert store.backend.reads[chunk] == 1
    assert not path.exists()


def test_what_is_noted_was_read_and_what_is_wrong_is_never_noted(store, tmp_path):
    path = tmp_path / "journal"
    corrupt = [str(store.backend.make_cid(b"%d" % number, "raw")) for number in range(0, VALUES, 7)]
    for cid in corrupt:
        store.backend.mapping[cid] = b"!"
    verify(store, journal=path)
    noted = [line.split()[0] for line in path.read_text().splitlines()[1:]]
    assert set(noted).isdisjoint(corrupt)
    assert len(noted) == len(set(noted))
    assert all(store.backend.reads[cid] for cid in noted)


@pytest.mark.parametrize("tail", ["bafkrei", f"{CHUNK} 5", f"{CHUNK}\n", "\0" * 100, "x 5\n"])
def test_a_torn_line_is_ignored_and_cut_off(store, tmp_path, tail):
    path = tmp_path / "journal"
    stopped(store, path)
    noted = len(path.read_text().splitlines()) - 1
    with path.open("a") as file:
        file.write(tail)
    report = verify(store, journal=path)
    assert (report.ok, report.skipped) == (True, noted)


def test_every_truncation(tmp_path):
    store = IPLDStore(MappingCAStore())
    for index in range(4):
        store[f"a/{index}"] = b"%d" % index
    path, chunk = tmp_path / "journal", str(store.backend.make_cid(b"3", "raw"))
    data = store.backend.mapping.pop(chunk) if store.freeze() else None
    verify(store, journal=path)
    whole = path.read_bytes()
    skipped = set()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        report = verify(store, journal=path)
        assert [problem.cid for problem in report.problems] == [chunk]
        assert report.blocks + report.skipped == 4
        skipped.add(report.skipped)
        assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())
    assert skipped == {0, 1, 2, 3}
    store.backend.mapping[chunk] = data
    assert verify(store, journal=path).ok


def test_sizes_of_leaves_that_are_skipped_are_held_against_files(tmp_path):
    made = Made()
    leaf, gone = made.raw(b"12345"), made.raw(b"gone")
    del made.mapping[str(gone)]
    root = made.cbor({"x": made.file([leaf], [6]), "z": gone})
    for skipped in (0, 1):
        report = verify(root, made, journal=tmp_path / "journal")
        assert [problem.keys for problem in report.problems] == [("x",), ("z",)]
        assert report.skipped == skipped


def test_a_journal_of_another_root(store, tmp_path):
    path = tmp_path / "journal"
    stopped(store, path)
    before = path.read_bytes()
    store["more"] = b"more"
    with pytest.raises(JournalError, match=r"journal of another root: bafyrei\w+, expected"):
        verify(store, journal=path)
    assert path.read_bytes() == before


def test_a_journal_of_another_store(store, tmp_path):
    path = tmp_path / "journal"
    stopped(store, path)
    other = DirectoryCAStore(tmp_path / "blocks")
    with pytest.raises(JournalError, match="journal of another store: MappingCAStore"):
        verify(store.root_cid, other, journal=path)


@pytest.mark.parametrize("content", [b"my thesis", b"my thesis\n", b"{}\n", b"\xff\n", b"\n"])
def test_a_file_that_is_no_journal_is_left_alone(store, tmp_path, content):
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(JournalError, match="is no journal"):
        verify(store, journal=path)
    assert path.read_bytes() == content


def test_a_journal_that_cannot_be_written(store, tmp_path):
    with pytest.raises(JournalError, match=r"cannot use the journal .*No such file"):
        verify(store, journal=tmp_path / "nowhere" / "journal")
    with pytest.raises(JournalError, match="Is a directory"):
        verify(store, journal=tmp_path)


def test_a_full_disk(tmp_path):
    """A limit on the size of files stands in for the end of the disk."""
    backend, path = DirectoryCAStore(tmp_path / "blocks"), tmp_path / "journal"
    root = fill(IPLDStore(backend))
    script = (
        "import resource, sys, ipldstore\n"
        "blocks = ipldstore.DirectoryCAStore(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9_999, 9_999))\n"
        "try: ipldstore.verify(sys.argv[2], blocks, journal=sys.argv[3])\n"
        "except ipldstore.JournalError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, backend.path, str(root), path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == f"cannot use the journal {str(path)!r}: File too large\n"
    noted = path.read_bytes().count(b"\n") - 1
    assert noted > 100
    report = verify(root, backend, journal=path)
    assert (report.ok, report.skipped) == (True, noted)


def test_a_run_that_is_killed(tmp_path):
    """The next run reads what was not noted, and nothing that was."""
    backend = DirectoryCAStore(tmp_path / "blocks")
    root = fill(IPLDStore(backend))
    path = tmp_path / "journal"
    script = (
        "import os, signal, sys, ipldstore\n"
        "def stop(blocks, size):\n"
        "    if blocks > 400: os.kill(os.getpid(), signal.SIGKILL)\n"
        "blocks = ipldstore.DirectoryCAStore(sys.argv[1])\n"
        "ipldstore.verify(sys.argv[2], blocks, journal=sys.argv[3], progress=stop)\n"
    )
    command = [sys.executable, "-c", script, backend.path, str(root), path]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    noted = len(path.read_bytes().splitlines()) - 1
    assert noted > 300
    report = verify(root, backend, journal=path)
    assert (report.ok, report.skipped) == (True, noted)
    assert report.blocks + report.skipped == info(IPLDStore(backend, root=root)).blocks
