"""What a repository does: branches, tags, the log, sessions, merging, operations and undoing."""

import gc
import pickle
import warnings
from datetime import UTC, datetime

import pytest

import ipldstore
from ipldstore import (
    CommitConflictError,
    DirectoryCAStore,
    InvalidNameError,
    IPLDStore,
    MappingCAStore,
    NoChangesError,
    ReadOnlyStoreError,
    RefError,
    Repository,
    RepositoryExistsError,
    RepositoryNotFoundError,
    RevisionError,
    SQLiteCAStore,
    UnfrozenChangesWarning,
)
from ipldstore.cid import as_link
from ipldstore.history.commit import Commit

TIME = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(params=["dict", "folder", "sqlite"])
def blocks(request, tmp_path):
    if request.param == "dict":
        yield MappingCAStore()
    elif request.param == "folder":
        yield DirectoryCAStore(tmp_path / "blocks")
    else:
        with SQLiteCAStore(tmp_path / "blocks.sqlite") as store:
            yield store


@pytest.fixture
def repo(blocks):
    return Repository.create(blocks)


def write(repo, branch="main", message="a change", **items):
    with repo.writable(branch, message=message) as store:
        for key, value in items.items():
            store[key.replace("_", "/")] = value
    return repo.branches[branch]


def test_a_new_one_has_nothing(repo):
    assert repo.default == "main"
    assert repo.branches == repo.tags == {}
    assert list(repo.log()) == []
    assert [done.kind for done in repo.operations()] == ["init"]
    with pytest.raises(RevisionError):
        repo.readonly()


def test_it_is_made_once_and_opened_after(blocks):
    with pytest.raises(RepositoryNotFoundError):
        Repository(blocks)
    made = Repository.create(blocks)
    write(made, a=b"1")
    with pytest.raises(RepositoryExistsError, match="'default' already"):
        Repository.create(blocks)
    assert Repository(blocks).branches == made.branches
    assert Repository.create(blocks, exist_ok=True).branches == made.branches
    other = Repository.create(blocks, "other", default="trunk", exist_ok=True)
    assert (other.default, other.branches) == ("trunk", {})
    with pytest.raises(InvalidNameError):
        Repository.create(blocks, "../x")
    with pytest.raises(InvalidNameError):
        Repository.create(blocks, "third", default="a..b")


def test_a_folder_is_made_by_its_path(tmp_path):
    place = str(tmp_path / "made")
    with Repository.create(place) as repo:
        write(repo, a=b"1")
    with Repository(place) as repo:
        assert dict(repo.readonly()) == {"a": b"1"}
    with pytest.raises(ipldstore.BlockStoreNotFoundError):
        Repository(str(tmp_path / "not there"))


def test_each_commit_is_kept(repo):
    first = write(repo, message="first", a_0=b"1")
    second = write(repo, message="second", a_0=b"2", a_1=b"x")
    assert repo.branches == {"main": second}
    assert dict(repo.readonly()) == {"a/0": b"2", "a/1": b"x"}
    assert dict(repo.readonly("main~1")) == dict(repo.readonly(first)) == {"a/0": b"1"}
    found = list(repo.log())
    assert [version.message for version in found] == ["second", "first"]
    assert [version.cid for version in found] == [second, first]
    assert found[0].parents == (first,)
    assert found[0].refs == ("main",)
    assert repo.readonly().root_cid == found[0].root


def test_an_exception_commits_nothing_and_loses_nothing(repo):
    first = write(repo, a=b"1")
    with pytest.raises(ZeroDivisionError), repo.writable() as store:
        store["a"] = b"2"
        1 / 0  # noqa: B018
    assert repo.branches == {"main": first}
    assert store["a"] == b"2"
    assert store.commit("after all") == repo.branches["main"]
    assert dict(repo.readonly()) == {"a": b"2"}


def test_a_commit_without_changes(repo):
    with repo.writable():
        pass
    assert repo.branches == {}
    first = write(repo, a=b"1")
    with repo.writable() as store:
        store["a"] = b"2"
        store["a"] = b"1"
    assert repo.branches == {"main": first}
    with pytest.raises(NoChangesError, match="which has all of it"):
        repo.writable().commit("nothing")


