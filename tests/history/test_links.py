"""What a block leads to: a history goes on to commits and roots, unless they are let go."""

import pytest

from ipldstore.cid import Link, make_link
from ipldstore.dag import iter_dag
from ipldstore.errors import InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.history.links import history_links_of
from tests.histories import EMPTY, History, make_state


def test_states_commits_and_others():
    history = History()
    first, second = history.chain(2)
    other = history.commit(second, first)
    state = make_state({"main": second, "b": second}, {"t": other}, shallow=[first])
    link = make_link(state.encode(), "dag-cbor")
    assert set(history_links_of(link, state.encode())) == {second, other}
    assert len(history_links_of(link, state.encode())) == 2
    assert history_links_of(other, history.data[other]) == [EMPTY, second, first]
    assert history_links_of(other, history.data[other], {other}) == [EMPTY]
    data = dagcbor.encode({"a": EMPTY})
    assert history_links_of(make_link(data, "dag-cbor"), data) == [EMPTY]


def test_malformed_commits_are_refused():
    data = dagcbor.encode({"commit": 1, "root": EMPTY, "parents": "none"})
    with pytest.raises(InvalidNodeError, match="holds no commit"):
        history_links_of(make_link(data, "dag-cbor"), data)


def test_a_long_history_is_walked():
    history = History()
    tip = history.chain(3000)[-1]
    history.data[EMPTY] = b"\xa0"
    found = [link for link, _ in iter_dag(tip, history.load, follow=history_links_of)]
    assert len(found) == 3001
    assert isinstance(found[0], Link)
