"""The hash functions that name blocks, by their names and codes in the multicodec table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from ipldstore.errors import InvalidCIDError

IDENTITY = 0x00
"""The code of the one whose digests are the blocks themselves."""


class HashFunction(NamedTuple):
    """A multihash function: its code, the size of its digests in bytes, and itself."""

    code: int
    size: int
    digest: Callable[[bytes], bytes]


def _hashlib(name: str) -> Callable[[bytes], bytes]:
    return lambda data: hashlib.new(name, data).digest()


def _blake2b(size: int) -> Callable[[bytes], bytes]:
    return lambda data: hashlib.blake2b(data, digest_size=size).digest()


def _blake3(data: bytes) -> bytes:
    try:
        from blake3 import blake3
    except ImportError:
        raise InvalidCIDError(
            "blake3 needs the package of that name: pip install 'ipldstore[blake3]'"
        ) from None
    return blake3(data).digest()


HASHES = {
    "sha2-256": HashFunction(0x12, 32, _hashlib("sha256")),
    "sha2-384": HashFunction(0x20, 48, _hashlib("sha384")),
    "sha2-512": HashFunction(0x13, 64, _hashlib("sha512")),
    "sha3-224": HashFunction(0x17, 28, _hashlib("sha3_224")),
    "sha3-256": HashFunction(0x16, 32, _hashlib("sha3_256")),
    "sha3-384": HashFunction(0x15, 48, _hashlib("sha3_384")),
    "sha3-512": HashFunction(0x14, 64, _hashlib("sha3_512")),
    "blake2b-256": HashFunction(0xB220, 32, _blake2b(32)),
    "blake2b-512": HashFunction(0xB240, 64, _blake2b(64)),
    "blake2s-256": HashFunction(0xB260, 32, _hashlib("blake2s")),
    "blake3": HashFunction(0x1E, 32, _blake3),
}
HASH_BY_CODE = {function.code: function for function in HASHES.values()}


def hash_function(name: str) -> HashFunction:
    """Return a hash function by its multicodec name."""
    try:
        return HASHES[name]
    except KeyError:
        raise InvalidCIDError(f"hash function {name!r} is not one of {', '.join(HASHES)}") from None
