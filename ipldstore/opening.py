"""Open a hierarchy by whatever names it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

from ipldstore.cid import CIDLike, Link, to_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import InvalidCIDError, InvalidKeyError
from ipldstore.naming import Name, fault_of, is_root, read_name, root_within
from ipldstore.registry import BlockStoreURLError, find_blocks, open_block_store
from ipldstore.urls import show_url

if TYPE_CHECKING:
    from ipldstore.faces import IPLDStore

_MEANT = {"readonly": "read_only", "mode": "read_only", "group": "path"}


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
        * A CAR file, whose root is opened; the path of a group may follow: ``x.car/group``.
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
    for given, meant in _MEANT.items():
        if given in options:
            raise TypeError(f"open() takes no option {given!r}: did you mean {meant}?")
    name = read_name(what)
    path = "/".join(filter(None, (name.path.strip("/"), path.strip("/"))))
    if path and not read_only:
        raise ValueError(f"path {path!r}: a part of a hierarchy is opened with read_only=True only")
    if name.root is not None:
        backend = find_blocks(blocks, **options)
    elif blocks is not None:
        _refuse_with_blocks(what, name, blocks)  # type: ignore[arg-type]
    else:
        backend = _open_place(what, name.place, create=not read_only, **options)  # type: ignore[arg-type]
    try:
        root = name.root
        if root is None and read_only:
            root = noted_root(backend, what)  # type: ignore[arg-type]
        return _make_store(backend, root, path, read_only)
    except BaseException:
        if backend is not blocks:
            backend.close()
        raise


def _open_place(
    what: str | os.PathLike[str], place: str, **options: Any
) -> ContentAddressableStore:
    """Open the block store that is named in the place of a root."""
    text = os.fspath(what)
    may_be_made = options["create"] and not text.startswith(("http://", "https://"))
    is_meant = is_root(text.partition("/")[0]) or (not may_be_made and root_within(text))
    if is_meant and not os.path.exists(text):
        raise InvalidCIDError(fault_of(text))
    return open_block_store(place, **options)


def _refuse_with_blocks(what: str | os.PathLike[str], name: Name, blocks: object) -> NoReturn:
    """Say why what was named is no root that blocks= could go with."""
    shown = show_url(os.fspath(what))
    if is_root(blocks):
        raise TypeError(f"expected open(ROOT, BLOCKS), not open({shown!r}, {str(blocks)!r})")
    if name.is_archive:
        raise TypeError(
            f"blocks= goes with a root; {shown!r} is a CAR file, which holds its own: open it "
            "without blocks=, or name the root"
        )
    raise InvalidCIDError(fault_of(what))


def noted_root(backend: ContentAddressableStore, what: str | os.PathLike[str]) -> Link:
    """Return the root that a block store notes by itself, as a CAR file does.

    Raises
    ------
    BlockStoreURLError
        If there is none, or several.
    CarFormatError
        If it is an empty file, or an archive that was only begun.
    """
    root = backend.noted_root
    if root is not None:
        return root
    shown = show_url(os.fspath(what))
    roots = getattr(backend, "read_roots", lambda: None)()
    if roots is not None:
        found = "no root" if not roots else f"{len(roots)} roots, the first of them {roots[0]}"
        raise BlockStoreURLError(
            f"{shown!r} is an archive with {found}, expected one: name a root that is in it, and "
            "the file as blocks= (of commands, --blocks)"
        )
    raise BlockStoreURLError(
        f"{shown!r} is a block store that notes no root: name one, open(ROOT, {shown!r}), "
        "or begin an empty hierarchy in it with read_only=False"
    )


def _make_store(
    backend: ContentAddressableStore, root: CIDLike | None, path: str, read_only: bool
) -> IPLDStore:
    from ipldstore.faces import IPLDStore

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
