"""The repository in tests/data, as version 0.1 wrote it."""

import gzip

import pytest

from ipldstore import CARStore, MappingCAStore, Repository, verify
from tests.repository.made_golden import ARCHIVE, make

COMMITS = {
    "dev": "bafyreihx4sszhvaorjdphzrs3idom6apfdves6cy2df5w7dw7n2ctp2srq",
    "main": "bafyreieofp7umtg7q3xfigagig5rlmfs2ubrlacxhppvsamzvmxflhabmi",
    "v1": "bafyreier3lhrbdcnxaklcalijn7aot4s347inajt3lrcoy62j7ejueiguq",
}
STATE = "bafyreia427aus62pb5jiocbcfzqkelzgezsffw2byoshlzysnckh4aerp4"


@pytest.fixture
def repo(tmp_path):
    (tmp_path / "repository.car").write_bytes(gzip.decompress(ARCHIVE.read_bytes()))
    with CARStore(tmp_path / "repository.car") as blocks:
        yield Repository(blocks)


def test_it_reads_as_ever(repo):
    assert repo.branches | repo.tags == COMMITS
    assert repo.cid == STATE
    messages = [version.message for version in repo.log()]
    assert messages == ["settled", "commit 4", "merged", "commit 2", "commit 1", "commit 0"]
    kinds = [done.kind for done in repo.operations()]
    assert kinds == [
        "reset",
        "merge",
        "commit",
        "tag",
        "merge",
        *["commit"] * 2,
        "branch",
        "commit",
        "init",
    ]
    chunks = {key: value for key, value in repo.readonly("v1").items() if "/c/" in key}
    assert chunks == {"x/c/0": b"22", "x/c/1": b"11", "x/c/2": b"33"}
    assert repo.readonly("main")["x/c/0"] == b"44"
    document = repo.readonly("v1")["x/zarr.json"]
    assert b'"note":"km"' in document
    assert b'"shape":[3]' in document
    assert repo.show().metadata == {}
    assert repo.show("main~2").metadata == {"hours": 1}


def test_it_goes_on(repo):
    with repo.writable(message="later") as session:
        session["x/c/1"] = b"55"
    assert repo.find("main~1") == COMMITS["main"]
    assert verify("main", repo.blocks).ok


def test_the_same_commits_are_made_again():
    repo = make(MappingCAStore())
    assert repo.branches | repo.tags == COMMITS
