"""The state that a repository in a block store is in."""

from __future__ import annotations

from itertools import islice

from ipldstore.blockstore.abilities import KeepsPointers
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.blockstore.pointers import check_pointer_name
from ipldstore.cid import DAG_CBOR, Link, codec_of
from ipldstore.errors import RepositoryNotFoundError
from ipldstore.history.kinds import is_state
from ipldstore.history.state import State, decode_state

DEFAULT_REPOSITORY = "default"

_SHOWN_NAMES = 10
MAKERS = "`ipldstore init` or ipldstore.Repository.create"
"""What makes a repository, from a shell and from Python."""


def load_state(blocks: ContentAddressableStore, link: Link) -> State:
    """Return a state.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError, BackendError
        If its block cannot be had.
    InvalidNodeError
        If the block holds no state.
    """
    return decode_state(link, blocks.get_block(link))


def find_state(
    blocks: ContentAddressableStore, name: str = DEFAULT_REPOSITORY
) -> tuple[Link, State]:
    """Return the CID of the state that a repository is in, and the state.

    A block store that keeps no pointers may have one by noting its root, as a CAR file does.

    Raises
    ------
    InvalidNameError
        If no repository may have the name.
    RepositoryNotFoundError
        If there is none.
    BlockNotFoundError, CorruptBlockError, InvalidNodeError, BackendError
        If its state cannot be had, or it cannot be told whether there is one.
    """
    check_pointer_name(name, "a repository")
    link = find_pointer(blocks, name)
    if link is None:
        raise RepositoryNotFoundError(_say_missing(blocks, name))
    return link, load_state(blocks, link)


def find_pointer(blocks: ContentAddressableStore, name: str = DEFAULT_REPOSITORY) -> Link | None:
    """Return the CID of the state that a repository is in, None if there is no such repository."""
    if isinstance(blocks, KeepsPointers):
        return blocks.read_pointer(name)
    root = blocks.noted_root
    if name != DEFAULT_REPOSITORY or root is None or codec_of(root) != DAG_CBOR:
        return None
    return root if is_state(blocks.get_block(root)) else None


def _say_missing(blocks: ContentAddressableStore, name: str) -> str:
    if not isinstance(blocks, KeepsPointers):
        return (
            f"no repository {name!r}: a {type(blocks).__name__} keeps no pointers, which a "
            "repository needs, as in a folder of blocks"
        )
    names = sorted(islice(blocks.iter_pointers(), 1000))
    if not names:
        return f"no repository {name!r} in {blocks!r}: {MAKERS} makes one"
    shown = ", ".join(map(repr, names[:_SHOWN_NAMES]))
    more = " and more" if len(names) > _SHOWN_NAMES else ""
    return (
        f"no repository {name!r} in {blocks!r}, which has {shown}{more}: name one of these, or "
        f"make one with {MAKERS}"
    )
