"""The IPLD value in a block, as the ``dag-cbor`` package has it."""

from __future__ import annotations

from typing import Any

from ipldstore.cid import DAG_CBOR, RAW, Link, codec_of, to_text
from ipldstore.errors import CodecError
from ipldstore.formats.cidlibrary import using_multiformats
from ipldstore.limits import MAX_CBOR_BYTES


def check_codec(link: Link) -> None:
    """Raise `CodecError` if the codec of a block is none whose values are known."""
    codec = codec_of(link)
    if codec not in (RAW, DAG_CBOR):
        raise CodecError(f"block {to_text(link)}: cannot decode codec {codec:#x}")


def decode_value(link: Link, data: bytes) -> Any:
    """Return the value in a block, whose codec is known."""
    if codec_of(link) == RAW:
        return data
    if len(data) > MAX_CBOR_BYTES:
        raise CodecError(f"block {to_text(link)}: {len(data)} bytes, at most {MAX_CBOR_BYTES}")
    with using_multiformats():
        import dag_cbor
        from dag_cbor.encoding.err import CBORError

        try:
            return dag_cbor.decode(data)
        except (CBORError, ValueError, KeyError, OverflowError, RecursionError) as error:
            raise CodecError(f"block {to_text(link)} is not DAG-CBOR: {error}") from error


def encode_value(value: Any) -> tuple[bytes, str]:
    """Return the block of a value, and its codec."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), "raw"
    with using_multiformats():
        import dag_cbor
        from dag_cbor.encoding.err import CBORError

        try:
            return dag_cbor.encode(value), "dag-cbor"
        except (CBORError, TypeError, ValueError, RecursionError) as error:
            raise CodecError(f"cannot encode the value as DAG-CBOR: {error}") from error
