"""Histories as graphs, against sets of ancestors, and against git."""

import os
import re
import shutil
import subprocess
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore.cid import make_link
from ipldstore.errors import BlockNotFoundError, InvalidNodeError
from ipldstore.history.graph import Graph
from tests.histories import NOON, History

CHAIN = 50_000


@st.composite
def dags(draw, largest=14, most_parents=3):
    """Draw a history, the parents of each commit among those before it."""
    history, links = History(), []
    for number in range(draw(st.integers(1, largest))):
        parents = draw(
            st.lists(st.integers(0, number - 1), unique=True, max_size=most_parents)
            if number
            else st.just([])
        )
        time = NOON + draw(st.integers(0, 3))
        links.append(history.commit(*(links[at] for at in parents), time=time))
    shallow = draw(st.sets(st.sampled_from(links), max_size=2))
    return history, links, shallow


class Model:
    """What the graph has to say, from the parents of each commit alone."""

    def __init__(self, history, shallow=()):
        self.parents = {
            link: () if link in shallow else history.read(link).parents for link in history.data
        }

    def ancestors(self, link):
        found = {link}
        for parent in self.parents[link]:
            found |= self.ancestors(parent)
        return found

    def bases(self, one, other):
        common = self.ancestors(one) & self.ancestors(other)
        return sorted(
            link
            for link in common
            if not any(link in self.ancestors(above) for above in common - {link})
        )


@given(dags(), st.data())
@settings(deadline=None, max_examples=150)
def test_it_agrees_with_sets_of_ancestors(drawn, data):
    history, links, shallow = drawn
    graph, model = Graph(history.load, shallow), Model(history, shallow)
    one, other = data.draw(st.tuples(*[st.sampled_from(links)] * 2))
    assert graph.parents(one) == model.parents[one]
    assert graph.is_ancestor(one, other) == (one in model.ancestors(other))
    assert graph.merge_bases(one, other) == model.bases(one, other)
    assert graph.merge_bases(other, one) == model.bases(one, other)
    found = list(graph.iter_ancestors([one, other, one]))
    wanted = model.ancestors(one) | model.ancestors(other)
    assert len(found) == len(wanted)
    assert {link for link, _ in found} == wanted
    order = [(-commit.generation, -commit.time, link) for link, commit in found]
    assert order == sorted(order)
    assert all(commit == history.read(link) for link, commit in found)


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


class Git:
    """The same history in a repository of git."""

    def __init__(self, folder, history, links):
        self.folder = folder
        self.run("init", "--quiet", "--bare", ".")
        tree = self.run("mktree", text="")
        self.by_link = {}
        for link in links:
            parents = [self.by_link[parent] for parent in history.read(link).parents]
            options = [word for parent in parents for word in ("-p", parent)]
            self.by_link[link] = self.run("commit-tree", tree, *options, "-m", str(link))
        self.by_hash = {name: link for link, name in self.by_link.items()}

    def run(self, *command, text=None, codes=(0,)):
        user = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Ada"), ("EMAIL", "ada"), ("DATE", "1767614400 +0000"))
        }
        done = subprocess.run(
            ["git", *command],
            cwd=self.folder,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | user | {"GIT_CONFIG_GLOBAL": os.devnull},
        )
        assert done.returncode in codes, done.stderr
        return done.stdout.strip()

    def links(self, *command, codes=(0,)):
        return [self.by_hash[name] for name in self.run(*command, codes=codes).split()]


@needs_git
@pytest.mark.once
@given(dags(), st.data())
@settings(deadline=None, max_examples=10)
def test_git_agrees(tmp_path_factory, drawn, data):
    history, links, _ = drawn
    graph = Graph(history.load)
    git = Git(tmp_path_factory.mktemp("git"), history, links)
    for _ in range(3):
        one, other = data.draw(st.tuples(*[st.sampled_from(links)] * 2))
        names = git.by_link[one], git.by_link[other]
        bases = git.links("merge-base", "--all", *names, codes=(0, 1))
        assert graph.merge_bases(one, other) == sorted(bases)
        first = git.links("log", "--first-parent", "--format=%H", names[0])
        assert [link for link, _ in graph.iter_first_parents(one)] == first
        assert {link for link, _ in graph.iter_ancestors([one])} == set(
            git.links("rev-list", names[0])
        )


