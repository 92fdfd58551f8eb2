"""A store on an IPFS node, in one call."""

from __future__ import annotations

from typing import Any

from ipldstore.backends.ipfs.store import IPFSStore
from ipldstore.cid import CIDLike
from ipldstore.errors import BackendError
from ipldstore.faces import IPLDStore


def get_ipfs_mapper(
    address: str | None = None,
    *,
    root: CIDLike | None = None,
    read_only: bool = False,
    **options: Any,
) -> IPLDStore:
    """Make a store whose blocks are in an IPFS node.

    Parameters
    ----------
    address
        URL or multiaddr of the node's RPC API. If None, the local node is found: by the
        environment variable ``IPFS_API``, by what a running node notes in its repository
        (``IPFS_PATH``, by default ``~/.ipfs``), else at ``http://127.0.0.1:5001``.
    root
        CID of the hierarchy to open, also as ``ipfs://CID`` or ``ipns://NAME``; an empty one if
        none is given.
    read_only
        Whether the store refuses to be written through.
    options
        As in `IPFSStore`.

    Returns
    -------
    IPLDStore
        A mapping and Zarr store.

    Raises
    ------
    BackendError
        If no node answers.

    Examples
    --------
    >>> import xarray as xr
    >>> store = ipldstore.get_ipfs_mapper()  # doctest: +SKIP
    >>> dataset.to_zarr(store)  # doctest: +SKIP
    >>> print(store.freeze())  # doctest: +SKIP
    bafyrei...
    """
    node = IPFSStore(address, **options)
    try:
        node.rpc.call("version")
    except BackendError as error:
        node.close()
        raise BackendError(
            f"no IPFS node answers at {node.url}: {error}. Start one (`ipfs daemon`), or say where "
            "one is, get_ipfs_mapper(address); to read only, gateways do without a node: "
            "IPLDStore(GatewayCAStore(), root=CID)",
            retryable=error.retryable,
        ) from error
    return IPLDStore(node, root=root, read_only=read_only)
