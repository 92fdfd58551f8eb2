"""Blocks in an IPFS node, through the RPC API of Kubo."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ipldstore.backends.http.client import DEFAULT_CONNECTIONS, DEFAULT_TIMEOUT
from ipldstore.backends.http.secrets import Auth
from ipldstore.backends.ipfs.names import is_name, resolve_name
from ipldstore.backends.ipfs.pinning import Pins
from ipldstore.backends.ipfs.rpc import KuboRPC, expect
from ipldstore.backends.shipping import Shipping
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import (
    CODECS,
    RAW,
    CIDLike,
    Link,
    as_link,
    identity_data,
    parse_text,
    split,
    to_text,
    with_codec,
)
from ipldstore.errors import BackendError, BlockNotFoundError, InvalidCIDError
from ipldstore.formats.car import write_car
from ipldstore.formats.hashes import HASHES
from ipldstore.limits import MAX_IPFS_BLOCK_BYTES

DEFAULT_BUFFER_BYTES = 32 << 20

_CODEC_NAMES = {code: name for name, code in CODECS.items()}
_HASH_NAMES = {function.code: name for name, function in HASHES.items()}
_REFUSED_HASHES = ("sha2-384",)


class IPFSStore(ContentAddressableStore):
    """Keeps blocks in an IPFS node, through the RPC API of Kubo.

    Blocks that are put are collected and sent together, while the writer goes on; `flush` sends
    the rest, and an `IPLDStore` does so whenever it freezes. Until then they are read from the
    buffer. The node keeps blocks until it collects garbage: what shall stay has to be pinned, see
    `pins` and `IPLDStore.publish`.

    Reading asks the node, which looks for blocks that it does not have in the network, for as
    long as `timeout` allows. What it returns is verified.

    Parameters
    ----------
    address
        URL or multiaddr of the RPC API. If None: the environment variable ``IPFS_API``, else
        what a running node notes in its repository, else ``http://127.0.0.1:5001``.
    headers
        Further headers of each request.
    auth
        User and password, or a bearer token. User and password may also stand in the URL.
    timeout
        How many seconds a request may take.
    connections
        How many requests may be under way at once.
    buffer_bytes
        How many bytes of blocks are collected at most; with 0 each block is sent by itself, and
        is in the node when `put_block` returns.
    default_hash
        The hash function that names new blocks.
    offline
        Whether reading is confined to the blocks that the node has.

    Raises
    ------
    BackendError
        If the address is malformed. Whether there is a node is seen at the first request.
    InvalidCIDError
        If the hash function is not known, or none that nodes take.

    Attributes
    ----------
    rpc : KuboRPC
        For commands that the store has no methods for.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Auth = None,
        timeout: float = DEFAULT_TIMEOUT,
        connections: int = DEFAULT_CONNECTIONS,
        buffer_bytes: int = DEFAULT_BUFFER_BYTES,
        default_hash: str = "sha2-256",
        offline: bool = False,
    ) -> None:
        super().__init__(default_hash=default_hash)
        if default_hash in _REFUSED_HASHES:
            raise InvalidCIDError(f"IPFS nodes take no blocks that are named by {default_hash}")
        self.rpc = KuboRPC(
            address, headers=headers, auth=auth, timeout=timeout, connections=connections
        )
        self.connections = connections
        self.buffer_bytes = buffer_bytes
        self.offline = offline
        self._options: dict[str, Any] = {
            "headers": headers,
            "auth": auth or self.rpc.auth,
            "timeout": timeout,
            "connections": connections,
            "buffer_bytes": buffer_bytes,
            "default_hash": default_hash,
            "offline": offline,
        }
        # a forked process sends what it inherits a second time, which does no harm
        self._buffer = Shipping(self._ship, self.buffer_bytes)

    def __reduce__(self) -> tuple[Any, ...]:
        self.flush()
        return partial(IPFSStore, self.url, **self._options), ()

    def __repr__(self) -> str:
        return f"IPFSStore({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IPFSStore) and self.url == other.url

    def __hash__(self) -> int:
        return hash((IPFSStore, self.url))

    @property
    def pins(self) -> Pins:
        """What the node keeps when it collects garbage; what was put is sent first."""
        self.flush()
        return Pins(self.rpc)

    @property
    def url(self) -> str:
        """Base URL of the node's RPC API, without credentials."""
        return self.rpc.url

    def get_raw(self, cid: Link) -> bytes:
        if (data := self._buffer.get(cid)) is not None:
            return data
        return self.rpc.call("block/get", to_text(cid), offline=self.offline or None)

    async def get_raw_async(self, cid: Link) -> bytes:
        if (data := self._buffer.get(cid)) is not None:
            return data
        return await self.rpc.call_async("block/get", to_text(cid), offline=self.offline or None)

    async def put_block_async(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is not None:
            return
        data = bytes(data)
        _check_block(cid, data)
        if not self.buffer_bytes and _has_names(cid):
            command, options = _block_put(cid)
            _check_cid(cid, await self.rpc.call_json_async(command, file=data, **options))
        elif not self.buffer_bytes or not self._buffer.offer(cid, data):
            await super().put_block_async(cid, data)

    def put_block(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is not None:
            return
        data = bytes(data)
        _check_block(cid, data)
        if self.buffer_bytes:
            self._buffer.put(cid, data)
        elif _has_names(cid):
            command, options = _block_put(cid)
            _check_cid(cid, self.rpc.call_json(command, file=data, **options))
        else:
            self._ship([(cid, data)])

    def has(self, cid: CIDLike, *, network: bool = False) -> bool:
        """Whether a block is there.

        Parameters
        ----------
        cid
            Its CID.
        network
            Whether the node may look for it in the network, and fetch it.

        Raises
        ------
        BackendError
            If that cannot be told; also if it is not found in the network in time.
        """
        link = as_link(cid)
        return identity_data(link) is not None or self._stat(link, offline=not network) is not None

    def has_raw(self, cid: Link) -> bool:
        return self._stat(cid, offline=True) is not None

    def find_missing(self, cids: Iterable[Link]) -> set[Link]:
        links = [
            cid for cid in cids if identity_data(cid) is None and self._buffer.get(cid) is None
        ]
        found = asyncio.run(self._look_for(links)) if links else []
        return {cid for cid, is_there in zip(links, found, strict=True) if not is_there}

    async def _look_for(self, cids: Iterable[Link]) -> list[bool]:
        async def look_for(cid: Link) -> bool:
            try:
                await self.rpc.call_async("block/stat", to_text(cid), offline=True)
            except BlockNotFoundError:
                return False
            return True

        return await asyncio.gather(*map(look_for, cids))

    def size_of(self, cid: Link) -> int | None:
        data = identity_data(cid)
        return self._stat(cid, offline=True) if data is None else len(data)

    def remove_block(self, cid: Link) -> None:
        """Remove a block from the node, under all its codecs; nothing happens if it is not there.

        A node that has read a damaged block takes it for present, and mends it only after this.

        Raises
        ------
        BackendError
            If it cannot be removed, because it is pinned for instance.
        """
        self.flush()
        answer = self.rpc.call_json("block/rm", to_text(cid), force=True)
        if fault := answer.get("Error"):
            raise BackendError(
                f"the node does not remove block {to_text(cid)}: {fault}; a damaged block that is "
                "pinned is mended by putting it again when the node was restarted, or in the "
                "folder of its blocks"
            )

    def flush(self) -> None:
        self._buffer.flush()

    def close(self) -> None:
        """Send what is in the buffer, and close all connections; the next use opens them anew."""
        try:
            self.flush()
        finally:
            self._buffer.close()
            self.rpc.close()

    def resolve(self, name: CIDLike) -> Link:
        """Return the CID that a name stands for.

        Parameters
        ----------
        name
            A CID in any form, also as ``ipfs://CID`` or ``/ipfs/CID``; or an IPNS or DNSLink name
            as ``ipns://NAME`` or ``/ipns/NAME``, for which the node's answer is believed.

        Raises
        ------
        InvalidCIDError
            If it is none of these.
        BackendError
            If the node cannot resolve it.
        """
        if isinstance(name, str) and is_name(name):
            return resolve_name(self.rpc, name)
        return super().resolve(name)

    def _stat(self, cid: Link, *, offline: bool) -> int | None:
        """Return a block's size in bytes, None if it is not there."""
        if (data := self._buffer.get(cid)) is not None:
            return len(data)
        try:
            answer = self.rpc.call_json("block/stat", to_text(cid), offline=offline or None)
        except BlockNotFoundError:
            return None
        return expect(answer, "Size", int)

    def _ship(self, blocks: Sequence[tuple[Link, bytes]]) -> None:
        # a node keeps blocks by multihash; as raw ones they are not decoded on the way in, so that
        # one that is malformed in its codec does not keep the others from arriving
        as_raw = [(with_codec(cid, RAW), data) for cid, data in blocks]
        archive = io.BytesIO()
        write_car(archive, as_raw[0][0], as_raw)
        answer = self.rpc.call_json(
            "dag/import",
            file=archive.getvalue(),
            pin_roots=False,
            stats=True,
            fast_provide_root=False,
        )
        arrived = expect(answer, "Stats", dict).get("BlockCount")
        if arrived != len(blocks):
            raise BackendError(f"{self!r} took {arrived} of {len(blocks)} blocks", retryable=True)


def _check_block(cid: Link, data: bytes) -> None:
    """Raise for what a node would refuse, with all that is sent along."""
    hash_name = _HASH_NAMES.get(split(cid).hash_code)
    if hash_name in _REFUSED_HASHES:
        raise BackendError(f"block {to_text(cid)}: IPFS nodes do not take {hash_name}")
    if len(data) > MAX_IPFS_BLOCK_BYTES:
        raise BackendError(
            f"block {to_text(cid)} has {len(data)} bytes, more than the {MAX_IPFS_BLOCK_BYTES} "
            "that travel between IPFS nodes"
        )


def _has_names(cid: Link) -> bool:
    parts = split(cid)
    return parts.codec in _CODEC_NAMES and parts.hash_code in _HASH_NAMES


def _block_put(cid: Link) -> tuple[str, dict[str, Any]]:
    """Return the command, and its options, that keeps a block under a CID."""
    parts = split(cid)
    names = {"cid_codec": _CODEC_NAMES[parts.codec], "mhtype": _HASH_NAMES[parts.hash_code]}
    return "block/put", {**names, "mhlen": len(parts.digest)}


def _check_cid(cid: Link, answer: Mapping[str, Any]) -> None:
    found = answer.get("Key")
    if not isinstance(found, str) or not _is_text_of(found, cid):
        raise BackendError(f"the node keeps block {to_text(cid)} under another CID: {found!r}")


def _is_text_of(text: str, cid: Link) -> bool:
    try:
        return parse_text(text) == cid
    except InvalidCIDError:
        return False
