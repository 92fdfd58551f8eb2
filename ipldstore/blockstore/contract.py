"""The contract of a content-addressed block store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ipldstore.blockstore.ipldvalues import check_codec, decode_value, encode_value
from ipldstore.blockstore.putraw import adapt, put_by_put_raw
from ipldstore.cid import (
    CIDLike,
    Link,
    as_link,
    identity_data,
    make_link,
    parse_name,
    to_text,
    verify_block,
)
from ipldstore.errors import BackendError, BlockNotFoundError
from ipldstore.formats.cidtext import looks_like_cid
from ipldstore.formats.hashes import hash_function

if TYPE_CHECKING:
    from ipldstore.formats.cidobject import CID


READING = ("get_raw", "get_block", "size_of")
"""Methods by which blocks are read in any store; `get_small` and `fill_block` may go past them."""


class StoredBlock(NamedTuple):
    """A block that a store lists.

    Attributes
    ----------
    cid : Link
        The block's CID; with the codec raw where the store does not keep the codec.
    size : int
        Its size in bytes.
    time_ns : int
        When it was written or last touched, in nanoseconds since 1970; 0 where that is not known.
    """

    cid: Link
    size: int
    time_ns: int = 0


class ContentAddressableStore(ABC):
    """Keeps blocks of bytes and finds them by their CID.

    A block store has to write `get_raw` and `put_block`; all else has a default that works, and is
    there to be overridden where one can do better. Block stores must be safe under threads. They
    return bytes as they find them: `get_block` is the one place where bytes are verified.

    Parameters
    ----------
    default_hash
        The hash function that names new blocks, such as ``"sha2-256"`` or ``"blake3"``.

    Attributes
    ----------
    inline_limit : int
        Largest block, in bytes, that an event loop may read or write itself, without a thread.
        With 0, the default, what a store does may wait on a network, so that event loops use the
        asynchronous methods, which such a store should override.
    connections : int
        How many blocks are worth reading or putting at once; 8 by default.
    is_shared : bool
        Whether a pickled copy in another process reaches the same blocks; True by default.
    in_memory : bool
        Whether the blocks go with the process; False by default.

    Raises
    ------
    InvalidCIDError
        If the hash function is not known.
    """

    inline_limit: int = 0
    connections: int = 8
    is_shared: bool = True
    in_memory: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the store answers without waiting on a network, as `inline_limit` says."""
        return self.inline_limit > 0

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        adapt(cls, ContentAddressableStore)

    def __init__(self, *, default_hash: str = "sha2-256") -> None:
        hash_function(default_hash)
        self.default_hash = default_hash

    @abstractmethod
    def get_raw(self, cid: Link) -> bytes:
        """Return the bytes kept under a CID, as they are.

        Parameters
        ----------
        cid
            A binary CIDv1; ``str(cid)`` is its text. Never an identity CID.

        Raises
        ------
        BlockNotFoundError
            If there is no such block; never anything else for that (a bare ``KeyError`` is
            forgiven).
        BackendError
            If it cannot be told or read.
        """

    @abstractmethod
    def put_block(self, cid: Link, data: bytes) -> None:
        """Keep a block whose CID is known and right, whatever its hash function or codec.

        Idempotent and atomic: when it returns, the whole block is there. An identity CID carries
        its block itself, so that nothing has to be kept.

        Parameters
        ----------
        cid
            A binary CIDv1.
        data
            The bytes, which may be none, or a memoryview of bytes.

        Raises
        ------
        BackendError
            If the block cannot be kept, also because the store cannot keep one under this CID;
            nothing of it is visible then.
        """
        if type(self).put_raw is ContentAddressableStore.put_raw:
            raise NotImplementedError(f"{type(self).__name__} does not write put_block")
        put_by_put_raw(self, cid, data)

    def put_raw(self, data: bytes, codec: str) -> Link:
        """Keep a block under a CID of the store's own hash function.

        Parameters
        ----------
        data
            The bytes, or a C-contiguous buffer of anything.
        codec
            ``"raw"``, ``"dag-cbor"`` or ``"dag-pb"``.

        Returns
        -------
        Link
            The block's CID, as `make_cid` makes it.

        Raises
        ------
        BackendError
            If the block cannot be kept.
        InvalidCIDError
            If the codec is not known.
        """
        data = flat(data)
        cid = self.make_cid(data, codec)
        self.put_block(cid, data)
        return cid

    async def get_raw_async(self, cid: Link) -> bytes:
        """`get_raw` for event loops; the default uses a thread."""
        import asyncio

        return await asyncio.to_thread(self.get_raw, cid)

    async def put_block_async(self, cid: Link, data: bytes) -> None:
        """`put_block` for event loops; the default uses a thread."""
        import asyncio

        await asyncio.to_thread(self.put_block, cid, data)

    async def put_raw_async(self, data: bytes, codec: str) -> Link:
        """`put_raw` for event loops."""
        if type(self).put_block_async is ContentAddressableStore.put_block_async:
            import asyncio

            return await asyncio.to_thread(self.put_raw, data, codec)  # which hashes there, too
        data = flat(data)
        cid = self.make_cid(data, codec)
        await self.put_block_async(cid, data)
        return cid

    def flush(self) -> None:  # noqa: B027
        """Return once every block that was put is where it belongs.

        A store that collects blocks and sends them together sends the rest; for all others there
        is nothing to do.

        Raises
        ------
        BackendError
            If that fails. The blocks are still there, and the next `flush` tries again.
        """

    @property
    def noted_root(self) -> Link | None:
        """The root that the store itself names, which a hierarchy on it opens by itself.

        None if it names none, as most stores: they hold blocks of many roots.
        """
        return None

    def note_root(self, root: Link) -> None:  # noqa: B027
        """Be told the root of a hierarchy that was frozen, after the `flush` of its blocks.

        Raises
        ------
        BackendError
            If it cannot be noted.
        """

    def close(self) -> None:
        """Flush, and let go of connections and files; what is used after that opens them anew."""
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def resolve(self, name: CIDLike) -> Link:
        """Return the CID that a name stands for.

        Parameters
        ----------
        name
            A CID in any form, also as ``ipld://CID``, ``ipfs://CID`` or ``/ipfs/CID``, white
            space around it left out. Stores that know more names than these say so.

        Raises
        ------
        InvalidCIDError
            If it is none of these.
        """
        return parse_name(name) if isinstance(name, str) else as_link(name)

    def make_cid(self, data: bytes, codec: str) -> Link:
        """Return the CID that a block has in this store, without keeping it.

        Raises
        ------
        InvalidCIDError
            If the codec is not known.
        """
        return make_link(data, codec, self.default_hash)

    def get_block(self, cid: CIDLike) -> bytes:
        """Return the verified bytes of a block.

        Raises
        ------
        BlockNotFoundError
            If there is no such block.
        CorruptBlockError
            If the bytes that are kept do not hash to the CID.
        BackendError
            If it cannot be told or read.
        InvalidCIDError
            If the CID is malformed, or its hash function not known.
        """
        link = as_link(cid)
        data = identity_data(link)
        if data is not None:
            return data
        try:
            data = self.get_raw(link)
        except KeyError as error:
            raise BlockNotFoundError(f"no block {to_text(link)}") from error
        return self._verified(link, data)

    def get_small(self, cid: Link) -> bytes | None:
        """Return the verified bytes of a block that an event loop may read itself.

        None for a block of more than `inline_limit` bytes, and where it takes a thread to find
        out. The default asks `size_of` first. A class that overrides `get_raw` or `get_block`,
        and not this, has the default; so it is with `fill_block`.

        Raises
        ------
        BlockNotFoundError
            If there is no such block.
        CorruptBlockError
            If the bytes that are kept do not hash to the CID.
        BackendError
            If it cannot be told or read.
        """
        size = self.size_of(cid)
        return None if size is None or size > self.inline_limit else self.get_block(cid)

    def fill_block(self, cid: Link, buffer: memoryview) -> bool:
        """Read a block into a buffer, and verify it there; False if it has another size.

        Raises
        ------
        BlockNotFoundError
            If there is no such block.
        CorruptBlockError
            If the bytes that are kept do not hash to the CID.
        BackendError
            If it cannot be told or read.
        """
        data = self.get_block(cid)
        if len(data) != len(buffer):
            return False
        buffer[:] = data
        return True

    async def get_block_async(self, cid: CIDLike) -> bytes:
        """`get_block` for event loops."""
        link = as_link(cid)
        data = identity_data(link)
        if data is not None:
            return data
        try:
            data = await self.get_raw_async(link)
        except KeyError as error:
            raise BlockNotFoundError(f"no block {to_text(link)}") from error
        return self._verified(link, data)

    def _verified(self, link: Link, data: bytes) -> bytes:
        if not isinstance(data, bytes):
            raise TypeError(
                f"{type(self).__name__} gave {type(data).__name__} for the block {to_text(link)}, "
                "expected bytes, or BlockNotFoundError"
            )
        verify_block(link, data)
        return data

    def get_many(self, cids: Iterable[CIDLike]) -> Iterator[tuple[Link, bytes]]:
        """Iterate the verified bytes of several blocks, in any order.

        What overrides it takes CIDs in every form, identity CIDs too, and verifies what it got:
        ``ipldstore.cid`` has ``as_link``, ``identity_data`` and ``verify_block``.

        Raises
        ------
        BlockNotFoundError
            If one of the blocks is not there.
        CorruptBlockError
            If the bytes that are kept of one do not hash to its CID.
        BackendError
            If one cannot be read, or it cannot be told whether it is there.
        InvalidCIDError
            If a CID is malformed, or its hash function not known.
        """
        for cid in cids:
            link = as_link(cid)
            yield link, self.get_block(link)

    def put_many(self, blocks: Iterable[tuple[Link, bytes]]) -> None:
        """Keep several blocks whose CIDs are known and verified.

        Raises
        ------
        BackendError
            If one of them cannot be kept; others may have been.
        """
        for link, data in blocks:
            self.put_block(link, data)

    def has(self, cid: CIDLike) -> bool:
        """Whether a block is there, as far as the store can tell without verifying it.

        Raises
        ------
        BackendError
            If it cannot be told.
        InvalidCIDError
            If the CID is malformed.
        """
        link = as_link(cid)
        return identity_data(link) is not None or self.has_raw(link)

    def find_missing(self, cids: Iterable[Link]) -> set[Link]:
        """Return those of several blocks that are not there.

        An identity CID carries its block, so it is never among them. Not to be called on an event
        loop: a store on a network may run one of its own for it.

        Raises
        ------
        BackendError
            If it cannot be told of one of them.
        """
        return {cid for cid in cids if not self.has(cid)}

    def has_raw(self, cid: Link) -> bool:
        """Whether `get_raw` would find a block; the default asks it.

        Raises
        ------
        BackendError
            If it cannot be told.
        """
        try:
            self.get_raw(cid)
        except (BlockNotFoundError, KeyError):
            return False
        return True

    def __contains__(self, cid: object) -> bool:
        try:
            return self.has(cid)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return False

    def size_of(self, cid: Link) -> int | None:
        """Return a block's size in bytes where that is cheap to learn, else None.

        None also for a block that is not there. An identity CID may come, too.

        Raises
        ------
        BackendError
            If it cannot be told.
        """
        data = identity_data(cid)
        return None if data is None else len(data)

    def iter_blocks(self) -> Iterator[StoredBlock]:
        """Iterate the blocks in the store, in no order; one may come several times.

        Those that are put or go meanwhile may be left out.

        Raises
        ------
        BackendError
            If the store cannot list its blocks, as those that others share by network.
        """
        raise BackendError(f"{self!r} cannot list its blocks")

    def get(self, cid: CIDLike) -> Any:
        """Return the IPLD value of a block.

        Parameters
        ----------
        cid
            A CID of codec raw or dag-cbor, in any form.

        Returns
        -------
        object
            The bytes of a raw block, else the value as the ``dag-cbor`` package decodes it, links
            as ``multiformats.CID``.

        Raises
        ------
        BlockNotFoundError
            If there is no such block.
        CorruptBlockError
            If the bytes that are kept do not hash to the CID.
        BackendError
            If it cannot be told or read.
        CodecError
            If the block is not canonical DAG-CBOR, or of another codec.
        InvalidCIDError
            If the CID is malformed, or its hash function not known.
        """
        link = as_link(cid)
        check_codec(link)
        return decode_value(link, self.get_block(link))

    def put(self, value: Any) -> CID:
        """Keep an IPLD value as a block, and flush.

        Parameters
        ----------
        value
            ``bytes``, kept as a raw block, or anything that the ``dag-cbor`` package encodes.

        Returns
        -------
        CID
            The block's CID.

        Raises
        ------
        BackendError
            If the block cannot be kept.
        CodecError
            If DAG-CBOR has no form for the value.
        """
        from ipldstore.formats.cidobject import to_cid

        cid = as_link(self.put_raw(*encode_value(value)))
        self.flush()
        return to_cid(cid)


