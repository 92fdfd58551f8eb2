"""The repository in tests/data, as version 0.1 wrote it."""

import gzip

import pytest

from ipldstore import CARStore, MappingCAStore, Repository, verify
from tests.repository.made_golden import ARCHIVE, make

COMMITS = {
    "dev": "bafyreiejr3rhvai2oa3qauhekzy2ejyxx4k6bcftw7ryyne3goobxnixf4",
    "main": "bafyreicdgfmup2bxkzm3ehey44yttr3sihdmuq4nyusmlv4brutxexxlge",
    "v1": "bafyreidhq3x5ks4udn6ncjc4va4wcvyaax24k5xiclvpfyfa7f5bz2ipjm",
}
STATE = "bafyreihwyjn7jrkfygspmiiqcp6j2joym77sayzr4rkv4fqkqwvbwsspui"


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
    assert b'"units":"km"' in document
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
