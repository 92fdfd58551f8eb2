"""Block stores that write ``put_raw``, as all did before there was ``put_block``."""

from __future__ import annotations

from typing import Any

from ipldstore.basics.warning import warn
from ipldstore.cid import CODECS, Link, codec_of, identity_data, to_text
from ipldstore.errors import BackendError


def adapt(cls: type[Any], contract: type[Any]) -> None:
    """Have a class that writes `put_raw`, and no `put_block`, put blocks by it, and warn of that.

    The class was just made; `contract` is `ContentAddressableStore`.
    """
    if "put_raw" in vars(cls) and "put_block" not in vars(cls):
        warn(
            f"{cls.__name__} writes put_raw(data, codec): a block store writes "
            "put_block(cid, data) now, and no hashing",
            DeprecationWarning,
        )
    if cls.put_raw is not contract.put_raw:
        written = (vars(base)["put_block"] for base in cls.__mro__ if "put_block" in vars(base))
        others = (one for one in written if one not in (contract.put_block, put_by_put_raw))
        cls.put_block = next(others, put_by_put_raw)
    elif cls.put_block is put_by_put_raw:
        cls.put_block = contract.put_block


def put_by_put_raw(store: Any, cid: Link, data: bytes) -> None:
    """`put_block` of these stores, which keep blocks under CIDs of their own making only."""
    if identity_data(cid) is not None:
        return
    names = {code: name for name, code in CODECS.items()}
    codec = names.get(codec_of(cid))
    if codec is None or store.make_cid(data, codec) != cid:
        raise BackendError(f"{store!r} cannot keep a block under the foreign CID {to_text(cid)}")
    store.put_raw(data, codec)
