"""The package ``multiformats``, used so that threads do not break it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ipldstore.basics.locks import Guard
from ipldstore.errors import InvalidCIDError
from ipldstore.formats.hashes import HASHES

if TYPE_CHECKING:
    from _thread import RLock as RLockType

_multiformats = Guard()
_hash_functions: list[object] = []
_ANY_CID = b"\x01\x55\x12\x20" + bytes(32)


def using_multiformats() -> RLockType:
    """Return what ``with`` enters to call the package ``multiformats``, or one that does.

    Its registries are filled when they are used first, and are not safe under threads. Here they
    are filled before, so that what others do with the CIDs that they get is safe.
    """
    if not _hash_functions:
        with _multiformats():
            if not _hash_functions:
                _hash_functions[:] = _fill_registries()
    return _multiformats()


def _fill_registries() -> list[object]:
    """Fill the registries of multiformats; return what must be held, as these hold it weakly."""
    from multiformats import CID, multibase, multihash

    functions: list[object] = []
    for name in ("identity", *HASHES):
        # one whose package is not installed fails later, where it is asked for
        with suppress(KeyError, ImportError):
            function = multihash.get(name)
            _ = function.implementation
            functions.append(function)
    for base in multibase.table():
        with suppress(KeyError, ValueError, ImportError):
            base.decode(base.encode(b"\x01"))
    cid = CID.decode(_ANY_CID).set(base="base32")
    str(cid), repr(cid), hash(cid)
    return functions


def decode_multibase(text: str) -> bytes:
    """Return the bytes that text in any multibase stands for."""
    with using_multiformats():
        from multiformats import multibase

        try:
            base = multibase.from_str(text)
            data: bytes = base.decode(text)
            canonical = base.encode(data)
        except Exception:
            raise InvalidCIDError("not text in a multibase") from None
    if canonical.rstrip("=") != text.rstrip("="):
        raise InvalidCIDError(f"not canonical {base.name}")
    return data
