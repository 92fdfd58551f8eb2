"""Every limit on input that others control, each with the reason for its size.

Sizes are in bytes and times in seconds unless the name says otherwise. What is beyond a limit is
refused with an error of this package before it costs memory or time. `docs/security.md` lists them.
"""

from __future__ import annotations

# CIDs

MAX_VARINT_BYTES = 9
"""Bytes of a varint: 63 bits, the most that the unsigned-varint specification allows."""

MAX_DIGEST_BYTES = 128
"""Bytes of a digest whose hash function is not known; the longest of known ones has 64."""

MAX_IDENTITY_BYTES = 128
"""Bytes that a CID may carry in itself, as in Kubo: more belong in a block."""

MAX_CID_TEXT_LENGTH = 512
"""Characters of a CID's text; decoding some bases takes time that grows with its square."""

# Blocks

MAX_BLOCK_BYTES = 1 << 30
"""Bytes of a block from a folder, a bucket or an archive: it is held whole until its hash is
checked. Blocks of this package have at most 1 MiB; older software made one of each chunk."""

MAX_MARKER_BYTES = 4 << 10
"""Bytes of the object that names the layout of a bucket; this package writes 45."""

MAX_POINTER_NAME_LENGTH = 64
"""Characters of a pointer's name, which is a part of the name of a file or object."""

MAX_POINTER_BYTES = 512
"""Bytes of the file or object of a pointer; this package writes 93, and 274 with the longest
digest."""

MAX_JOURNAL_BYTES = 1 << 30
"""Bytes of a journal in a block store, which is read into memory: records of some ten million
changes, of one process in one session."""

MAX_JOURNALS = 10_000
"""Journals in a session: one for each process that wrote in it."""

MAX_IPFS_BLOCK_BYTES = 2 << 20
"""Bytes of a block that IPFS nodes give each other, and so of one from a gateway or to a node."""

MAX_NODE_ANSWER_BYTES = 64 << 20
"""Bytes that an IPFS node answers: a block, which may have been made larger than the 2 MiB that
travel, or a list of some 500,000 pins."""

# DAG-CBOR and DAG-PB

MAX_CBOR_BYTES = 64 << 20
"""Bytes of a DAG-CBOR block: a directory of older software, in one block, with 1.4 million entries.
This package cuts directories at 256 KiB."""

MAX_CBOR_ITEMS = 1 << 22
"""Items in all lists and maps of a DAG-CBOR block: one of a byte may take 100 in memory."""

MAX_NESTING = 64
"""Levels of lists and maps in a DAG-CBOR block: twice what the format needs."""

MAX_PB_BYTES = 4 << 20
"""Bytes of a DAG-PB block: twice what IPFS nodes give each other."""

# CAR archives

MAX_CAR_HEADER_BYTES = 256 << 10
"""Bytes of an archive's header: 6,000 roots, where one is usual."""

MAX_CAR_HEAD_BYTES = 256
"""Bytes of the length and the CID before a block: more than 9, and 28 and the longest digest."""

MAX_CAR_SECTION_BYTES = MAX_BLOCK_BYTES + MAX_CAR_HEAD_BYTES
"""Bytes of a CID and its block in an archive."""

MAX_CAR_COPIES = 16
"""Sections of one digest in an archive that a `CARStore` looks at, those written last: a block may
be there under several codecs, and again after it was damaged."""

MAX_CAR_TAIL_BYTES = 32 << 20
"""Bytes at the end of an archive that are cut off, as what a crash left; more is damage."""

# Hierarchies

MAX_SEGMENTS = 128
"""Segments of a key; archives of groups nest less than ten deep."""

MAX_SEGMENT_BYTES = 1024
"""Bytes of a segment in UTF-8: four times what file systems allow."""

MAX_LIST_DEPTH = 8
"""Levels of lists of pages: two hold some 30 million entries."""

MAX_KEYS = 100_000_000
"""Keys that are iterated, or compared: a few blocks that repeat each other can stand for 2^40."""

MAX_HELD_KEYS = 10_000_000
"""Keys where something is held, asked or shown for each: `normalize`, `info`, `tree`, `references`,
merging, fsspec's `find` and `du` and, unless `max_keys` says otherwise, `from_unixfs`."""

