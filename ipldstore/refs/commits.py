"""The commits of a repository in a block store, and the roots that they lead to."""

from __future__ import annotations

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import DAG_CBOR, CIDLike, Link, as_link, codec_of
from ipldstore.history.commit import Commit, decode_commit
from ipldstore.history.graph import Graph
from ipldstore.history.kinds import is_commit, is_state
from ipldstore.history.revisions import parse_revision, resolve_revision
from ipldstore.history.state import State, decode_state
from ipldstore.refs.states import DEFAULT_REPOSITORY, find_state

_TIP = parse_revision("~0")
"""The tip of the default branch."""


def make_graph(blocks: ContentAddressableStore, state: State) -> Graph:
    """Return the history of a state, which the block store is asked for block by block."""
    return Graph(blocks.get_block, state.shallow)


def find_commit(
    blocks: ContentAddressableStore, revision: CIDLike, name: str = DEFAULT_REPOSITORY
) -> tuple[Link, Commit]:
    """Return the commit that a revision of a repository names, or any by its CID.

    Raises
    ------
    RevisionError
        If the revision is malformed, or names no commit, or several.
    RepositoryNotFoundError
        If there is no such repository.
    InvalidNameError
        If no repository may have the name.
    BlockNotFoundError, CorruptBlockError, InvalidNodeError, BackendError
        If a block on the way cannot be had, or is none of a history.
    """
    if not isinstance(revision, str):
        link = as_link(revision)
        return link, decode_commit(link, blocks.get_block(link))
    parsed = parse_revision(revision)
    if isinstance(parsed.start, Link) and not parsed.steps:
        return parsed.start, decode_commit(parsed.start, blocks.get_block(parsed.start))
    _, state = find_state(blocks, name)
    graph = make_graph(blocks, state)
    link = resolve_revision(parsed, state, graph)
    return link, graph.commit(link)


def root_of(blocks: ContentAddressableStore, link: Link) -> Link:
    """Return the root that a CID leads to: that of a commit, or else itself.

    A state leads to that of its default branch's tip. One block is read, two of a state, and none
    where the codec is not that of all these.

    Raises
    ------
    RevisionError
        If the default branch has no commit yet.
    BlockNotFoundError, CorruptBlockError, InvalidNodeError, BackendError
        If a block on the way cannot be had, or is malformed.
    """
    return link if codec_of(link) != DAG_CBOR else root_in(blocks, link, blocks.get_block(link))


def root_in(blocks: ContentAddressableStore, link: Link, data: bytes) -> Link:
    """`root_of` a block of codec dag-cbor that was loaded."""
    if is_commit(data):
        return decode_commit(link, data).root
    if is_state(data):
        state = decode_state(link, data)
        graph = make_graph(blocks, state)
        return graph.commit(resolve_revision(_TIP, state, graph)).root
    return link
