"""Trustless gateways as a block store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NoReturn

from ipldstore.backends.gateway.address import Gateway, parse_gateway
from ipldstore.backends.gateway.reading import (
    FAULTS,
    Faults,
    check_answer,
    hold_against,
    read_block,
)
from ipldstore.backends.gateway.redirects import ask
from ipldstore.backends.gateway.steps import Steps, opened, run, run_async
from ipldstore.backends.gateway.subtree import CAR, CAR_ACCEPT, CAR_QUERY, Wanted, iter_wanted
from ipldstore.backends.health import Health
from ipldstore.backends.http.answers import Stream
from ipldstore.backends.http.client import DEFAULT_CONNECTIONS, HTTPClient
from ipldstore.backends.http.secrets import Auth
from ipldstore.backends.retries import DEFAULT_RETRIES, Retries
from ipldstore.backends.verified import VerifiedCAStore
from ipldstore.basics.urls import show_url
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import CIDLike, Link, as_link
from ipldstore.errors import BlockNotFoundError, InvalidCIDError, ReadOnlyStoreError
from ipldstore.limits import GATEWAY_SECONDS, MAX_IPFS_BLOCK_BYTES
from ipldstore.transfer import Copied, copy_root

DEFAULT_GATEWAYS = ("https://trustless-gateway.link",)
DEFAULT_TIMEOUT = GATEWAY_SECONDS


class GatewayCAStore(VerifiedCAStore):
    """Reads blocks through one or several gateways, none of which is trusted.

    Every block is verified before it counts. When a gateway cannot be reached, is too slow,
    refuses, or serves anything but the block, the next one is asked; it comes after the others
    for a while then, a liar for longer. Blocks of more than 2 MiB are not taken.

    A redirect is followed only to the same CID on a public address, or on the gateway's own host,
    never from https to http, and without the headers that were given for the gateway. The
    addresses of the gateways themselves are not checked: they are the caller's choice. Proxies
    are taken from the environment; they look up names again.

    Parameters
    ----------
    gateways
        Their URLs, such as ``http://127.0.0.1:8080``, in the order in which they are asked. A user
        and a password in one go to that gateway only.
    headers
        Further headers, which are sent to each of the gateways.
    auth
        User and password, or a bearer token, of the only gateway.
    timeout
        How many seconds a gateway may take for an answer.
    connections
        How many requests are under way at once.
    retries
        How often all gateways are asked when one is busy or cannot be connected to.

    Raises
    ------
    BackendError
        If the URL of a gateway is malformed.
    ValueError
        If there is no gateway, or `auth` for more than one.

    Examples
    --------
    >>> store = GatewayCAStore(["https://user:secret@example.org", "http://127.0.0.1:8080"])
    >>> store
    GatewayCAStore(['https://example.org', 'http://127.0.0.1:8080'])
    """

    def __init__(
        self,
        gateways: str | Iterable[str] = DEFAULT_GATEWAYS,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Auth = None,
        timeout: float = DEFAULT_TIMEOUT,
        connections: int = DEFAULT_CONNECTIONS,
        retries: Retries = DEFAULT_RETRIES,
    ) -> None:
        super().__init__()
        urls = [gateways] if isinstance(gateways, str) else list(gateways)
        if not urls or (auth is not None and len(urls) > 1):
            raise ValueError(
                f"{len(urls)} gateways: expected one or several, and one only where auth is given; "
                "credentials for several go into their URLs"
            )
        self._arguments: dict[str, Any] = {
            "gateways": urls,
            "headers": dict(headers or {}),
            "auth": auth,
            "timeout": timeout,
            "connections": connections,
            "retries": retries,
        }
        self._gateways = [parse_gateway(url, headers or {}, auth) for url in urls]
        self._timeout = timeout
        self._retries = retries
        self._health = Health()
        self.connections = connections
        self._client = HTTPClient(timeout=timeout, connections=connections, use_proxies=True)

    @property
    def gateways(self) -> tuple[str, ...]:
        """The URLs of the gateways, without credentials."""
        return tuple(gateway.url for gateway in self._gateways)

    def __repr__(self) -> str:
        return f"GatewayCAStore({list(self.gateways)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GatewayCAStore) and self.gateways == other.gateways

    def __hash__(self) -> int:
        return hash((GatewayCAStore, self.gateways))

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(GatewayCAStore, **self._arguments), ()

    def get_raw(self, cid: Link) -> bytes:
        return self._read(cid)

    async def get_raw_async(self, cid: Link) -> bytes:
        faults: Faults = {}
        return await self._retries.run_async(
            lambda: run_async(read_block(cid, self._gateways, self._health, faults), self._client)
        )

    def has_raw(self, cid: Link) -> bool:
        """Whether a gateway says that it has a block, or finds it in the network.

        Raises
        ------
        BackendError
            If none does, and not all say that they do not.
        """
        try:
            self._read(cid, "HEAD")
        except BlockNotFoundError:
            return False
        return True

    def _read(self, link: Link, method: str = "GET") -> bytes:
        faults: Faults = {}
        return self._retries.run(
            lambda: run(
                read_block(link, self._gateways, self._health, faults, method=method), self._client
            )
        )

    def put_block(self, cid: Link, data: bytes) -> NoReturn:
        raise ReadOnlyStoreError(f"{self!r} only reads: publish through an IPFS node")

    def resolve(self, name: CIDLike) -> Link:
        """Return the CID that a name stands for; names of IPNS are refused.

        Raises
        ------
        InvalidCIDError
            If it is no CID.
        """
        if isinstance(name, str) and name.startswith(("ipns://", "/ipns/")):
            raise InvalidCIDError(
                f"{show_url(name)!r} is a name that a gateway would have to be believed about: "
                "resolve it with an IPFS node, or use the CID"
            )
        return super().resolve(name)

    def iter_dag_blocks(self, root: CIDLike) -> Iterator[tuple[Link, bytes]]:
        """Iterate all blocks of a DAG, each once and after one that links to it.

        They are taken from CAR streams as far as these hold them, and asked for one by one
        otherwise. Blocks that are not part of the DAG are never yielded.

        Parameters
        ----------
        root
            The CID of the DAG.

        Yields
        ------
        tuple of Link and bytes
            The CID, and the block, verified.

        Raises
        ------
        BlockNotFoundError, CorruptBlockError, BackendError
            If a block cannot be had.
        InvalidNodeError
            If a block is malformed, or of a codec whose links are not known.
        """
        wanted = Wanted(as_link(root))
        yield from self._iter_streamed(as_link(root), wanted)
        while wanted:
            yield wanted.load_one(self.get_block)

    def fetch(self, root: CIDLike, target: ContentAddressableStore) -> Copied:
        """Copy a whole DAG into another store, by CAR streams as far as gateways serve them.

        The root is put after all others, so that once it is there, all is there. A copy that was
        stopped is completed by starting it again; streams begin at the root each time.

        Parameters
        ----------
        root
            The CID of the DAG.
        target
            Where the blocks go.

        Raises
        ------
        BlockNotFoundError, CorruptBlockError
            If a block cannot be had from the gateways.
        BackendError
            If no gateway answers, or the target cannot do its work.
        InvalidNodeError
            If a block is malformed, or of a codec whose links are not known.
        """
        link = as_link(root)
        streamed = _Counted(link)
        if not target.has(link):
            target.put_many(streamed.iter_others(self._iter_streamed(link, Wanted(link))))
        copied = copy_root(link, self, target)
        return Copied(
            copied.blocks + streamed.blocks,
            copied.bytes + streamed.bytes,
            copied.skipped - streamed.blocks,
        )

    def _iter_streamed(self, root: Link, wanted: Wanted) -> Iterator[tuple[Link, bytes]]:
        for gateway in self._health.order(self._gateways):
            if not wanted:
                return
            try:
                with opened(_ask_for_car(gateway, root), self._client) as stream:
                    yield from iter_wanted(stream, wanted, self._timeout)
            except FAULTS as error:
                hold_against(gateway, error, self._health)
            else:
                self._health.clear(gateway)

    def close(self) -> None:
        self._client.close()


class _Counted:
    """Counts the blocks that are put before a root."""

    def __init__(self, root: Link) -> None:
        self._root = root
        self.blocks = self.bytes = 0

    def iter_others(self, blocks: Iterable[tuple[Link, bytes]]) -> Iterator[tuple[Link, bytes]]:
        for link, data in blocks:
            if link != self._root:
                self.blocks += 1
                self.bytes += len(data)
                yield link, data


def _ask_for_car(gateway: Gateway, root: Link) -> Steps[Stream]:
    stream: Stream = yield from ask(
        gateway, root, CAR_QUERY, CAR_ACCEPT, "GET", MAX_IPFS_BLOCK_BYTES
    )
    check_answer(stream, CAR)
    return stream