MAX_REPEATED_BYTES = 4 << 20
"""Bytes of directories that `diff` reads again before it counts what all would come to."""

MAX_COMPARED_BYTES = 256 << 20
"""Bytes of directories that `diff` reads, some ten million entries; more where that is at most
`MAX_EXPANSION` times the bytes of the distinct blocks."""

MAX_KEPT_LINKS = 1 << 16
"""CIDs of nodes that a store remembers to have loaded or put, and asks for when it freezes: those
of 80 million chunks; some 10 MB."""

MAX_WRITTEN_FILES = 1_000_000
"""Keys that `get`, `copy` to a plain Zarr store and `to_unixfs` write out, unless `max_files` says
otherwise; more are written where they are at most `MAX_EXPANSION` times the keys in distinct
blocks."""

MAX_WRITTEN_BYTES = 64 << 30
"""Bytes of all values that these write out, unless `max_bytes` says otherwise; more are written
where they are at most `MAX_EXPANSION` times the bytes of the distinct blocks."""

MAX_EXPANSION = 100
"""How often what distinct blocks hold may be written out without a further limit: what somebody
else can make large at no cost is not the content, but how often a few blocks repeat it."""

# Versions

MAX_COMMIT_BYTES = 256 << 10
"""Bytes of a commit: more than all of its fields may have."""

MAX_STATE_BYTES = 1 << 20
"""Bytes of the state of a repository, which is one block: more than names and shallow commits come
to, with CIDs of 36 bytes."""

MAX_PARENTS = 16
"""Parents of a commit; this package writes at most two."""

MAX_AUTHOR_BYTES = 1 << 10
"""Bytes of a commit's author in UTF-8: names and addresses of several people."""

MAX_MESSAGE_BYTES = 64 << 10
"""Bytes of a commit's message in UTF-8: twenty pages of text."""

MAX_COMMIT_METADATA_BYTES = 64 << 10
"""Bytes of a commit's metadata in DAG-CBOR; what is larger belongs in the hierarchy."""

MAX_SIGNATURE_BYTES = 64 << 10
"""Bytes of a commit's signature; the largest that are standardized, of SLH-DSA, have 49,856."""

MAX_REFS = 2000
"""Branches and tags of a repository, all of which are written at each commit."""

MAX_REF_NAME_BYTES = 255
"""Bytes of the name of a branch or tag in UTF-8, as file systems allow."""

MAX_SHALLOW = 10_000
"""Commits whose parents are let go: five for each branch and tag."""

MAX_LABEL_BYTES = 256
"""Bytes of what an operation, or a collector at work, is called in a state."""

MAX_MERGED_KEY_LENGTH = 1 << 30
"""Characters of the keys that two versions changed and that are held to merge them, a hundred for
each of `MAX_HELD_KEYS`: a few blocks could stand for many keys of 128 KiB."""

MAX_SWAPS = 10_000
"""Times that a repository is tried to be moved on, each after others moved it meanwhile."""

MAX_TIME = 253_402_300_799_999_999
"""Microseconds from 1970 to the end of the year 9999, the last that Python's dates know."""

MAX_COUNT = 2**63 - 1
"""Generations of commits, and times that blocks were collected: 64 bits with a sign."""

# Views

MAX_OUTLINE_BYTES = 256 << 20
"""Bytes that the groups and arrays of an outline may take in memory, about half a million of them:
forty blocks could stand for 2^40."""

MAX_REPORT_LENGTH = 32 << 20
"""Characters of what `compare` has to say, as JSON, which may take 25 times that in memory: some
100,000 groups and arrays."""

MAX_HELD_BOXES = 100_000
"""Boxes of chunks of an array that changed, which `compare` holds until it joins them; if that
leaves more than half of them, it only tells what spans them."""

MAX_COORDINATE_CHUNK = 1 << 22
"""Values of a coordinate's chunk, or shard, that `compare` reads for two of them."""

MAX_DIMENSIONS = 64
"""Dimensions of an array that is shown; NumPy's have at most as many."""