def test_what_a_commit_says(repo):
    store = repo.writable(author="session", metadata={"a": 1})
    store["a"] = b"1"
    made = store.commit("one\n\nmore", author="me", metadata={"run": [1, 2.5]}, time=TIME)
    version = repo.show()
    assert (version.cid, version.message, version.author) == (made, "one\n\nmore", "me")
    assert (version.time, dict(version.metadata)) == (TIME, {"run": [1, 2.5]})
    store["a"] = b"2"
    store.commit("two")
    assert (repo.show().author, dict(repo.show().metadata)) == ("session", {"a": 1})
    with pytest.raises(ValueError, match="says no zone"):
        store.commit("three", time=datetime(2026, 1, 1))
    with pytest.raises(ipldstore.InvalidNodeError, match="expected text"):
        repo.writable(message=3)


def test_the_same_commit_can_be_made_again(blocks):
    made = []
    for name in ("one", "two"):
        repo = Repository.create(blocks, name)
        store = repo.writable()
        store["a"] = b"1"
        made.append(store.commit("first", author="me", time=TIME))
    assert made[0] == made[1]


def test_what_a_version_looks_like(repo):
    store = repo.writable(message="one\n\nmore\x1b", author="me", metadata={"run": 1}, time=TIME)
    store["a"] = b"1"
    made = store.commit()
    assert repr(repo.show()) == f"<Version {str(made)[:15]} 2026-01-05 12:00 'one'>"
    assert str(repo.show()).splitlines() == [
        f"commit   {made}",
        "refs     main",
        f"root     {store.root_cid}",
        "time     2026-01-05 12:00:00 UTC",
        "author   me",
        "run:     1",
        "",
        "    one",
        "    ",
        "    more\\x1b",
    ]


def test_a_session_that_says_how_conflicts_are_settled(repo):
    write(repo, a=b"1")
    with repo.writable(resolve="theirs", message="mine") as store:
        store["a"], store["b"] = b"mine", b"mine"
        write(repo, a=b"theirs")
    assert dict(repo.readonly()) == {"a": b"theirs", "b": b"mine"}


def test_the_author_of_the_environment(repo, monkeypatch):
    monkeypatch.setenv("IPLDSTORE_AUTHOR", "somebody")
    write(repo, a=b"1")
    assert repo.show().author == "somebody"
    assert Repository(repo.blocks, author="me").writable(message="x").commit is not None


def test_branches_and_tags(repo):
    first = write(repo, a=b"1")
    assert repo.branch("dev") == repo.tag("v1") == first
    second = write(repo, "dev", a=b"2")
    assert repo.branches == {"dev": second, "main": first}
    assert repo.tags == {"v1": first}
    assert repo.find("dev~1") == first
    assert repo.tag("v2", "dev") == second
    for name in ("dev", "v1", "main"):
        with pytest.raises(RefError, match="already"):
            repo.tag(name)
        with pytest.raises(RefError, match="already"):
            repo.branch(name)
    with pytest.raises(InvalidNameError):
        repo.branch("a b")
    with pytest.raises(RevisionError, match="'Dev'"):
        repo.branch("x", "Dev")
    shown = "its branches are 'dev', 'main'$"
    with pytest.raises(RevisionError, match=f"no branch 'nope' in the repository: {shown}"):
        repo.writable("nope")
    with pytest.raises(RevisionError, match=rf"no branch 'mian' .*: did you mean 'main'\? {shown}"):
        repo.reset("mian", "main")
    with pytest.raises(RevisionError, match=r"there is no branch 7 in the repository"):
        repo.writable(7)
    with pytest.raises(RevisionError, match=r"no branch or tag 'v1\.': did you mean 'v1'\?"):
        repo.delete("v1.")
    with pytest.raises(RevisionError, match="'v1' is a tag, which never moves, expected a branch"):
        repo.writable("v1")
    with pytest.raises(InvalidNameError, match="it is a CID"):
        repo.branch(first.encode("base58btc"))


