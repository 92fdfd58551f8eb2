"""Open a hierarchy by whatever names it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ipldstore.cid import CIDLike
from ipldstore.errors import InvalidNodeError
from ipldstore.names.finding import Blocks, Found, find_hierarchy, lead_to_root

if TYPE_CHECKING:
    from ipldstore.faces import IPLDStore

_MEANT = {"readonly": "read_only", "mode": "read_only", "group": "path"}


def open(  # noqa: A001
    what: CIDLike | os.PathLike[str],
    blocks: Blocks | None = None,
    *,
    path: str = "",
    read_only: bool = True,
    **options: Any,
) -> IPLDStore:
    """Open a hierarchy by whatever names it.

    Parameters
    ----------
    what
        * A root: a CID, ``ipld://CID``, ``ipfs://CID`` or, where a node knows names,
          ``ipns://NAME``; the path of a group may follow. The CID of a commit, or of the state of
          a repository, leads to a root.
        * With `blocks`, a revision of the repository there, such as ``"main~2"``; also as
          ``ipld:///REVISION/path?blocks=STORE``, percent-encoded.
        * A CAR file, whose root is opened; the path of a group may follow: ``x.car/group``.
        * With ``read_only=False``, also another block store, in which an empty hierarchy begins;
          not beside a repository, whose branches `Repository.writable` opens.
    blocks
        Where the blocks of a root are: a block store, or what `open_block_store` takes. If None,
        the environment variable ``IPLDSTORE_BLOCKS`` says it. Nothing else is tried.
    path
        The group or array to open instead of the whole hierarchy; to read only. What its
        `root_cid` names may be a part of another block, and then has no block of its own.
    read_only
        Whether the store refuses to be written through. A folder or file of blocks is made only
        when it does not.
    options
        Of the block store, as in `open_block_store`.

    Returns
    -------
    IPLDStore
        A mapping and Zarr store. ``store.close()`` closes its block store; ``with open(...) as
        store:`` also freezes what was written, unless there is an exception.

    Raises
    ------
    BlockStoreURLError
        If it is not said where the blocks are, or said wrongly, or if an empty hierarchy would
        begin beside a repository.
    BackendError
        If the block store cannot be used; `BlockStoreNotFoundError` if there is none.
    InvalidCIDError, BlockNotFoundError, CorruptBlockError, InvalidNodeError
        If the root is malformed or cannot be opened.
    RevisionError, RepositoryNotFoundError
        If there is no such commit, or no repository.
    InvalidKeyError
        If there is no group or array at the path.

    Examples
    --------
    >>> import ipldstore, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = open(f"{folder}/blocks", read_only=False)
    ...     store["a/0"] = b"chunk"
    ...     root = store.freeze()
    ...     print(open(root, f"{folder}/blocks")["a/0"])
    ...     print(open(f"ipld://{root}/a", f"{folder}/blocks")["0"])
    b'chunk'
    b'chunk'
    """
    for given, meant in _MEANT.items():
        if given in options:
            raise TypeError(f"open() takes no option {given!r}: did you mean {meant}?")
    create = not read_only
    found = find_hierarchy(what, blocks, path=path, create=create, leads=False, **options)
    try:
        return _open_store(found, read_only)
    except BaseException:
        if found.opened is not None:
            found.opened.close()
        raise


def _open_store(found: Found, read_only: bool) -> IPLDStore:
    """Open what was found; that it is no root but leads to one shows when it is read."""
    from ipldstore.faces import IPLDStore

    try:
        return IPLDStore(found.blocks, root=found.root, read_only=read_only)
    except InvalidNodeError:
        root = None if found.root is None else lead_to_root(found.blocks, found.root)
        if root == found.root:
            raise
    return IPLDStore(found.blocks, root=root, read_only=read_only)
