"""Verifying all versions of a repository: each block once, faults with commits and keys."""

import pytest

from ipldstore import MappingCAStore, Repository
from ipldstore.cid import Link, make_link, to_text
from ipldstore.formats import dagcbor
from ipldstore.verifying import verify_history
from tests.histories import EMPTY, History, make_state, put_state


class Counting(MappingCAStore):
    reads = 0

    def get_raw(self, cid):
        self.reads += 1
        return super().get_raw(cid)


@pytest.fixture
def repo():
    repo = Repository.create(Counting())
    for value in (b"first", b"second"):
        with repo.writable(message=f"set {value.decode()}\n\nwhy") as store:
            store["a/0"] = value
            store["b/0"] = b"same"
    return repo


def link_of(data):
    return to_text(make_link(data))


def test_each_block_is_read_once(repo):
    before = repo.blocks.reads
    found = repo.verify()
    assert found.ok
    assert (found.root, found.arrays) == (str(repo.cid), None)
    assert found.blocks == repo.info().blocks == 1 + 4 + 3
    assert found.bytes == repo.info().bytes
    assert before > 0


def test_faults_say_which_versions_and_keys(repo):
    del repo.blocks.mapping[link_of(b"first")]
    repo.blocks.mapping[link_of(b"same")] = b"sane"
    old, new = repo.show("main~1"), repo.show("main")
    problems = {problem.kind: problem for problem in repo.verify().problems}
    assert problems["missing"].keys == ("a/0",)
    assert problems["missing"].commits == (f"{old.cid} set first",)
    assert problems["corrupt"].keys == ("b/0",)
    assert set(problems["corrupt"].commits) == {f"{old.cid} set first", f"{new.cid} set second"}
    assert problems["corrupt"].key_count == 2


def test_a_missing_root_and_a_missing_commit(repo):
    old, new = repo.show("main~1"), repo.show("main")
    del repo.blocks.mapping[str(old.root)]
    (problem,) = repo.verify().problems
    assert (problem.cid, problem.keys) == (str(old.root), ("",))
    assert problem.commits == (f"{old.cid} set first",)
    del repo.blocks.mapping[str(old.cid)]
    (problem,) = repo.verify().problems
    assert (problem.kind, problem.cid, problem.keys) == ("missing", str(old.cid), ())
    assert problem.commits == (f"{new.cid} set second",)


def test_malformed_commits_and_states():
    blocks = MappingCAStore()
    blocks.put_raw(b"\xa0", "dag-cbor")
    bad = blocks.put_raw(dagcbor.encode({"commit": 1, "root": EMPTY}), "dag-cbor")
    link = put_state(blocks, make_state({"main": Link(bytes(bad))}))
    (problem,) = verify_history(link, blocks).problems
    assert (problem.kind, problem.cid, problem.keys) == ("malformed", to_text(bad), ())
    (problem,) = verify_history(Link(bytes(bad)), blocks).problems
    assert problem.kind == "malformed"


def test_what_is_let_go_is_not_asked_for():
    blocks = MappingCAStore()
    blocks.put_raw(b"\xa0", "dag-cbor")
    gone, kept, tip = History(blocks).chain(3)
    del blocks.mapping[to_text(gone)]
    assert not verify_history(put_state(blocks, make_state({"main": tip})), blocks).ok
    state = make_state({"main": tip}, shallow=[kept])
    assert verify_history(put_state(blocks, state), blocks).ok


def test_repairs_and_what_is_extra(repo):
    whole = MappingCAStore(dict(repo.blocks.mapping))
    old = repo.show("main~1").cid
    del repo.blocks.mapping[str(old)]
    assert repo.verify(repair_from=whole).repaired == (str(old),)
    state = repo.cid
    repo.tag("v1")
    assert str(state) in repo.verify(extra=True).extra


def test_a_long_history_is_walked():
    blocks = MappingCAStore()
    blocks.put_raw(b"\xa0", "dag-cbor")
    tip = History(blocks).chain(5000)[-1]
    found = verify_history(put_state(blocks, make_state({"main": tip})), blocks)
    assert found.ok
    assert found.blocks == 5002
