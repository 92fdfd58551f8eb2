"""What the command line does with plain files; publishing them on a node."""

import pytest
from plain_cases import CASES

from ipldstore import DirectoryCAStore, IPLDStore
from ipldstore.cli.work.publish import publish_root
from ipldstore.cli.work.unixfs import read_files, write_files


@pytest.fixture
def written(tmp_path):
    """A folder of blocks, the root in it, and the CID of its plain files."""
    files, directory = CASES["metadata"]
    store = IPLDStore(DirectoryCAStore(tmp_path / "blocks"))
    store.update(files)
    return str(tmp_path / "blocks"), str(store.freeze()), directory


def test_files_are_written_and_read(written, capsys):
    blocks, root, directory = written
    assert write_files(root, blocks) == directory
    assert read_files(f"ipfs://{directory}", blocks) == root
    assert "plain files" in capsys.readouterr().err


def test_files_are_published(written, daemon, tmp_path):
    blocks, root, directory = written
    options = {"name": "plain", "key": None, "replace": None, "announce": False, "files": True}
    assert publish_root(root, blocks, daemon.url, **options)["root"] == directory
    pinned = daemon.run("pin", "ls", "--type=recursive", "--names", directory).decode()
    assert "plain" in pinned
    assert daemon.run("cat", f"{directory}/a/c/0/1") == b"chunk"
