"""Open a hierarchy by whatever names it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ipldstore.cid import CIDLike, Link, as_link, parse_text, to_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import InvalidCIDError, InvalidKeyError
from ipldstore.registry import BlockStoreURLError, find_blocks, open_block_store
from ipldstore.urls import show_url

if TYPE_CHECKING:
    from ipldstore.store import IPLDStore

_ROOTS = ("ipld://", "ipfs://", "/ipfs/")
_NAMES = ("ipns://", "/ipns/")


def open(  # noqa: A001
    what: CIDLike | os.PathLike[str],
    blocks: ContentAddressableStore | str | os.PathLike[str] | None = None,
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
          ``ipns://NAME``; the path of a group may follow.
        * A CAR file, whose root is opened.
        * With ``read_only=False``, also another block store, in which an empty hierarchy begins.
    blocks
        Where the blocks of a root are: a block store, or what `open_block_store` takes. If None,
        the environment variable ``IPLDSTORE_BLOCKS`` says it. Nothing else is tried.
    path
        The group or array to open instead of the whole hierarchy; to read only.
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
        If it is not said where the blocks are, or said wrongly.
    BackendError
        If the block store cannot be used; `BlockStoreNotFoundError` if there is none.
    InvalidCIDError, BlockNotFoundError, CorruptBlockError, InvalidNodeError
        If the root is malformed or cannot be opened.
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
    root, inner = split_root(what)
    path = "/".join(filter(None, (inner.strip("/"), path.strip("/"))))
    if path and not read_only:
        raise ValueError(f"path {path!r}: a part of a hierarchy is opened with read_only=True only")
    if root is not None:
        backend = find_blocks(blocks, **options)
    elif blocks is None:
        backend = open_block_store(what, create=not read_only, **options)  # type: ignore[arg-type]
    else:
        raise TypeError(f"blocks= goes with a root; {show_url(os.fspath(what))!r} is none")  # type: ignore[arg-type]
    try:
        if root is None and read_only:
            root = _noted_root(backend, what)
        return _make_store(backend, root, path, read_only)
    except BaseException:
        if backend is not blocks:
            backend.close()
        raise


def split_root(what: CIDLike | os.PathLike[str]) -> tuple[CIDLike | None, str]:
    """Return the root and the path that are named; no root if it is a place."""
    if isinstance(what, os.PathLike):
        return None, ""
    if not isinstance(what, str):
        return as_link(what), ""
    for prefix in _ROOTS:
        if what.startswith(prefix):
            cid, _, path = what.removeprefix(prefix).partition("/")
            return parse_text(cid), path
    for prefix in _NAMES:
        if what.startswith(prefix):
            name, _, path = what.removeprefix(prefix).partition("/")
            return prefix + name, path
    try:
        cid, _, path = what.partition("/")
        return parse_text(cid), path
    except InvalidCIDError:
        return None, ""


def _noted_root(backend: ContentAddressableStore, what: Any) -> Link:
    """Return the root that a block store notes by itself, as a CAR file does."""
    root = backend.noted_root
    if root is None:
        raise BlockStoreURLError(
            f"{show_url(os.fspath(what))!r} is a block store that notes no root: name one, "
            "open(CID, blocks=...), or begin an empty hierarchy in it with read_only=False"
        )
    return root


def _make_store(
    backend: ContentAddressableStore, root: CIDLike | None, path: str, read_only: bool
) -> IPLDStore:
    from ipldstore.store import IPLDStore

    store = IPLDStore(backend, root=root, read_only=read_only)
    if not path:
        return store
    top, more = find_group(backend, backend.resolve(root), path)  # type: ignore[arg-type]
    return IPLDStore(more, root=top, read_only=read_only)


def find_group(
    backend: ContentAddressableStore, root: Link, path: str
) -> tuple[Link, ContentAddressableStore]:
    """Return a group or array as a root, and a store that has its blocks.

    A small group stands within the block of its parent; the block that it would have by itself
    is put before the others.

    Raises
    ------
    InvalidKeyError
        If there is none at the path.
    """
    from ipldstore.backends.layers.union import UnionCAStore
    from ipldstore.backends.mapping import MappingCAStore
    from ipldstore.tree.decode import decode_stub
    from ipldstore.tree.encode import Encoder
    from ipldstore.tree.keys import split_path
    from ipldstore.tree.tree import Tree

    tree = Tree(backend.get_block, root)
    directory = tree.find_directory(split_path(path))
    if directory is None:
        raise InvalidKeyError(f"no group or array {path!r} under {to_text(root)}")
    if directory.stub is not None and (link := decode_stub(directory.stub)) is not None:
        return link, backend
    made = MappingCAStore(default_hash=backend.default_hash)

    def keep(data: bytes) -> Link:
        return made.put_raw(data, "dag-cbor")

    return keep(Encoder(backend.get_block, keep).encode(directory)[0]), UnionCAStore(made, backend)
