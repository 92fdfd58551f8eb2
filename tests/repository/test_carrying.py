"""History that is carried between repositories: push, pull and clone."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import S3

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    InvalidNodeError,
    MappingCAStore,
    RefError,
    Repository,
    RepositoryExistsError,
    RepositoryNotFoundError,
    RevisionError,
    open_block_store,
)
from ipldstore.cid import as_link, make_link
from ipldstore.dag import iter_dag
from ipldstore.history.commit import Commit
from ipldstore.history.links import history_links_of
from ipldstore.repository.versions import Versions

PLACES = {
    "dict": lambda folder: MappingCAStore(),
    "folder": lambda folder: open_block_store(folder / "blocks"),
    "sqlite": lambda folder: open_block_store(folder / "blocks.sqlite"),
    "car": lambda folder: open_block_store(folder / "blocks.car"),
}


def write(repo, branch="main", **items):
    with repo.writable(branch, message="a change") as store:
        for key, value in items.items():
            store[key.replace("_", "/")] = value
    return repo.branches[branch]


def with_commits(blocks, count=3):
    repo = Repository.create(blocks)
    for number in range(count):
        write(repo, **{f"a_{number}": bytes([number]), "b_0": b"same"})
    return repo


@pytest.fixture
def repo():
    return with_commits(MappingCAStore())


@pytest.fixture
def other():
    return Repository.create(MappingCAStore())


def commits_of(repo, revision=None):
    return [str(version.cid) for version in repo.log(revision)]


def blocks_under(repo, revision="main"):
    """Walk from a commit as verification does, by another way than what carries."""
    tip = as_link(repo.find(revision))
    return {link for link, _ in iter_dag(tip, repo.blocks.get_block, follow=history_links_of)}


@pytest.mark.parametrize(("source", "target"), [*product(PLACES, PLACES)])
def test_between_any_two_stores(source, target, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        with_commits(PLACES[source](tmp_path / "one")) as repo,
        Repository.create(PLACES[target](tmp_path / "two")) as other,
    ):
        done = repo.push(other)
        assert (done.ref, done.commit, done.before) == ("main", repo.find(), None)
        assert done.commits == 3
        assert done.copied.blocks == len(blocks_under(repo))
        assert commits_of(other) == commits_of(repo)
        assert other.verify().ok
        with other.readonly() as store:
            assert dict(store) == dict(repo.readonly())


def test_by_way_of_a_bucket(repo, tmp_path):
    with S3(tmp_path) as server:
        place, options = server.make_bucket(), server.make_options()
        with open_block_store(place, create=True, **options) as bucket:
            Repository.clone(repo, bucket)
            write(repo, c_0=b"new")
            done = repo.push(bucket)
            assert (done.commits, done.copied.skipped) == (1, 0)
            with Repository.clone(bucket, tmp_path / "back") as back:
                assert commits_of(back) == commits_of(repo)
                assert back.verify().ok


def test_only_what_is_missing_is_moved(repo, other):
    repo.push(other)
    before = blocks_under(repo)
    write(repo, a_1=b"new", c_0=b"newer")
    write(repo, a_2=b"newest")
    done = repo.push(other)
    assert done.commits == 2
    assert done.copied.blocks == len(blocks_under(repo) - before)
    assert done.copied.skipped == 0
    assert commits_of(other) == commits_of(repo)
    assert other.verify().ok


def test_nothing_to_carry(repo, other):
    repo.push(other)
    state = other.cid
    done = repo.push(other)
    assert (done.commits, done.copied.blocks, done.before) == (0, 0, done.commit)
    assert other.cid == state


def test_what_is_shared_is_neither_read_nor_asked_for(repo, other):
    write(repo, **{f"d{number}_0": b"value" for number in range(200)})
    repo.push(other)
    write(repo, d7_0=b"new")
    asked = []
    find_missing = other.blocks.find_missing
    other.blocks.find_missing = lambda links: asked.extend(links) or find_missing(links)
    repo.push(other)
    assert len(asked) < 10


def test_commits_that_this_does_not_lead_to_stay(repo, other):
    repo.push(other)
    theirs = write(other, b_1=b"theirs")
    write(repo, c_0=b"ours")
    with pytest.raises(RefError, match="has commits that this does not lead to"):
        repo.push(other)
    assert other.find() == theirs
    with pytest.raises(RefError, match=r'to="theirs"'):
        repo.pull(other)
    done = repo.pull(other, to="theirs")
    assert (done.ref, done.commit, done.commits) == ("theirs", theirs, 1)
    merged = repo.merge("theirs", message="both")
    assert repo.push(other).commit == merged == other.find()
    assert other.readonly()["c/0"] == b"ours"
    assert other.verify().ok


def test_force(repo, other):
    repo.push(other)
    theirs = write(other, b_1=b"theirs")
    ours = write(repo, c_0=b"ours")
    assert repo.push(other, force=True).before == theirs
    assert other.find() == ours
    assert next(other.operations()).kind == "push"
    other.undo("main")
    assert other.find() == theirs


def test_tags_never_move(repo, other):
    repo.tag("v1", "main~1")
    done = repo.push(other, "v1")
    assert (done.ref, done.commits) == ("v1", 2)
    assert other.tags == repo.tags
    assert "main" not in other.branches
    repo.push(other, "v1")
    other.delete("v1")
    other.tag("v1", as_link(repo.find("main~1")))
    repo.delete("v1")
    repo.tag("v1", "main")
    with pytest.raises(RefError, match="tags never move"):
        repo.push(other, "v1", force=True)


def test_a_name_of_the_other_kind(repo, other):
    repo.tag("v1")
    repo.push(other, "main", to="v1")
    with pytest.raises(RefError, match="'v1' is a branch there"):
        repo.push(other, "v1")
    repo.push(other, "v1", to="fine")
    other.tag("main2", "v1")
    with pytest.raises(RefError, match="'main2' is a tag there"):
        repo.push(other, "main", to="main2")


def test_a_revision_needs_a_name(repo, other):
    with pytest.raises(RefError, match="to=BRANCH"):
        repo.push(other, "main~1")
    assert repo.push(other, "main~1", to="main").commits == 2
    assert repo.push(other).commits == 1
    with pytest.raises(RevisionError):
        repo.push(other, "nothing")
    with pytest.raises(RepositoryNotFoundError):
        repo.push(MappingCAStore())
    with pytest.raises(ValueError, match="depth"):
        repo.push(other, depth=0)


def test_depth(repo, other):
    done = repo.push(other, depth=2)
    assert done.commits == 2
    assert commits_of(other) == commits_of(repo)[:2]
    assert other.verify().ok
    write(repo, c_0=b"more")
    assert repo.push(other).commits == 1
    assert commits_of(other) == commits_of(repo)[:3]
    assert other.verify().ok


def test_from_a_shallow_one_back_to_the_whole(repo):
    shallow = Repository.clone(repo, MappingCAStore(), depth=1)
    assert commits_of(shallow) == commits_of(repo)[:1]
    new = write(shallow, c_0=b"new")
    done = shallow.push(repo)
    assert (done.commits, repo.find()) == (1, new)
    assert len(commits_of(repo)) == 4
    assert repo.verify().ok
    assert not repo._versions.read()[1].shallow


def test_a_shallow_one_whose_beginning_moved_on(repo):
    """The tip there is before what is here, which only the commit that was let go tells."""
    whole = Repository.clone(repo, MappingCAStore())
    write(repo, c_0=b"new")
    shallow = Repository.clone(repo, MappingCAStore(), depth=1)
    new = write(shallow, c_1=b"newer")
    assert shallow.push(whole).commits == 2
    assert whole.find() == new
    assert commits_of(whole) == [str(new), *commits_of(repo)]
    assert whole.verify().ok


def test_clone(repo, tmp_path):
    repo.tag("v1", "main~1")
    repo.branch("side", "main~2")
    write(repo, "side", s_0=b"side")
    with Repository.clone(repo, tmp_path / "all.car") as clone:
        assert clone.branches == repo.branches
        assert clone.tags == repo.tags
        assert clone.default == repo.default
        assert clone.verify().ok
    with Repository(tmp_path / "all.car") as again:
        assert commits_of(again, "side") == commits_of(repo, "side")
    with pytest.raises(RepositoryExistsError):
        Repository.clone(repo, tmp_path / "all.car")


def test_clone_of_an_empty_one(other):
    clone = Repository.clone(other, MappingCAStore())
    assert clone.branches == {}
    write(clone, a_0=b"first")


def test_depth_beside_a_tag_on_what_comes_before(repo):
    repo.tag("v1", "main~1")
    clone = Repository.clone(repo, MappingCAStore(), depth=1)
    assert commits_of(clone) == commits_of(repo)[:2]
    assert clone.verify().ok


def test_depth_with_a_merge(repo):
    repo.branch("side", "main~1")
    write(repo, "side", s_0=b"side")
    repo.merge("side", message="both")
    for depth in range(1, 6):
        clone = Repository.clone(repo, MappingCAStore(), depth=depth)
        assert clone.verify().ok
        assert list(clone.log())


def test_depth_does_not_let_go_of_what_is_there(repo, other):
    repo.push(other)
    repo.branch("side", "main~1")
    for number in range(3):
        write(repo, "side", **{f"s_{number}": b"side"})
    repo.merge("side", message="both")
    with pytest.raises(RefError):
        repo.push(other, depth=1)
    assert len(commits_of(other)) == 3
    assert repo.push(other).commits == 4
    assert commits_of(other) == commits_of(repo)


def test_what_was_let_go_and_comes_again_is_whole(repo, other):
    repo.push(other)
    tip = repo.find()
    other.expire(keep_last=1)
    repo.branch("old", "main~2")
    repo.push(other, "old", to="main", force=True)
    repo.push(other, tip, to="main")
    assert commits_of(other) == commits_of(repo)
    assert other.verify().ok


def test_what_is_let_go_while_it_is_carried(repo, other, monkeypatch):
    repo.push(other)
    before = commits_of(other)
    repo.branch("old", "main~2")
    write(repo, c_0=b"new")
    move = Versions.move

    def moved(versions, change):
        monkeypatch.setattr(Versions, "move", move)
        repo.push(other, "old", to="main", force=True)
        return move(versions, change)

    monkeypatch.setattr(Versions, "move", moved)
    with pytest.raises(RefError, match="was let go meanwhile"):
        repo.push(other)
    assert commits_of(other) == before[-1:]
    repo.push(other)
    assert commits_of(other) == commits_of(repo)


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        ({"root": b"\x81\x01"}, InvalidNodeError),
        ({"generation": 9}, InvalidNodeError),
        ({"root": None}, BlockNotFoundError),
    ],
    ids=["root", "generation", "missing"],
)
def test_a_history_that_lies_moves_nothing(repo, other, lie, error):
    tip = as_link(repo.find())
    link = as_link(put_commit(repo.blocks, tip, **lie))
    state = other.cid
    with pytest.raises(error):
        other.pull(repo, link, to="main")
    with pytest.raises(error):
        repo.push(other, link, to="main")
    assert other.cid == state


def put_commit(blocks, parent, *, root=b"\xa0", generation=4):
    """Put a commit as the format has it, which need not be true."""
    link = make_link(b"", "dag-cbor") if root is None else as_link(blocks.put_raw(root, "dag-cbor"))
    commit = Commit(
        root=link,
        parents=(parent,),
        generation=generation,
        time=1,
        author="",
        message="",
        metadata={},
    )
    return blocks.put_raw(commit.encode(), "dag-cbor")


@pytest.mark.parametrize("harm", ["missing", "corrupt"])
def test_a_source_that_is_damaged_moves_nothing(harm):
    kept = {}
    repo = with_commits(MappingCAStore(kept))
    other = Repository.create(MappingCAStore())
    key = next(key for key, value in kept.items() if value == b"same")
    state, value = other.cid, kept.pop(key)
    if harm == "corrupt":
        kept[key] = b"other"
    with pytest.raises(BlockNotFoundError if harm == "missing" else CorruptBlockError):
        repo.push(other)
    assert other.cid == state
    kept[key] = value
    assert repo.push(other).copied.blocks < len(blocks_under(repo))
    assert other.verify().ok


def test_several_push_to_one(tmp_path):
    repo = with_commits(open_block_store(tmp_path / "all"))

    def work(name):
        clone = Repository.clone(repo, tmp_path / name)
        for number in range(4):
            write(clone, **{f"{name}_{number}": name.encode()})
            while True:
                try:
                    clone.push(repo)
                    break
                except RefError:
                    clone.pull(repo, to="theirs", force=True)
                    clone.merge("theirs", message="both")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, ["x", "y", "z"]))
    keys = set(repo.readonly())
    assert keys >= {f"{name}/{number}" for name in "xyz" for number in range(4)}
    assert repo.verify().ok


def test_what_was_let_go_stays_so(repo, other):
    repo.push(other)
    repo.expire(keep_last=1)
    write(repo, c_0=b"new")
    assert repo.push(other).commits == 1
    assert len(commits_of(other)) == 4
    assert repo.pull(other).commits == 0
    assert len(commits_of(repo)) == 2
    assert other.verify().ok


class Stopping(MappingCAStore):
    """Cannot be written to any more after so many blocks."""

    left = 10**9

    def put_block(self, cid, data):
        if self.left == 0:
            raise BackendError("full")
        self.left -= 1
        super().put_block(cid, data)


def test_a_stop_after_every_block(repo):
    blocks = Stopping()
    other = Repository.create(blocks)
    state, stops, done = other.cid, 0, None
    while done is None:
        blocks.left = 1
        try:
            done = repo.push(other, workers=1)
        except BackendError:
            stops += 1
            assert other.cid == state
    assert stops == len(blocks_under(repo))
    assert commits_of(other) == commits_of(repo)
    assert other.verify().ok


def test_a_clone_that_is_stopped_is_no_repository(repo):
    blocks = Stopping()
    blocks.left = 4
    with pytest.raises(BackendError):
        Repository.clone(repo, blocks, workers=1)
    with pytest.raises(RepositoryNotFoundError):
        Repository(blocks)
    blocks.left = 10**9
    assert Repository.clone(repo, blocks).branches == repo.branches


STEPS = st.lists(
    st.tuples(st.sampled_from(["ours", "theirs", "push", "pull", "merge"]), st.integers(0, 3)),
    max_size=12,
)


@given(STEPS)
def test_any_order(steps):
    """Two work on one branch: nothing is lost, and both end with the same."""
    one = Repository.create(MappingCAStore())
    write(one, base_0=b"base")
    two = Repository.clone(one, MappingCAStore())
    written = {"base/0": b"base"}
    for count, (step, key) in enumerate([*steps, ("merge", 0), ("push", 0)]):
        if step in ("ours", "theirs"):
            who = one if step == "ours" else two
            value = f"{step} {count}".encode()
            name = f"{step}/{key}"
            write(who, **{name.replace("/", "_"): value})
            written[name] = value
        elif step == "merge":
            one.pull(two, to="theirs", force=True)
            one.merge("theirs", message="both")
        else:
            carry = one.push if step == "push" else one.pull
            try:
                carry(two)
            except RefError:
                assert one.find() != two.find()
    assert one.find() == two.find()
    assert dict(two.readonly()) == written
    assert one.verify().ok
    assert two.verify().ok
    missing = [link for link in blocks_under(one) if not two.blocks.has(link)]
    assert missing == []