def test_deleting_and_bringing_back(repo):
    first = write(repo, a=b"1")
    repo.branch("dev")
    repo.tag("v1")
    assert repo.delete("dev") == repo.delete("v1") == first
    assert (list(repo.branches), repo.tags) == (["main"], {})
    with pytest.raises(RefError, match="default branch"):
        repo.delete("main")
    with pytest.raises(RevisionError):
        repo.delete("dev")
    assert repo.undo().kind == "delete"
    assert repo.tags == {"v1": first}
    assert repo.undo("dev").kind == "delete"
    assert repo.branches == {"dev": first, "main": first}


def test_resetting_and_undoing(repo):
    first, second = write(repo, a=b"1"), write(repo, a=b"2")
    assert repo.reset("main", "main~1") == first
    assert repo.branches == {"main": first}
    assert repo.undo().kind == "reset"
    assert repo.branches == {"main": second}
    assert repo.undo().kind == "undo"
    assert repo.branches == {"main": first}
    kinds = [done.kind for done in repo.operations()]
    assert kinds == ["undo", "undo", "reset", "commit", "commit", "init"]
    with pytest.raises(RevisionError):
        repo.reset("dev", "main")


def test_undoing_the_first_commit(repo):
    first = write(repo, a=b"1")
    done = repo.undo("main")
    assert (done.before, done.after) == (None, first)
    assert repo.branches == {}
    assert repo.undo().after is None
    assert repo.branches == {"main": first}
    with pytest.raises(RefError, match="nothing was done to 'dev'"):
        repo.undo("dev")


def test_two_sessions_meet(repo):
    write(repo, a_0=b"1", b_0=b"1")
    one, two = repo.writable(), repo.writable()
    one["a/0"], two["b/0"] = b"one", b"two"
    one.commit("one")
    made = two.commit("two")
    assert dict(repo.readonly()) == {"a/0": b"one", "b/0": b"two"}
    assert dict(two) == {"a/0": b"1", "b/0": b"two"}
    assert repo.show().parents == (repo.find("main~1"),)
    assert [version.message for version in repo.log()] == ["two", "one", "a change"]
    assert two.base == made
    one["a/1"] = b"more"
    one.commit("three")
    assert dict(one) == {"a/0": b"one", "a/1": b"more", "b/0": b"1"}
    assert dict(repo.readonly()) == {"a/0": b"one", "a/1": b"more", "b/0": b"two"}


def test_a_conflict_loses_nothing(repo):
    write(repo, a_0=b"1", b_0=b"1")
    one, two = repo.writable(), repo.writable()
    one["a/0"], two["a/0"], two["b/0"] = b"one", b"two", b"two"
    first = one.commit("one")
    with pytest.raises(CommitConflictError, match=r"branch 'main' moved.*a") as caught:
        two.commit("two")
    assert caught.value.conflicts
    assert pickle.loads(pickle.dumps(caught.value)).conflicts == caught.value.conflicts
    assert repo.branches == {"main": first}
    assert dict(two) == {"a/0": b"two", "b/0": b"two"}
    two.commit("mine", resolve="ours")
    assert dict(repo.readonly()) == {"a/0": b"two", "b/0": b"two"}
    three = repo.writable("main")
    one["a/0"] = b"again"
    three["a/0"] = b"three"
    three.commit("three")
    with pytest.raises(NoChangesError):
        one.commit("theirs", resolve="theirs")


def test_a_first_commit_beside_another(repo):
    one, two = repo.writable(), repo.writable()
    one["a"], two["b"] = b"1", b"2"
    one.commit("one")
    two.commit("two")
    assert dict(repo.readonly()) == {"a": b"1", "b": b"2"}


def test_the_same_change_twice_is_one_commit(repo):
    write(repo, a=b"1")
    one, two = repo.writable(), repo.writable()
    one["a"] = two["a"] = b"2"
    one.commit("one")
    with pytest.raises(NoChangesError):
        two.commit("two")
    assert len(list(repo.log())) == 2


def test_a_branch_that_went(repo):
    write(repo, a=b"1")
    repo.branch("dev")
    store = repo.writable("dev")
    store["a"] = b"2"
    repo.delete("dev")
    with pytest.raises(RefError, match="'dev' is not there any more"):
        store.commit("late")
    repo.branch("dev")
    store.commit("late")
    assert dict(repo.readonly("dev")) == {"a": b"2"}


