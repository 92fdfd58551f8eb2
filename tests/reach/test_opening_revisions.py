"""A revision is taken wherever a root is taken, and so are the CIDs of commits and states."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest

import ipldstore
from ipldstore import CARStore, DirectoryCAStore, IPLDStore, MappingCAStore
from ipldstore.cid import as_link, make_link
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    BlockStoreURLError,
    InvalidCIDError,
    InvalidKeyError,
    InvalidNodeError,
    RepositoryNotFoundError,
    RevisionError,
)
from ipldstore.formats.car import write_car
from tests.histories import History, make_state, put_state

MISSING = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"


class Repository:
    """The roots and commits of a repository in the folder ``blocks``."""

    def __init__(self):
        self.blocks = DirectoryCAStore("blocks")
        self.history = History(self.blocks)
        self.roots, self.commits = [], []
        store = IPLDStore(self.blocks)
        for number in range(3):
            store["g/a/0"] = b"%d" % number
            store[".zgroup"] = store["g/.zgroup"] = b'{"zarr_format": 2}'
            self.roots.append(as_link(store.freeze()))
            self.commits.append(self.history.commit(*self.commits[-1:], root=self.roots[-1]))
        self.state = make_state(
            {"main": self.commits[2], "feature/x": self.commits[1]}, {"v1": self.commits[0]}
        )
        self.link = put_state(self.blocks, self.state)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IPLDSTORE_BLOCKS", raising=False)
    return Repository()


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return DirectoryCAStore("blocks")


def number_in(store):
    return int(store["g/a/0"])


@pytest.mark.parametrize(
    ("text", "number"),
    [("main", 2), ("main~2", 0), ("~", 1), ("^", 1), ("v1", 0), ("feature/x", 1), (" main~1\n", 1)],
)
def test_open(repository, text, number):
    for blocks in ("blocks", Path("blocks"), repository.blocks):
        assert number_in(ipldstore.open(text, blocks)) == number
    store = ipldstore.open(text, "blocks")
    assert as_link(store.root_cid) == repository.roots[number]
    assert store.read_only
    inner = ipldstore.open(text, "blocks", path="g/a")
    assert dict(inner) == {"0": b"%d" % number}
    url = f"ipld:///{quote(text.strip(), safe='')}"
    assert number_in(ipldstore.open(url, "blocks")) == number
    assert number_in(ipldstore.open(f"{url}?blocks=blocks")) == number
    assert dict(ipldstore.open(f"{url}/g/a?blocks={quote(os.getcwd())}/blocks")) == dict(inner)


def test_the_beginning_of_a_commits_cid(repository):
    for number, commit in enumerate(repository.commits):
        for size in (20, 40, 58):
            assert number_in(ipldstore.open(str(commit)[:size], "blocks")) == number
    assert number_in(ipldstore.open(f"{repository.commits[2]}~2", "blocks")) == 0
    assert number_in(ipldstore.open(f"ipld:///{repository.commits[2]}~2", "blocks")) == 0


def test_the_environment_names_the_blocks_of_urls_alone(repository, monkeypatch):
    monkeypatch.setenv("IPLDSTORE_BLOCKS", "blocks")
    assert number_in(ipldstore.open("ipld:///main~2")) == 0
    with pytest.raises(BackendError, match="no folder of blocks 'main~2'"):
        ipldstore.open("main~2")


def test_a_revision_is_resolved_once(repository):
    store = ipldstore.open("main", "blocks")
    put_state(repository.blocks, make_state({"main": repository.commits[0]}))
    assert number_in(store) == 2
    assert number_in(ipldstore.open("main", "blocks")) == 0


def test_one_to_write_to_begins_from_the_commit(repository):
    with ipldstore.open("main~2", "blocks", read_only=False) as store:
        assert number_in(store) == 0
        store["g/a/1"] = b"more"
    assert as_link(store.root_cid) not in repository.roots
    assert number_in(ipldstore.open("main", "blocks")) == 2


def test_the_cids_of_commits_and_states(repository):
    for number, commit in enumerate(repository.commits):
        for what in (commit, str(commit), bytes(commit), f"ipfs://{commit}", f"ipld://{commit}"):
            store = ipldstore.open(what, "blocks")
            assert as_link(store.root_cid) == repository.roots[number]
        assert dict(ipldstore.open(f"{commit}/g/a", "blocks")) == {"0": b"%d" % number}
    assert number_in(ipldstore.open(repository.link, "blocks")) == 2
    assert number_in(ipldstore.open(f"ipld:///{repository.link}?blocks=blocks")) == 2
    with pytest.raises(InvalidNodeError, match="it is a commit, of the hierarchy"):
        IPLDStore(repository.blocks, root=repository.commits[0])
    store = ipldstore.open("main", "blocks", read_only=False)
    with pytest.raises(InvalidNodeError, match="it is the state of a repository"):
        store.set_root(repository.link)


def test_a_commit_or_state_whose_blocks_are_missing(repository):
    alone = MappingCAStore()
    state = alone.put_raw(repository.state.encode(), "dag-cbor")
    for what, missing in ((state, repository.commits[2]), (MISSING, MISSING)):
        with pytest.raises(BlockNotFoundError, match=str(missing)):
            ipldstore.open(what, alone)
    unborn = alone.put_raw(make_state({}).encode(), "dag-cbor")
    with pytest.raises(RevisionError, match="the default branch 'main' has no commit yet"):
        ipldstore.open(unborn, alone)


def test_a_car_file_whose_root_is_a_state_or_a_commit(repository):
    data = {
        link: repository.blocks.get_block(link)
        for link in (repository.link, *repository.commits, *repository.roots)
    } | {
        link: repository.blocks.get_block(link)
        for link in (make_link(b"%d" % number) for number in range(3))
    }
    for link, number in ((repository.link, 2), (repository.commits[1], 1)):
        with open("x.car", "wb") as file:
            write_car(file, link, data.items())
        assert number_in(ipldstore.open("x.car")) == number
        assert dict(ipldstore.open("x.car/g/a")) == {"0": b"%d" % number}
    with pytest.raises(InvalidCIDError, match="has no repository"):
        ipldstore.open("main~2", CARStore("x.car"))
    with open("x.car", "wb") as file:
        write_car(file, repository.link, data.items())
    assert number_in(ipldstore.open("main~2", "x.car")) == 0


CALLS = {
    "verify": lambda what, blocks: ipldstore.verify(what, blocks).blocks,
    "info": ipldstore.info,
    "check_compression": ipldstore.check_compression,
    "diff": lambda what, blocks: list(ipldstore.diff("v1", what, blocks)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_looks_at_a_hierarchy(repository, call):
    expected = call(repository.roots[2], "blocks")
    for what in ("main", "~0", "ipld:///main"):
        for blocks in ("blocks", repository.blocks):
            assert call(what, blocks) == expected


@pytest.mark.parametrize("name", ["info", "check_compression", "diff"])
def test_the_cids_of_commits_and_states_lead_to_a_root(repository, name):
    expected = CALLS[name](repository.roots[2], "blocks")
    for what in (str(repository.commits[2]), repository.link):
        assert CALLS[name](what, "blocks") == expected


def test_verifying_says_what_a_commit_is(repository):
    """Nothing is read twice, not even a root to tell what it is."""
    for what, message in (
        (repository.commits[2], f"it is a commit, of the hierarchy {repository.roots[2]}"),
        (repository.link, "it is the state of a repository"),
    ):
        (problem,) = ipldstore.verify(what, "blocks").problems
        assert message in problem.message


class Counting(MappingCAStore):
    """Counts the blocks that are read."""

    def get_raw(self, cid):
        self.reads = getattr(self, "reads", 0) + 1
        return super().get_raw(cid)


def test_a_root_is_read_once():
    blocks = Counting()
    root = blocks.put_raw(b"\xa0", "dag-cbor")
    ipldstore.open(root, blocks)
    assert blocks.reads == 1


def test_differences_of_two_revisions(repository):
    for a, b, blocks in [
        ("main~2", "main", "blocks"),
        ("ipld:///main~2?blocks=blocks", "ipld:///main?blocks=blocks", None),
        (ipldstore.open("v1", "blocks"), "main", None),
    ]:
        (change,) = ipldstore.diff(a, b, blocks)
        assert (change.key, change.kind) == ("g/a/0", "changed")


def test_copies(repository):
    expected = dict(ipldstore.open("main~2", "blocks"))
    for source in (
        "ipld:///main~2?blocks=blocks",
        f"ipld:///{repository.commits[0]}?blocks=blocks",
    ):
        target = IPLDStore()
        ipldstore.copy(source, target)
        assert dict(target) == expected
    for root in ("main~2", repository.commits[0], repository.roots[0]):
        target = IPLDStore()
        ipldstore.copy(repository.blocks, target, root=root)
        assert dict(target) == expected
    with pytest.raises(TypeError, match="is a root, which never changes"):
        ipldstore.copy(IPLDStore(), "ipld:///main?blocks=blocks")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("mian", RevisionError, "no branch or tag 'mian': did you mean 'main'? its branches are"),
        ("main~3", RevisionError, "'~3' goes 3 commits back from 'main', which has 2 before it"),
        ("main~x", RevisionError, "'main~x' is no revision: 'x' at character 6"),
        ("main@2026-01", RevisionError, "'2026-01' at character 6 is no date"),
        ("bafyreiabcd", RevisionError, "no commit's CID begins with 'bafyreiabcd'"),
        ("bafyreiabc", RevisionError, "has 10 characters: the beginning of a commit's CID needs"),
        (MISSING[:40], RevisionError, f"no commit's CID begins with {MISSING[:40]!r}"),
        (MISSING[:20] + "0" + MISSING[21:], InvalidCIDError, "'0' at character 21: base32 has"),
        (f"{MISSING[:20]}0{MISSING[21:]}/g", InvalidCIDError, "'0' at character 21: base32 has"),
        ("x.car", TypeError, "'x.car' is a CAR file, which holds its own"),
        ("sqlite:x", InvalidCIDError, "a block store is named as blocks="),
        ("", InvalidCIDError, "not a CID: ''"),
        ("ipld://main~2", InvalidCIDError, "not a CID: 'main~2': expected text such as bafyrei"),
        (
            "ipld://main~2/g",
            InvalidCIDError,
            "three slashes before it, ipld:///main~2?blocks=STORE",
        ),
        ("ipld:///", RevisionError, "'ipld:///' names no revision: expected ipld:///REVISION"),
        ("ipld:///main~x", RevisionError, "'main~x' is no revision: 'x' at character 6"),
        ("ipld:///%ff", RevisionError, "'%ff' is not UTF-8, percent-encoded"),
        ("ipld:///feature/x", RevisionError, "no branch or tag 'feature'"),
        ("ipld:///main/none", InvalidKeyError, "no group or array 'none'"),
        ("ipld:///main?blocks=elsewhere", TypeError, "blocks= came twice"),
    ],
)
def test_mistakes(repository, text, error, message):
    with pytest.raises(error) as caught:
        ipldstore.open(text, "blocks")
    assert message in str(caught.value)


def test_where_there_is_no_repository(empty):
    with pytest.raises(InvalidCIDError) as caught:
        ipldstore.open("main~2", "blocks")
    assert str(caught.value) == (
        "not a CID: 'main~2': expected text such as bafyrei... or Qm..., and there is no file or "
        f"folder 'main~2', and it is no revision, as {empty!r} has no repository, which "
        "`ipldstore init` or ipldstore.Repository.create would make"
    )
    with pytest.raises(RepositoryNotFoundError, match="no repository 'default' in Directory"):
        ipldstore.open("ipld:///main", "blocks")
    with pytest.raises(TypeError, match=r"expected open\(ROOT, BLOCKS\)"):
        ipldstore.open("main", MISSING)


def test_a_path_object_is_no_revision(repository):
    with pytest.raises(InvalidCIDError, match="not a CID: 'main'"):
        ipldstore.open(Path("main"), "blocks")


def test_a_block_store_alone(repository):
    with pytest.raises(BlockStoreURLError) as caught:
        ipldstore.open("blocks")
    assert str(caught.value) == (
        "'blocks' is a block store that notes no root: name one, open(ROOT, 'blocks'), or a "
        "revision of its repository, open('main', 'blocks')"
    )
    DirectoryCAStore("elsewhere")
    with pytest.raises(BlockStoreURLError) as caught:
        ipldstore.open("elsewhere")
    assert "repository" not in str(caught.value)
    assert str(caught.value).endswith("or begin an empty hierarchy in it with read_only=False")


@pytest.mark.parametrize("place", ["blocks", "sqlite:x.db", "x.car"])
def test_no_empty_hierarchy_begins_beside_a_repository(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ipldstore.Repository.create(place, default="trunk") as repo:
        listed = sorted(repo.blocks.iter_blocks())
        state = repo.cid
    with pytest.raises(BlockStoreURLError) as caught:
        ipldstore.open(place, read_only=False)
    expected = (
        f"{place!r} is a block store with a repository: Repository({place!r}).writable('trunk') "
        "opens its branch to write"
    )
    beside = f", and IPLDStore(open_block_store({place!r})) begins an empty hierarchy beside it"
    assert str(caught.value) == expected + beside * (place != "x.car")
    with ipldstore.Repository(place) as repo:
        assert (sorted(repo.blocks.iter_blocks()), repo.cid) == (listed, state)


def test_a_hierarchy_may_begin_beside_a_repository_if_that_is_meant(repository):
    with IPLDStore(ipldstore.open_block_store("blocks")) as store:
        store["g/a/0"] = b"other"
    assert ipldstore.open(store.root_cid, "blocks")["g/a/0"] == b"other"
    assert number_in(ipldstore.open("main", "blocks")) == 2


def test_a_repository_of_another_name_is_no_less_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ipldstore.Repository.create("blocks", "models")
    with pytest.raises(BlockStoreURLError, match=r"Repository\('blocks', 'models'\).writable\("):
        ipldstore.open("blocks", read_only=False)
    ipldstore.Repository.create("blocks")
    with pytest.raises(BlockStoreURLError, match=r"Repository\('blocks'\).writable\('main'\)"):
        ipldstore.open("blocks", read_only=False)


def test_a_pointer_that_is_no_repository_is_in_nobodys_way(empty):
    root = IPLDStore(empty).freeze()
    assert empty.swap_pointer("mine", None, root)
    with ipldstore.open("blocks", read_only=False) as store:
        store["a"] = b"1"
    assert ipldstore.open(store.root_cid, "blocks")["a"] == b"1"


def test_what_is_refused_is_closed(repository, monkeypatch):
    closed = []
    monkeypatch.setattr(DirectoryCAStore, "close", lambda self: closed.append(1))
    with pytest.raises(BlockStoreURLError):
        ipldstore.open("blocks", read_only=False)
    assert len(closed) == 1


def test_what_was_opened_for_a_revision_is_closed(repository, monkeypatch):
    closed = []

    def close(self):
        closed.append(self)

    monkeypatch.setattr(DirectoryCAStore, "close", close)
    for text in ("mian", "main~9"):
        with pytest.raises(RevisionError):
            ipldstore.open(text, "blocks")
        assert len(closed) == 1
        closed.clear()