def reading_methods(cls: type[ContentAddressableStore]) -> dict[str, object]:
    """Return the methods of `READING` as a class has them now."""
    return {name: getattr(cls, name) for name in READING}


def reads_by(store: ContentAddressableStore, methods: dict[str, object]) -> bool:
    """Whether a store reads by just these methods, neither its class nor itself by others.

    It is asked at each call, as tests and decorators change classes and objects that are made.
    """
    kind, own = type(store), vars(store)
    return all(getattr(kind, name) is way and name not in own for name, way in methods.items())


def flat(data: bytes) -> bytes:
    """Return bytes as they are, and of any other buffer its bytes one by one, not copied."""
    return data if isinstance(data, bytes) else memoryview(data).cast("B")


def require_block_store(store: object) -> None:
    """Raise `TypeError` for what is no block store, such as the URL of one."""
    if not isinstance(store, ContentAddressableStore):
        hint = place_hint(store) or (
            "open_block_store(URL) opens one, and ipldstore.open(ROOT, URL) a root in one"
        )
        raise TypeError(f"expected a ContentAddressableStore, not {type(store).__name__}; {hint}")


def place_hint(store: object) -> str | None:
    """Say how to come from what was given in place of a block store to a block store."""
    if isinstance(store, type):
        return f"{store.__name__}(...) makes an object of that class"
    if isinstance(getattr(store, "blocks", None), ContentAddressableStore):
        return "that of a hierarchy is its attribute blocks"
    if isinstance(store, Mapping):
        return "MappingCAStore(mapping) makes one"
    if isinstance(store, bytes) or type(store).__name__ == "CID":
        return "ipldstore.open(ROOT, BLOCKS) opens a root"
    if isinstance(store, str) and looks_like_cid(store):
        return f"{store!r} is a root, which ipldstore.open(ROOT, BLOCKS) opens"
    return None
