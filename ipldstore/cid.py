"""CIDs as bytes: parse, write, make and verify.

Inside the package a CID is a `Link`, the binary CIDv1 itself; ``multiformats.CID`` objects cost
about 100 µs each and are built only at the public edge (`ipldstore.formats.cidobject`). Every CID
has one spelling here: CIDv0 and every multibase text become the same bytes.

The forms are those of the CID, multihash and unsigned-varint specifications of multiformats.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ipldstore.basics.urls import show_url
from ipldstore.errors import CorruptBlockError, InvalidCIDError
from ipldstore.formats.cidlibrary import decode_multibase
from ipldstore.formats.cidtext import fault_of
from ipldstore.formats.hashes import HASH_BY_CODE, IDENTITY, hash_function
from ipldstore.formats.varint import decode_varint, encode_varint
from ipldstore.limits import (
    MAX_CID_TEXT_LENGTH,
    MAX_DIGEST_BYTES,
    MAX_IDENTITY_BYTES,
)

if TYPE_CHECKING:
    import multiformats

CODECS = {"raw": 0x55, "dag-pb": 0x70, "dag-cbor": 0x71}
RAW, DAG_PB, DAG_CBOR = CODECS.values()

SHA2_256_MULTIHASH = b"\x12\x20"


class Link(bytes):
    """A binary CID: a ``bytes`` whose text is the CIDv1 in base32.

    The type tells links from byte strings in decoded DAG-CBOR. It checks nothing by itself;
    `as_link` does. Only in decoded blocks that hold one does it spell a CIDv0.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return to_text(self)

    def __repr__(self) -> str:
        return f"Link('{to_text(self)}')"


CIDLike: TypeAlias = "str | bytes | multiformats.CID"


class Parts(NamedTuple):
    """What a CID is made of, the codec and the hash function by their multicodec code."""

    codec: int
    hash_code: int
    digest: bytes


def read_link(data: bytes, offset: int = 0) -> tuple[Link, int]:
    """Read the binary CID (v0 or v1) at an offset, spelled as it stands, and say where it ends."""
    position = offset
    if data[offset : offset + 2] != SHA2_256_MULTIHASH:
        version, position = decode_varint(data, offset)
        if version != 1:
            raise InvalidCIDError(f"CID version {version} at byte {offset}, expected 0 or 1")
        _, position = decode_varint(data, position)
    hash_code, position = decode_varint(data, position)
    size, position = decode_varint(data, position)
    _check_digest_size(hash_code, size)
    end = position + size
    if end > len(data):
        raise InvalidCIDError(
            f"CID digest cut short: {size} bytes announced, {len(data) - position} left"
        )
    return Link(data[offset:end]), end


def _check_digest_size(hash_code: int, size: int) -> None:
    if hash_code == IDENTITY:
        if size > MAX_IDENTITY_BYTES:
            raise InvalidCIDError(f"identity CID of {size} bytes, at most {MAX_IDENTITY_BYTES}")
    elif (function := HASH_BY_CODE.get(hash_code)) is not None:
        if size != function.size:
            raise InvalidCIDError(
                f"digest of {size} bytes for hash function {hash_code:#x}, expected {function.size}"
            )
    elif size > MAX_DIGEST_BYTES:
        raise InvalidCIDError(f"digest of {size} bytes, at most {MAX_DIGEST_BYTES}")


def parse_link(data: bytes) -> Link:
    """Read bytes that are one binary CID and nothing else, spelled as it stands."""
    if (
        len(data) == 36
        and data[:1] == b"\x01"
        and data[1] < 0x80
        and data[2:4] == SHA2_256_MULTIHASH
    ):
        return Link(data)
    link, end = read_link(data)
    if end != len(data):
        raise InvalidCIDError(f"{len(data) - end} trailing bytes after a CID of {end} bytes")
    return link


def canonical(link: Link) -> Link:
    """Return the CIDv1 of a link in either version."""
    return Link(b"\x01\x70" + link) if link[0] == 0x12 else link


def parse_text(text: str) -> Link:
    """Read a CID from its text: CIDv0, or CIDv1 in any multibase."""
    if len(text) > MAX_CID_TEXT_LENGTH:
        raise InvalidCIDError(f"CID text of {len(text)} characters, at most {MAX_CID_TEXT_LENGTH}")
    try:
        if len(text) == 46 and text.startswith("Qm"):
            data = decode_multibase("z" + text)
        else:
            data = _decode_base32(text) if text.startswith("b") else decode_multibase(text)
            if data[:1] == b"\x12":
                raise InvalidCIDError("a CIDv0 has no multibase prefix")
        return canonical(parse_link(data))
    except InvalidCIDError as error:
        fault = fault_of(text, str(error))
        raise InvalidCIDError(f"not a CID: {show_url(text)!r}: {fault}") from None


def parse_name(name: str) -> Link:
    """Read a CID from its text, also as ``ipld://CID``, ``ipfs://CID`` or ``/ipfs/CID``."""
    text = name.strip()
    if text.startswith(("ipns://", "/ipns/")):
        raise InvalidCIDError(
            f"{show_url(text)!r}: names need blocks in an IPFS node, such as ipfs:"
        )
    prefix = next(filter(text.startswith, ("ipld://", "ipfs://", "/ipfs/")), "")
    root, _, path = text.removeprefix(prefix).removesuffix("/").partition("/")
    link = parse_text(root)
    if path:
        raise InvalidCIDError(
            f"{show_url(text)[:200]!r} names a part of a hierarchy, expected its root: "
            "ipldstore.open opens parts"
        )
    return link


