"""Commits that are let go, by number or by age, against a walk that knows each commit by name."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipldstore import MappingCAStore, Repository, RevisionError

START = datetime(2026, 1, 1, tzinfo=UTC)


def commit(repo, branch, number):
    with repo.writable(branch, message=str(number), time=START + timedelta(days=number)) as store:
        store[f"{branch}/{number}"] = b"%d" % number


def made(count=6):
    repo = Repository.create(MappingCAStore())
    for number in range(count):
        commit(repo, "main", number)
    return repo


def messages(repo, revision=None, **options):
    return [version.message for version in repo.log(revision, **options)]


def test_by_number():
    repo = made()
    tip = repo.find()
    assert repo.expire(keep_last=2) == (2, 4)
    assert messages(repo) == ["5", "4"]
    assert repo.find() == tip
    assert repo.verify().ok
    assert next(repo.operations()).kind == "expire"
    with pytest.raises(RevisionError):
        repo.find("main~2")
    commit(repo, "main", 6)
    assert messages(repo) == ["6", "5", "4"]
    assert repo.expire(keep_last=2) == (2, 1)


def test_by_age():
    repo = made()
    assert repo.expire(older_than=START + timedelta(days=3)) == (3, 3)
    assert messages(repo) == ["5", "4", "3"]
    assert repo.expire(older_than=timedelta(0)) == (1, 2)
    assert messages(repo) == ["5"]


def test_both_keep_what_either_keeps():
    assert made().expire(keep_last=5, older_than=START + timedelta(days=4)) == (5, 1)
    assert made().expire(keep_last=1, older_than=START + timedelta(days=4)) == (2, 4)


def test_nothing_to_let_go():
    repo = made()
    state = repo.cid
    assert repo.expire(keep_last=6) == (6, 0)
    assert repo.cid == state


def test_what_tags_are_for_stays():
    repo = made()
    repo.tag("v1", "main~3")
    assert repo.expire(keep_last=1) == (2, 4)
    assert messages(repo, "v1") == ["2"]
    assert repo.readonly("v1")["main/2"] == b"2"
    assert repo.verify().ok


def test_one_branch():
    repo = made()
    repo.branch("side", "main~2")
    commit(repo, "side", 9)
    assert repo.expire(keep_last=1, branch="main") == (6, 1)
    assert messages(repo, "main") == ["5"]
    assert messages(repo, "side") == ["9", "3", "2", "1", "0"]
    assert repo.expire(keep_last=2, branch="side") == (3, 3)
    with pytest.raises(RevisionError):
        repo.expire(keep_last=1, branch="nothing")


def test_of_a_merge_all_parents_stay_or_none():
    repo = made(2)
    repo.branch("side", "main~1")
    commit(repo, "side", 8)
    commit(repo, "main", 2)
    repo.merge("side", message="merged", time=START + timedelta(days=9))
    repo.delete("side")
    assert repo.expire(older_than=START + timedelta(days=5)) == (3, 2)
    assert sorted(messages(repo)) == ["2", "8", "merged"]
    assert repo.verify().ok


def test_a_young_commit_behind_an_old_one():
    repo = Repository.create(MappingCAStore())
    for number in (0, 5, 1):
        commit(repo, "main", number)
    assert repo.expire(older_than=START + timedelta(days=4)) == (2, 1)
    assert messages(repo) == ["1", "5"]


def test_what_came_without_its_parents_stays_without_them():
    repo = made()
    clone = Repository.clone(repo, MappingCAStore(), depth=2)
    first = list(clone.log())[-1].cid
    clone.reset("main", clone.find())
    with clone.writable(message="other") as store:
        store["x/0"] = b"x"
    clone.expire(keep_last=1)
    clone.branch("again", first)
    assert messages(clone, "again") == ["4"]
    assert clone.verify().ok


def test_what_was_let_go_here_can_come_again():
    repo = made()
    tip = repo.find("main~3")
    repo.expire(keep_last=2)
    repo.branch("again", tip)
    assert messages(repo, "again") == ["2", "1", "0"]
    repo.expire(keep_last=1)
    assert messages(repo, "again") == ["2"]


@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_merges_are_whole_whatever_their_order(keep, random):
    repo = made(1)
    for name in "ab":
        repo.branch(name, "main")
    for number in range(1, 9):
        name = random.choice("ab")
        if random.random() < 0.5:
            repo.merge("ba"["ab".index(name)], name, message=f"merge {number}")
        else:
            commit(repo, name, random.randrange(30))
    repo.expire(older_than=START + timedelta(days=keep * 4))
    assert repo.verify().ok
    state = repo._versions.read()[1]
    graph = repo._versions.graph(state)
    reached = {link for link, _ in graph.iter_ancestors(state.branches.values())}
    for link in reached:
        parents = set(graph.commit(link).parents)
        assert parents <= reached or link in state.shallow


def test_a_clone_leaves_out_what_was_let_go():
    repo = made()
    repo.expire(keep_last=1)
    clone = Repository.clone(repo, MappingCAStore())
    assert messages(clone) == ["5"]
    assert clone.verify().ok


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, TypeError),
        ({"keep_last": 0}, ValueError),
        ({"older_than": datetime(2026, 1, 1)}, ValueError),
        ({"older_than": 3}, TypeError),
        ({"older_than": timedelta(days=-1)}, ValueError),
    ],
)
def test_what_is_no_rule(options, error):
    repo = made()
    with pytest.raises(error):
        repo.expire(**options)
    assert len(messages(repo)) == 6


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), min_size=1, max_size=10),
    st.integers(1, 5),
)
def test_all_that_is_left_can_be_read(steps, keep):
    repo = Repository.create(MappingCAStore())
    commit(repo, "main", 0)
    for name in "ab":
        repo.branch(name, "main")
    for number, (name, merges) in enumerate(steps, 1):
        other = "b" if name == "a" else "a"
        if merges:
            repo.merge(other, name, message=f"merge {number}")
        else:
            commit(repo, name, number)
    before = {name: messages(repo, name) for name in "ab"}
    done = repo.expire(keep_last=keep)
    assert done.kept == len(messages(repo, all=True))
    assert done.kept + done.let_go == len({text for texts in before.values() for text in texts})
    for name in "ab":
        assert messages(repo, name)[0] == before[name][0]
        assert len(messages(repo, name)) >= min(keep, len(before[name]))
    assert repo.verify().ok
    assert repo.expire(keep_last=keep).let_go == 0