def test_merging(repo):
    write(repo, a=b"1", b=b"1", c=b"1")
    repo.branch("dev")
    ours = write(repo, a=b"2")
    theirs = write(repo, "dev", b=b"2")
    merged = repo.merge("dev")
    assert dict(repo.readonly()) == {"a": b"2", "b": b"2", "c": b"1"}
    version = repo.show()
    assert (version.cid, version.parents) == (merged, (ours, theirs))
    assert version.message == "Merge dev into main"
    assert repo.find("main^2") == theirs
    assert repo.merge("dev") == merged
    assert repo.merge("main", "dev") == merged
    assert repo.branches == {"dev": merged, "main": merged}
    assert [done.kind for done in repo.operations()][:2] == ["merge", "merge"]
    assert "├─╮" in str(repo.log())
    assert "├─╮" in repo.log()._repr_html_()


def test_merging_both_ways_gives_one_root(blocks):
    roots = []
    for name, first, second in (("one", "main", "dev"), ("two", "dev", "main")):
        repo = Repository.create(blocks, name)
        write(repo, a=b"1", b=b"1")
        repo.branch("dev")
        write(repo, "main", a=b"2")
        write(repo, "dev", b=b"2")
        repo.merge(first, second)
        roots.append(repo.show(second).root)
    assert roots[0] == roots[1]


def test_a_merge_that_meets_a_conflict(repo):
    write(repo, a=b"1")
    repo.branch("dev")
    ours = write(repo, a=b"2")
    write(repo, "dev", a=b"3")
    with pytest.raises(CommitConflictError, match="'dev' and branch 'main' both changed"):
        repo.merge("dev")
    assert repo.branches["main"] == ours
    repo.merge("dev", resolve="theirs", message="theirs")
    assert dict(repo.readonly()) == {"a": b"3"}
    assert repo.show().message == "theirs"


def test_versions_without_a_common_one(repo):
    first = write(repo, a=b"1")
    repo.branch("dev")
    repo.undo("main")
    second = write(repo, b=b"1")
    assert repo.branches == {"dev": first, "main": second}
    with pytest.raises(RevisionError, match="no commit in common"):
        repo.merge("dev")


def test_a_root_is_committed(repo):
    store = IPLDStore(repo.blocks)
    store["a"] = b"1"
    root = store.freeze()
    made = repo.commit(root, message="from elsewhere")
    assert (repo.show().root, repo.show().cid) == (root, made)
    with pytest.raises(NoChangesError):
        repo.commit(root, message="again")
    with pytest.raises(ipldstore.BlockNotFoundError):
        repo.commit("bafyreieyzoqqgs3l3tinb3llbqke53v2i52plrc67tdqih2ddciwjaqrh4", message="none")
    with pytest.raises(ipldstore.InvalidNodeError):
        repo.commit(made, message="a commit is no hierarchy")
    assert len(list(repo.log())) == 1


def test_copies_of_a_session_do_not_commit(repo):
    session = repo.writable()
    session["a"] = b"1"
    fork = session.fork()
    fork["b"] = b"2"
    with pytest.raises(ReadOnlyStoreError, match=r"merge\(\) a fork"):
        fork.commit("a fork")
    session.merge(fork)
    copy = pickle.loads(pickle.dumps(session))
    copy["c"] = b"3"
    with pytest.raises(ReadOnlyStoreError):
        session.with_read_only(True).commit("a view that only reads")
    copy.commit("the same session")
    assert dict(repo.readonly()) == {"a": b"1", "b": b"2", "c": b"3"}


def test_no_branch_leads_to_a_commit_that_lies(repo):
    first = write(repo, a=b"1")
    lie = Commit(
        root=as_link(repo.show().root),
        parents=(as_link(first),),
        generation=50,
        time=0,
        author="",
        message="",
    )
    link = repo.blocks.put_raw(lie.encode(), "dag-cbor")
    for use in (repo.branch, repo.tag, repo.reset):
        with pytest.raises(ipldstore.InvalidNodeError, match="generation 50, expected 2"):
            use("main" if use == repo.reset else "lie", link)
    assert (repo.branches, repo.tags) == ({"main": first}, {})