def _decode_base32(text: str) -> bytes:
    body = text[1:]
    try:
        data = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    except ValueError:
        raise InvalidCIDError("not base32") from None
    if encode_base32(data) != body:
        raise InvalidCIDError("not canonical lower-case base32")
    return data


_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567" + bytes(224)
_BLOCK_BYTES, _BLOCK_LETTERS = 40, 64


@cache
def _spreading() -> list[tuple[int, int]]:
    """Return steps that spread a number of 64 letters of 5 bits to one of 64 bytes.

    Each moves the left halves, which a mask selects, of equal parts of the number away from the
    right ones: adding them times 2^n - 1 shifts them by n bits.
    """
    steps = []
    for letters in (32, 16, 8, 4, 2, 1):
        half = ((1 << 5 * letters) - 1) << 5 * letters
        parts = range(_BLOCK_LETTERS // 2 // letters)
        steps.append((sum(half << 16 * letters * part for part in parts), (1 << 3 * letters) - 1))
    return steps


def encode_base32(data: bytes) -> str:
    """Write base32 in lower case, without padding: a CID in a third of the usual time."""
    if len(data) <= _BLOCK_BYTES:
        return _encode_block(data)
    blocks = (data[at : at + _BLOCK_BYTES] for at in range(0, len(data), _BLOCK_BYTES))
    return "".join(map(_encode_block, blocks))


def _encode_block(data: bytes) -> str:
    number = int.from_bytes(data.ljust(_BLOCK_BYTES, b"\0"), "big")
    for mask, factor in _spreading():
        number += (number & mask) * factor
    letters = number.to_bytes(_BLOCK_LETTERS, "big").translate(_LETTERS)
    return letters[: -(-8 * len(data) // 5)].decode()


def to_text(cid: bytes) -> str:
    """Write a binary CID as CIDv1 text in base32."""
    return "b" + encode_base32(canonical(Link(cid)) if cid[:1] == b"\x12" else cid)


def as_link(cid: CIDLike) -> Link:
    """Accept a CID in any of its forms: text, bytes, ``multiformats.CID``, or a `Link` already."""
    if type(cid) is Link:
        return canonical(cid)
    if isinstance(cid, str):
        return parse_text(cid)
    if isinstance(cid, bytes):
        return canonical(parse_link(cid))
    if type(cid).__name__ == "CID":
        return canonical(parse_link(bytes(cid)))
    hint = "; a store has no root before freeze()" if cid is None else ""
    raise TypeError(
        f"expected a CID as str, bytes or multiformats.CID, not {type(cid).__name__}{hint}"
    )


def split(link: bytes) -> Parts:
    """Take a well-formed binary CIDv1 apart."""
    codec, position = decode_varint(link, 1)
    hash_code, position = decode_varint(link, position)
    _, position = decode_varint(link, position)
    return Parts(codec, hash_code, bytes(link[position:]))


def codec_of(link: bytes) -> int:
    """Return the multicodec code of a binary CIDv1's codec."""
    code = link[1]
    return code if code < 0x80 else decode_varint(link, 1)[0]


def multihash_of(link: bytes) -> bytes:
    """Return the multihash in a binary CIDv1: hash function, size and digest."""
    return bytes(link[decode_varint(link, 1)[1] :])


def with_codec(link: bytes, codec: int) -> Link:
    """Return the CID of the same multihash under another codec."""
    return Link(b"\x01" + encode_varint(codec) + multihash_of(link))


def make_link(data: bytes, codec: str | int = "raw", hash_name: str = "sha2-256") -> Link:
    """Make the CIDv1 of a block.

    Parameters
    ----------
    data
        The block's bytes, or any C-contiguous buffer of them.
    codec
        Name of a codec in `CODECS`, or any multicodec code.
    hash_name
        A name in `ipldstore.formats.hashes.HASHES`.

    Raises
    ------
    InvalidCIDError
        If the codec or the hash function is not known.
    """
    code = codec if isinstance(codec, int) else codec_code(codec)
    if hash_name == "sha2-256" and code < 0x80:
        return Link(bytes((1, code, 0x12, 0x20)) + hashlib.sha256(data).digest())
    function = hash_function(hash_name)
    head = encode_varint(code) + encode_varint(function.code) + bytes((function.size,))
    return Link(b"\x01" + head + function.digest(data))


def codec_code(name: str) -> int:
    """Return the multicodec code of a codec in `CODECS`."""
    try:
        return CODECS[name]
    except KeyError:
        raise InvalidCIDError(f"codec {name!r} is not one of {', '.join(CODECS)}") from None


def identity_data(link: bytes) -> bytes | None:
    """Return the data that an identity CID carries in itself, None for any other CID."""
    if link[2] != IDENTITY and link[1] < 0x80:
        return None
    parts = split(link)
    return parts.digest if parts.hash_code == IDENTITY else None


def verify_block(link: bytes, data: bytes | memoryview) -> None:
    """Check that a block hashes to its CID.

    Raises
    ------
    CorruptBlockError
        If it does not.
    InvalidCIDError
        If the hash function is not one of `ipldstore.formats.hashes.HASHES`.
    """
    if link[2:4] == SHA2_256_MULTIHASH and link[1] < 0x80:
        if hashlib.sha256(data).digest() == link[4:]:
            return
    else:
        _, hash_code, digest = split(link)
        if hash_code == IDENTITY:
            actual = bytes(data)
        elif (function := HASH_BY_CODE.get(hash_code)) is not None:
            actual = function.digest(data)  # type: ignore[arg-type]
        else:
            raise InvalidCIDError(
                f"cannot verify {to_text(link)}: unknown hash function {hash_code:#x}"
            )
        if actual == digest:
            return
    raise CorruptBlockError(f"block {to_text(link)}: its {len(data)} bytes hash to another CID")
