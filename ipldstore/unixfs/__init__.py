"""UnixFS: large values as files of several blocks, and whole hierarchies as plain directories."""

from ipldstore.unixfs.file import (
    CHUNK_BYTES,
    Allowance,
    FileNode,
    check_range,
    decode_file,
    links_within,
    read_content,
    write_file,
)
from ipldstore.unixfs.nodes import iter_pb_links

__all__ = [
    "CHUNK_BYTES",
    "Allowance",
    "FileNode",
    "check_range",
    "decode_file",
    "iter_pb_links",
    "links_within",
    "read_content",
    "write_file",
]