def test_the_log_of_all(repo):
    write(repo, message="first", a=b"1")
    repo.branch("dev")
    write(repo, message="second", a=b"2")
    write(repo, "dev", message="third", a=b"3")
    assert {version.message for version in repo.log(all=True)} == {"first", "second", "third"}
    assert [version.message for version in repo.log("dev")] == ["third", "first"]
    assert len(str(repo.log(all=True)).splitlines()) == 4


def test_what_is_never_committed_is_told(tmp_path):
    repo = Repository.create(DirectoryCAStore(tmp_path / "blocks"))
    session = repo.writable()
    session["a"] = b"1"
    session.freeze()
    with pytest.warns(UnfrozenChangesWarning, match=r"repo.resume\('.*'\) goes on"):
        del session
        gc.collect()


def test_nothing_is_lost_where_the_branch_has_all_of_it(tmp_path):
    repo = Repository.create(DirectoryCAStore(tmp_path / "blocks"))
    write(repo, a=b"1")
    with repo.writable() as session:
        session["a"] = b"2"
        session["a"] = b"1"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del session
        gc.collect()
    assert not [warning for warning in caught if warning.category is UnfrozenChangesWarning]


def test_a_message_that_is_no_text_is_refused_at_once(repo):
    for message in (None, 5):
        with pytest.raises(ipldstore.InvalidNodeError, match="expected text"):
            repo.writable(message=message)


def test_writing_goes_on_while_it_commits(repo, monkeypatch):
    write(repo, a=b"1")
    session = repo.writable()
    session["a"] = b"2"
    swap = repo.blocks.swap_pointer

    def write_meanwhile(name, old, new):
        session["b"] = b"late"
        return swap(name, old, new)

    with monkeypatch.context() as patch:
        patch.setattr(repo.blocks, "swap_pointer", write_meanwhile)
        session.commit("first")
    assert dict(repo.readonly()) == {"a": b"2"}
    other = repo.writable()
    other["c"] = b"other"
    other.commit("other")
    session.commit("late")
    assert dict(repo.readonly()) == {"a": b"2", "b": b"late", "c": b"other"}


def test_a_branch_that_has_all_is_where_the_next_changes_begin(repo):
    write(repo, a=b"old")
    session = repo.writable()
    write(repo, a=b"new")
    session["a"] = b"new"
    with pytest.raises(NoChangesError, match="has all of it"):
        session.commit("the same")
    session["a"] = b"old"
    session.commit("back")
    assert repo.readonly()["a"] == b"old"


def test_what_was_settled_is_settled(repo):
    write(repo, a=b"0")
    session = repo.writable()
    session["a"] = b"1"
    write(repo, a=b"2")
    with pytest.raises(NoChangesError):
        session.commit("theirs", resolve="theirs")
    session["b"] = b"1"
    session.commit("another key")
    assert dict(repo.readonly()) == {"a": b"2", "b": b"1"}
    session["a"] = b"0"
    with pytest.raises(CommitConflictError):
        session.commit("against theirs")
    session.abandon()


def test_an_interrupted_commit_is_found_behind_a_merge(repo, monkeypatch):
    write(repo, a=b"0")
    repo.branch("dev")
    write(repo, branch="dev", b=b"1")
    session = repo.writable("main")
    session["a"] = b"1"
    swap = repo.blocks.swap_pointer

    def swap_and_stop(name, old, new):
        swap(name, old, new)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(repo.blocks, "swap_pointer", swap_and_stop)
        session.commit("a")
    repo.merge("main", "dev")
    repo.merge("dev", "main")
    session["a"] = b"0"
    session.commit("back")
    assert dict(repo.readonly()) == {"a": b"0", "b": b"1"}


def test_no_tag_is_named_as_the_default_branch(repo):
    write(repo, a=b"1")
    repo.branch("dev")
    repo.undo("dev")
    repo.undo("main")
    with pytest.raises(RefError, match="is the default branch"):
        repo.tag("main", next(iter(repo.operations())).before)


def test_what_settles_nothing_is_refused_at_once(repo):
    with pytest.raises(ValueError, match="expected 'ours' or 'theirs'"):
        repo.writable(resolve="other")
    session = repo.writable()
    session["a"] = b"1"
    with pytest.raises(ValueError, match="expected 'ours' or 'theirs'"):
        session.commit("a", resolve="mine")
    session.abandon()