def test_a_criss_cross_has_two_bases():
    history = History()
    root = history.commit()
    left, right = history.commit(root), history.commit(root)
    one, other = history.commit(left, right), history.commit(right, left)
    graph = Graph(history.load)
    assert graph.merge_bases(one, other) == sorted([left, right])
    assert graph.merge_bases(left, other) == [left]
    assert graph.merge_bases(one, one) == [one]
    assert graph.merge_bases(one, history.commit()) == []


def test_a_long_chain():
    history = History()
    links = history.chain(CHAIN)
    graph = Graph(history.load)
    assert sum(1 for _ in graph.iter_ancestors(links[-1:])) == CHAIN
    middle = links[CHAIN // 2]
    assert graph.is_ancestor(middle, links[-1])
    assert graph.merge_bases(middle, links[-1]) == [middle]
    assert sum(1 for _ in graph.iter_first_parents(middle)) == CHAIN // 2 + 1


def test_parents_are_loaded_when_they_are_asked_for():
    history = History()
    links = history.chain(5)
    for iterate in (lambda graph: graph.iter_ancestors(links[-1:]), as_first_parents(links[-1])):
        history.loaded.clear()
        assert [link for link, _ in islice(iterate(Graph(history.load)), 2)] == links[:2:-1]
        assert history.loaded == links[:2:-1]


def as_first_parents(tip):
    return lambda graph: graph.iter_first_parents(tip)


def test_none_below_the_older_one_is_looked_into():
    history = History()
    links = history.chain(5)
    side = history.chain(1, links[1])[0]
    history.loaded.clear()
    graph = Graph(history.load)
    assert not graph.is_ancestor(side, links[-1])
    assert graph.is_ancestor(links[-1], links[-1])
    assert not graph.is_ancestor(links[-1], side)
    assert not set(links[:1]) & set(history.loaded)


def test_a_commit_is_loaded_once():
    history = History()
    links = history.chain(50)
    graph = Graph(history.load)
    for _ in range(2):
        list(graph.iter_ancestors(links[-1:]))
        graph.merge_bases(links[0], links[-1])
    assert sorted(history.loaded) == sorted(links)


def test_parents_that_are_let_go():
    history = History()
    links = history.chain(4)
    del history.data[links[1]]
    graph = Graph(history.load, [links[2]])
    assert graph.parents(links[2]) == ()
    assert graph.commit(links[2]).parents == (links[1],)
    assert [link for link, _ in graph.iter_ancestors(links[-1:])] == links[:1:-1]
    assert [link for link, _ in graph.iter_first_parents(links[-1])] == links[:1:-1]
    assert not graph.is_ancestor(links[0], links[-1])
    assert graph.merge_bases(links[0], links[-1]) == []


def test_a_missing_parent():
    history = History()
    links = history.chain(3)

    def load(link):
        if link == links[0]:
            raise BlockNotFoundError(f"no block {link}")
        return history.load(link)

    graph = Graph(load)
    for question in (
        lambda: list(graph.iter_ancestors(links[-1:])),
        lambda: list(graph.iter_first_parents(links[-1])),
        lambda: graph.is_ancestor(links[0], links[-1]),
        lambda: graph.merge_bases(links[0], links[-1]),
    ):
        with pytest.raises(BlockNotFoundError, match=str(links[0])):
            question()


@pytest.mark.parametrize(
    ("generation", "expected", "first_only"),
    [(2, "expected 4", True), (3, "expected 4", True), (5, "expected 4", False)],
)
def test_generations_that_lie(generation, expected, first_only):
    history = History()
    links = history.chain(3)
    lie = history.commit(links[-1], generation=generation)
    above = history.commit(lie)
    graph = Graph(history.load)
    message = re.escape(f"commit {lie} has generation {generation}, {expected}: its parent ")
    for question in (
        lambda: list(graph.iter_ancestors([above])),
        lambda: graph.is_ancestor(links[0], above),
        lambda: graph.merge_bases(links[0], above),
    ):
        with pytest.raises(InvalidNodeError, match=f"^{message}{links[-1]} has 3$"):
            question()
    if first_only:
        with pytest.raises(InvalidNodeError, match=f"{lie} .* expected more than 3: .*{links[-1]}"):
            list(graph.iter_first_parents(above))
    else:
        assert len(list(graph.iter_first_parents(above))) == 5
    assert len(list(Graph(history.load, [lie]).iter_ancestors([above]))) == 2


def test_what_is_no_commit():
    data = b"\xa0"
    link = make_link(data, "dag-cbor")
    with pytest.raises(InvalidNodeError, match=f"block {link} holds no commit"):
        Graph({link: data}.__getitem__).commit(link)