MAX_TRIED_BYTES = 256 << 20
"""Bytes of a chunk, before and after compression, that `check_compression` tries: with what comes
of it in two ways, it is held three times."""

# JSON

MAX_DOCUMENT_BYTES = 1 << 20
"""Bytes of a JSON document that is kept as IPLD data, in DAG-CBOR: it is one block."""

MAX_DOCUMENT_DEPTH = 31
"""Levels of such a document, so that one in a directory stays within `MAX_NESTING`."""

MAX_JSON_BYTES = 16 << 20
"""Bytes of JSON text that is looked into: it may take 25 times that in memory, and text of a
document of 1 MiB is rarely over 3 MiB."""

MAX_JSON_DEPTH = 256
"""Levels of JSON text that is looked into: Python 3.12 and 3.13 crash beyond some thousands in a
thread with a small stack."""

MAX_INTEGER_DIGITS = 21
"""Characters of an integer in a document: those of -2^63 and 2^64-1, and one more."""

# UnixFS

MAX_FILE_DEPTH = 8
"""Levels of blocks in a file: three of 1024 links hold a petabyte of leaves of 1 MiB."""

MAX_FILE_LEAVES = 1 << 16
"""Leaves of a file whose form is compared with ours, 64 GiB; held in memory."""

MAX_VALUE_BYTES = 4 << 30
"""Bytes of a value, or of a range of one, that are read at once: no codec of Zarr's makes larger
chunks, and a file of a few blocks can claim any size. Larger shards are read in ranges."""

MAX_VALUE_PARTS = 1 << 18
"""Parts of a file that are visited to read a value: 64 GiB in the chunks of 256 KiB that
`ipfs add` makes by default."""

MAX_VALUE_NODE_BYTES = 64 << 20
"""Bytes of inner blocks that are decoded to read a value, again where they repeat; 2^18 parts
take some 26 MiB."""

MAX_COPIED_FILE_BYTES = 1 << 30
"""Bytes of a file that `from_unixfs` cuts anew, and holds for that."""

MAX_FANOUT = 1024
"""Places in a shard of a directory, as in Kubo, where 256 are usual."""

# References into archives

MAX_INLINE_REFERENCE_BYTES = 64 << 20
"""Bytes of values that are written into references because they stand in several blocks."""

MAX_ARCHIVE_NODE_BYTES = 1 << 30
"""Bytes of directories and documents of an archive that are held to make references to it."""

# Networks

CONNECT_SECONDS = 5.0
"""Seconds to connect in: enough for a lost packet or two."""

REQUEST_SECONDS = 60.0
"""Seconds for a request to its last byte, where the caller sets no `timeout`: nodes look for
blocks in the network that long."""

STALL_SECONDS = 15.0
"""Seconds in which a read of an object store may bring no byte, before it is tried again."""

PATIENCE_SECONDS = 180.0
"""Seconds for which a request to an object store is tried again that fails for now, where the
caller sets no `patience`."""

GATEWAY_SECONDS = 30.0
"""Seconds for a gateway's answer, where the caller sets no `timeout`: another one can be asked."""

LONG_SECONDS = 600.0
"""Seconds for pinning services, and for what gives no sign of life while it goes on."""

STREAM_SECONDS = 86400.0
"""Seconds for an answer that comes in pieces, such as of pinning; each piece has a timeout."""

MAX_WAIT_SECONDS = 60.0
"""Seconds that a server may ask to wait before it is asked again; longer ones count as this."""

CONNECTIONS = 16
"""Requests to a node or gateway under way at once, where the caller sets no `connections`."""

MAX_REDIRECTS = 5
"""Redirects of a gateway; a path, a subdomain and https need three."""

MAX_USELESS_BYTES = 16 << 20
"""Bytes of an archive from a gateway that are repeated or not asked for."""

MAX_LINE_BYTES = 1 << 20
"""Bytes of a line of JSON, or of an error, that a node sends while something goes on."""

MAX_PINS = 1 << 20
"""Pins in the list of a pinning service."""

MAX_MESSAGE_LENGTH = 1000
"""Characters of a server's message that are repeated in an error."""
