"""A whole history on a node: what it keeps, and who has it by the CID of a state."""

import pytest
from node import Node

import ipldstore
from ipldstore import (
    BlockNotFoundError,
    InvalidNodeError,
    IPFSStore,
    MappingCAStore,
    ReadOnlyStoreError,
    Repository,
)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("history") / "target", offline=True) as node:
        yield node


@pytest.fixture
def client(target):
    with IPFSStore(target.url) as client:
        yield client


def made(label, count=3):
    repo = Repository.create(MappingCAStore())
    for number in range(count):
        with repo.writable(message=f"{label} {number}") as store:
            store["a/0"] = f"{label} {number}".encode()
            store["b/0"] = f"{label}, the same".encode()
    repo.tag("v1", "main~1")
    return repo


def messages(repo, revision=None):
    return [version.message for version in repo.log(revision)]


def pins_of(target, kind):
    lines = target.run("pin", "ls", f"--type={kind}").decode().splitlines()
    return {line.split()[0] for line in lines}


def test_all_versions_are_kept_and_had_by_one_cid(target, client):
    repo = made("kept")
    done = repo.publish(client, announce=False)
    assert (done.state, done.commits) == (repo.cid, 3)
    versions = list(repo.log())
    assert pins_of(target, "recursive") >= {str(version.root) for version in versions}
    assert pins_of(target, "direct") >= {str(version.cid) for version in versions} | {
        str(done.state)
    }
    target.run("repo", "gc")
    there = Repository(client, state=done.state)
    assert there.branches == repo.branches
    assert there.tags == repo.tags
    assert messages(there, "v1") == messages(repo, "v1")
    assert there.verify().ok
    assert ipldstore.open(done.state, client)["a/0"] == b"kept 2"


def test_from_a_node_to_another_place(client):
    repo = made("moved")
    state = repo.publish(client, announce=False).state
    clone = Repository.clone(Repository(client, state=state), MappingCAStore())
    assert clone.branches == repo.branches
    assert clone.verify().ok
    with repo.writable(message="newer") as store:
        store["c/0"] = b"new"
    again = repo.publish(client, announce=False)
    assert again.sent.blocks < 8
    assert clone.pull(Repository(client, state=again.state)).commits == 1
    assert messages(clone)[0] == "newer"


def test_a_shallow_history(target, client):
    repo = made("shallow")
    repo.delete("v1")
    repo.expire(keep_last=1)
    done = repo.publish(client, announce=False)
    assert done.commits == 1
    assert Repository(client, state=done.state).verify().ok


def test_published_twice(target, client):
    repo = made("twice")
    repo.publish(client, announce=False)
    before = pins_of(target, "all")
    again = repo.publish(client, announce=False)
    assert again.sent.blocks == 0
    assert pins_of(target, "all") == before


def test_a_state_stays_as_it_is(client):
    repo = made("fixed")
    there = Repository(client, state=repo.publish(client, announce=False).state)
    for act in (
        there.writable,
        lambda: there.commit(repo.readonly().root_cid, message="x"),
        lambda: there.tag("v2"),
        lambda: there.expire(keep_last=1),
        there.undo,
        lambda: repo.push(there),
    ):
        with pytest.raises(ReadOnlyStoreError, match="stays as it is"):
            act()
    assert there.sessions() == []


def test_what_is_no_state(client):
    repo = made("wrong")
    repo.publish(client, announce=False)
    with pytest.raises(InvalidNodeError):
        Repository(client, state=repo.find())
    with pytest.raises(BlockNotFoundError):
        Repository(client, state=Repository.create(MappingCAStore()).cid)


def test_what_cannot_be_had_is_not_pinned(target, client):
    kept = {}
    repo = Repository.create(MappingCAStore(kept))
    with repo.writable(message="x") as store:
        store["a/0"] = b"lost with its source"
    key = next(key for key, value in kept.items() if value == b"lost with its source")
    del kept[key]
    before = pins_of(target, "all")
    with pytest.raises(BlockNotFoundError):
        repo.publish(client, announce=False)
    assert pins_of(target, "all") == before
