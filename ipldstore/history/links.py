"""What a block leads to, be it of a history or of a hierarchy."""

from __future__ import annotations

from collections.abc import Collection

from ipldstore.cid import DAG_CBOR, Link, codec_of
from ipldstore.dag import links_of
from ipldstore.history.commit import decode_commit
from ipldstore.history.kinds import is_commit, is_state
from ipldstore.history.state import decode_state


def history_links_of(link: Link, data: bytes, shallow: Collection[Link] = ()) -> list[Link]:
    """Return the links to what a repository needs of what a block leads to.

    Of a state these are the commits that branches and tags are at, of a commit its root and then
    its parents, unless these are let go as it is `shallow`; of any other block all links. Raises
    `InvalidNodeError` if the block is malformed.
    """
    if codec_of(link) == DAG_CBOR:
        if is_commit(data):
            commit = decode_commit(link, data)
            return [commit.root, *(() if link in shallow else commit.parents)]
        if is_state(data):
            state = decode_state(link, data)
            return list(dict.fromkeys((*state.branches.values(), *state.tags.values())))
    return links_of(link, data)
