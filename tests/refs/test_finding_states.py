"""The state of a repository is found by its name in a block store, or in the head of a CAR file."""

from collections import ChainMap

import pytest

from ipldstore import CARStore, DirectoryCAStore, MappingCAStore
from ipldstore.cid import make_link
from ipldstore.errors import (
    BlockNotFoundError,
    InvalidNameError,
    InvalidNodeError,
    RepositoryNotFoundError,
)
from ipldstore.formats.car import write_car
from ipldstore.refs.states import find_pointer, find_state, load_state
from tests.histories import History, make_state, put_state


@pytest.fixture(params=["memory", "folder"])
def blocks(request, tmp_path):
    return MappingCAStore() if request.param == "memory" else DirectoryCAStore(tmp_path / "blocks")


def test_by_name(blocks):
    history = History(blocks)
    states = {
        name: make_state({"main": history.commit()}) for name in ("default", "other", "third")
    }
    links = {name: put_state(blocks, state, name) for name, state in states.items()}
    assert find_state(blocks) == (links["default"], states["default"])
    for name, state in states.items():
        assert find_state(blocks, name) == (links[name], state)
        assert find_pointer(blocks, name) == links[name]
        assert load_state(blocks, links[name]) == state


def test_none(blocks):
    with pytest.raises(RepositoryNotFoundError) as caught:
        find_state(blocks)
    assert str(caught.value) == (
        f"no repository 'default' in {blocks!r}: `ipldstore init` or ipldstore.Repository.create "
        "makes one"
    )
    assert find_pointer(blocks) is None


def test_others(blocks):
    state = make_state({})
    put_state(blocks, state, "other")
    with pytest.raises(RepositoryNotFoundError, match=r"no repository 'default' .* has 'other': "):
        find_state(blocks)
    for number in range(12):
        put_state(blocks, state, f"r{number:02}")
    with pytest.raises(
        RepositoryNotFoundError, match=r"'other', 'r00', .* 'r08' and more: name one"
    ):
        find_state(blocks)


def test_names_that_none_may_have(blocks):
    with pytest.raises(InvalidNameError, match="cannot be the name of a repository"):
        find_state(blocks, "a/b")


def test_pointers_to_what_is_no_state(blocks):
    link = blocks.put_raw(b"\xa0", "dag-cbor")
    blocks.swap_pointer("default", None, link)
    with pytest.raises(InvalidNodeError, match=f"{link} holds no state"):
        find_state(blocks)
    blocks.swap_pointer("lost", None, History().commit())
    with pytest.raises(BlockNotFoundError):
        find_state(blocks, "lost")


def test_where_no_pointers_are_kept():
    with pytest.raises(RepositoryNotFoundError) as caught:
        find_state(MappingCAStore(ChainMap()))
    assert str(caught.value) == (
        "no repository 'default': a MappingCAStore keeps no pointers, which a repository needs, "
        "as in a folder of blocks"
    )


class NotesARoot(MappingCAStore):
    """A block store without pointers that names a root."""

    def __init__(self, root=None):
        super().__init__(ChainMap())
        self.root = root

    @property
    def noted_root(self):
        return self.root


def test_a_noted_root_that_is_a_state():
    blocks = NotesARoot()
    state = make_state({"main": History(blocks).commit()})
    blocks.root = blocks.put_raw(state.encode(), "dag-cbor")
    assert find_state(blocks) == (blocks.root, state)
    with pytest.raises(RepositoryNotFoundError, match="no repository 'other'"):
        find_state(blocks, "other")


@pytest.mark.parametrize("codec", ["dag-cbor", "raw"])
def test_a_noted_root_that_is_none(codec):
    blocks = NotesARoot()
    blocks.root = blocks.put_raw(b"\xa0", codec)
    with pytest.raises(RepositoryNotFoundError, match="no repository 'default'"):
        find_state(blocks)


def test_a_car_file_whose_root_is_a_state(tmp_path):
    history = History()
    state = make_state({"main": history.commit()})
    link = make_link(state.encode(), "dag-cbor")
    with open(tmp_path / "x.car", "wb") as file:
        write_car(file, link, [(link, state.encode()), *history.data.items()])
    assert find_state(CARStore(tmp_path / "x.car")) == (link, state)
