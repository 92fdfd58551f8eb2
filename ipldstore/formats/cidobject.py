"""The CID objects that users are given."""

from __future__ import annotations

from functools import lru_cache, total_ordering
from typing import Any

import multiformats

from ipldstore.cid import CIDLike, Link, as_link, parse_text, to_text
from ipldstore.errors import InvalidCIDError
from ipldstore.formats.cidlibrary import using_multiformats

_SHA2_256 = (b"\x01\x55\x12\x20", b"\x01\x71\x12\x20")
"""How CIDs of raw and DAG-CBOR blocks begin, of which only the digest differs."""


@total_ordering
class CID(multiformats.CID):
    """A CID that can be compared with text: what ``freeze()`` and ``root_cid`` return.

    It is a ``multiformats.CID``, prints as CIDv1 text in base32 and sorts by it. It equals the
    text of the same CID in any base, but hashes as a ``multiformats.CID`` does: in sets, and as
    the keys of dicts, text does not stand for it. JSON takes ``str(cid)``.

    Parameters
    ----------
    cid
        The CID in any form.

    Raises
    ------
    InvalidCIDError
        If it is malformed, or its codec or hash function is not in the multicodec table of
        multiformats.

    Examples
    --------
    >>> import ipldstore
    >>> root = ipldstore.IPLDStore().freeze()
    >>> root
    CID('bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua')
    >>> root == "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
    True
    >>> f"{root:.12}"
    'bafyreigbtj4'
    """

    __slots__ = ()

    def __new__(cls, cid: CIDLike) -> CID:
        link = as_link(cid)
        if link[:4] in _SHA2_256:
            plain, digest = _decode(link[:4] + bytes(32)), link[2:]
        else:
            plain = _decode(bytes(link))
            digest = plain.digest
        self = object.__new__(cls)  # the cache of multiformats would give an object of its class
        for name in multiformats.CID.__slots__:
            if name != "__weakref__":
                setattr(self, name, getattr(plain, name))
        self._digest = digest
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),)

    def __str__(self) -> str:
        return to_text(bytes(self))

    def __repr__(self) -> str:
        return f"CID('{self}')"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return str(self) == _text_of(other)
        return super().__eq__(other)

    __hash__ = multiformats.CID.__hash__

    def __lt__(self, other: object) -> bool:
        text = _text_of(other)
        return NotImplemented if text is None else str(self) < text


@lru_cache(maxsize=64)
def _decode(data: bytes) -> multiformats.CID:
    """Have multiformats read a binary CID, which takes it half a millisecond."""
    with using_multiformats():
        try:
            return multiformats.CID.decode(data).set(base="base32")
        except (KeyError, ValueError) as error:
            raise InvalidCIDError(
                f"multiformats cannot express {to_text(Link(data))}: {error}"
            ) from None


def _text_of(other: object) -> str | None:
    """Return the text by which a CID, or text of any kind, is sorted; None for anything else."""
    if isinstance(other, multiformats.CID):
        return to_text(bytes(other)) if other.version else str(other)
    if not isinstance(other, str):
        return None
    try:
        return to_text(parse_text(other))
    except InvalidCIDError:
        return other


def to_cid(link: bytes) -> CID:
    """Build the CID object of a binary CID."""
    return CID(link)
