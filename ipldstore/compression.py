"""Whether equal data would be compressed to equal bytes again: `check_compression`."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Any, Literal, NamedTuple

from ipldstore.basics.locks import Guard
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link
from ipldstore.errors import ReentrantCallError
from ipldstore.limits import MAX_TRIED_BYTES
from ipldstore.model.cells import CellShape, Shape, read_cell, shape_at
from ipldstore.model.metadata import Metadata, codecs_of
from ipldstore.model.outline import Outline, iter_arrays
from ipldstore.model.values import Value, iter_values
from ipldstore.names.finding import Blocks, HierarchyLike, found_store
from ipldstore.store.deprecated import renamed
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.values import read_value, value_size
from ipldstore.tree.documents import Document
from ipldstore.tree.nodes import Directory

THREADS = 4
TRIES = 8
"""Threads that chunks are encoded with, and how often: they do not finish in one order only."""

_HEADER = struct.Struct("<BBBBIII")
_ENTRY = struct.Struct("<QQ")
_VERSION = 2
_COPIED = 0x02
_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2, "autoshuffle": -1}
_ABSENT = 2**64 - 1
_CRC_BYTES = 4

_threads = Guard()


@dataclass(frozen=True)
class CompressionCheck:
    """Whether the chunks of an array would be encoded to other bytes with other threads.

    Attributes
    ----------
    path : str
        The array.
    codec : str
        Its codecs, in the order of encoding.
    verdict : str
        ``"deterministic"``: none of its codecs depends on threads. ``"same"``: it uses Blosc, and
        the chunks that were tried are encoded to what is stored, with one thread and with several.
        ``"differs"``: they are not, or are cut into several blocks, which threads write in the
        order in which they finish. ``"untried"``: it uses Blosc, and no chunk could be tried.
    tried : int
        Chunks that were tried.
    message : str
        Why.
    """

    path: str
    codec: str
    verdict: Literal["deterministic", "same", "differs", "untried"]
    tried: int
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


def check_compression(
    what: HierarchyLike,
    blocks: Blocks | None = None,
    *,
    chunks: int = 3,
    backend: Blocks | None = None,
) -> list[CompressionCheck]:
    """Check whether equal data would get equal CIDs, however many threads compress it.

    Blosc cuts what it compresses into blocks and, with several threads, writes these in the order
    in which they are finished: such chunks have other bytes and another CID each time. Some chunks
    of each array that uses Blosc are decoded and encoded again, with one thread and with several.

    Nothing else in the process should use Blosc meanwhile: its number of threads is changed, and
    set back in the end.

    Parameters
    ----------
    what
        The hierarchy: a store, as it stands, or what `ipldstore.open` takes: a root, a revision,
        a CAR file.
    blocks
        Where the blocks of a root are, as in `ipldstore.open`; a store has its own.
    chunks
        How many stored chunks of each array to try at most.
    backend
        The former name of `blocks`.

    Returns
    -------
    list of CompressionCheck
        One for each array.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError, InvalidNodeError
        If a directory, or a chunk that is tried, cannot be had or read.

    Examples
    --------
    >>> import ipldstore
    >>> store = ipldstore.IPLDStore()
    >>> store["a/.zarray"] = b'{"shape": [2], "chunks": [2], "compressor": {"id": "zstd"}}'
    >>> [(found.path, found.verdict) for found in ipldstore.check_compression(store)]
    [('a', 'deterministic')]
    """
    with found_store(what, renamed(blocks, backend)) as store:
        return _check_arrays(store, chunks)


def _check_arrays(store: Hierarchy, chunks: int) -> list[CompressionCheck]:
    load = store.blocks.get_block

    def check(top: Directory, _root: Link | None) -> list[CompressionCheck]:
        checks = []
        numbers = count(1)
        for found, directory, metadata in iter_arrays(Outline("", ""), top, load, numbers):
            values = iter_values(directory, metadata, load, numbers)
            parts = _iter_parts(store.blocks, metadata.stored_shape or (), values)
            checks.append(_check(found.path, metadata, parts, chunks))
        return checks

    return store.reader.look(check)


class _UntriedError(Exception):
    """A chunk cannot be tried; the message says why."""


def _iter_parts(
    blocks: ContentAddressableStore, cells: CellShape, values: Iterable[Value]
) -> Iterator[tuple[_Part, Shape]]:
    """Iterate the stored chunks, or shards, of an array, each with its shape."""
    for value in values:
        if value.place is not None:
            yield _part_of(blocks, value.entry), shape_at(cells, value.place)


def _check(
    path: str, metadata: Metadata, parts: Iterator[tuple[_Part, Shape]], chunks: int
) -> CompressionCheck:
    codecs = _codecs(metadata.document or {}, metadata.zarr_format)
    text = _say(codecs)
    if "blosc" not in text:
        return CompressionCheck(path, text, "deterministic", 0, "no codec that depends on threads")
    trials: list[_Trial] = []
    message = "no chunk is stored"
    try:
        for part, shape in islice(parts, chunks):
            trials += [_try(*frame) for frame in islice(_iter_frames(part, codecs, shape), 1)]
    except _UntriedError as error:
        message = str(error)
    if not trials:
        return CompressionCheck(path, text, "untried", 0, message)
    verdict, message = _judge(trials)
    return CompressionCheck(path, text, verdict, len(trials), message)


def _codecs(document: dict[str, Any], zarr_format: int | None) -> list[_Codec]:
    """Return an array's codecs in the order of encoding."""
    if zarr_format == 3:
        return _named(codecs_of(document), "name")
    filters = document.get("filters")
    filters = filters if isinstance(filters, list) else []
    return _named([*filters, document.get("compressor")], "id")


def _named(codecs: list[Any], key: str) -> list[_Codec]:
    found = []
    for codec in codecs:
        entry = {key: codec} if isinstance(codec, str) else codec
        if isinstance(entry, dict) and isinstance(name := entry.get(key), str):
            settings = entry if key == "id" else entry.get("configuration")
            found.append(_Codec(name, settings if isinstance(settings, dict) else {}))
    return found


class _Codec(NamedTuple):
    name: str
    settings: dict[str, Any]

    @property
    def is_blosc(self) -> bool:
        return self.name in ("blosc", "numcodecs.blosc")

    @property
    def is_sharding(self) -> bool:
        return self.name == "sharding_indexed"


def _say(codecs: list[_Codec]) -> str:
    """Name codecs, and those within a shard in brackets."""
    texts = []
    for name, settings in codecs:
        if name == "sharding_indexed":
            texts.append(f"{name}({_say(_named(codecs_of(settings), 'name'))})")
        elif isinstance(cname := settings.get("cname"), str):
            texts.append(f"{name}({cname})")
        else:
            texts.append(name)
    return ", ".join(texts) or "none"


class _Part(NamedTuple):
    """A stored value, or a part of one that is a chunk in a shard.

    `read` returns the bytes from one offset to before another.
    """

    size: int
    read: Callable[[int, int], bytes]

    def within(self, start: int, size: int) -> _Part:
        """Return a part of this part."""
        if start + size > self.size:
            raise _UntriedError(f"a shard of {self.size} bytes says it has a chunk beyond its end")
        return _Part(size, lambda first, end: self.read(start + first, start + end))


def _part_of(blocks: ContentAddressableStore, entry: Link | Document) -> _Part:
    def read(start: int, stop: int) -> bytes:
        return bytes(read_value(blocks, entry, lambda _: (start, stop)))

    return _Part(value_size(blocks, entry), read)


def _iter_frames(
    part: _Part, codecs: list[_Codec], shape: Shape | None
) -> Iterator[tuple[bytes, _Codec]]:
    """Iterate what Blosc made of the chunks in a stored value of a shape, with its codec."""
    inner = [at for at, codec in enumerate(codecs) if codec.is_blosc or codec.is_sharding]
    if not inner:
        raise _UntriedError(f"cannot try the codecs {_say(codecs)}")
    codec, *later = codecs[inner[-1] :]
    part = _without_checksums(part, later)
    if codec.is_sharding:
        cell = read_cell(codec.settings.get("chunk_shape"), shape)
        for chunk in _iter_shard(part, codec.settings, shape, cell):
            yield from _iter_frames(chunk, _named(codecs_of(codec.settings), "name"), cell)
    else:
        _check_size(part.size)
        yield part.read(0, part.size), codec


def _without_checksums(part: _Part, codecs: list[_Codec]) -> _Part:
    for codec in codecs:
        if codec.name != "crc32c":
            raise _UntriedError(f"what the codec {codec.name!r} makes of Blosc's output")
        part = part.within(0, max(part.size - _CRC_BYTES, 0))
    return part


def _iter_shard(
    part: _Part, settings: dict[str, Any], shape: Shape | None, cell: Shape | None
) -> Iterator[_Part]:
    """Iterate the chunks in a shard, as its index says."""
    if shape is None or cell is None:
        raise _UntriedError("the shapes of chunks and shards are malformed")
    codecs = _named(codecs_of({"codecs": settings.get("index_codecs")}), "name")
    if [codec.name for codec in codecs[:1]] != ["bytes"]:
        raise _UntriedError(f"cannot read an index encoded with {_say(codecs)}")
    entries = math.prod(size // step for size, step in zip(shape, cell, strict=True))
    size = entries * _ENTRY.size + _CRC_BYTES * len(codecs[1:])
    _check_size(size)
    start = 0 if settings.get("index_location") == "start" else max(part.size - size, 0)
    whole = part.within(start, size)
    index = _without_checksums(whole, codecs[1:])
    for offset, length in _ENTRY.iter_unpack(index.read(0, index.size)):
        if (offset, length) != (_ABSENT, _ABSENT):
            yield part.within(offset, length)


def _check_size(size: int) -> None:
    if size > MAX_TRIED_BYTES:
        raise _UntriedError(
            f"{size} bytes of a chunk or index, at most {MAX_TRIED_BYTES} are tried"
        )


class _Trial(NamedTuple):
    """What came of encoding a chunk again.

    `is_kept` says whether one thread makes what is stored, `is_stable` whether several threads make
    what one makes, each time. `blocks` is how many Blosc cuts the chunk into; 1 where it cannot be
    compressed and is copied.
    """

    is_kept: bool
    is_stable: bool
    blocks: int


def _try(frame: bytes, codec: _Codec) -> _Trial:
    """Decode and encode a chunk."""
    import numpy as np
    from numcodecs import Blosc, blosc  # type: ignore[import-untyped]

    typesize = _check_frame(frame)
    settings = codec.settings
    shuffle = settings.get("shuffle", 1)
    try:
        encoder = Blosc(
            cname=settings.get("cname", "lz4"),
            clevel=settings.get("clevel", 5),
            shuffle=_SHUFFLES.get(shuffle, shuffle),
            blocksize=settings.get("blocksize", 0),
        )
        data = np.frombuffer(encoder.decode(frame), f"V{typesize}")
        with _threads():
            before = blosc.use_threads, blosc.get_nthreads()
            try:
                blosc.use_threads = False
                one = encoder.encode(data)
                blosc.use_threads = True
                blosc.set_nthreads(THREADS)
                is_stable = all(encoder.encode(data) == one for _ in range(TRIES))
            finally:
                blosc.use_threads = before[0]
                blosc.set_nthreads(before[1])
    except ReentrantCallError:
        raise
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise _UntriedError(f"Blosc refuses the chunk or its settings: {error}") from error
    return _Trial(one == frame, is_stable, _blocks_of(one))


def _check_frame(frame: bytes) -> int:
    """Check what Blosc's decoder trusts, and return the size of an item."""
    if len(frame) < _HEADER.size:
        raise _UntriedError(f"{len(frame)} bytes are no output of Blosc")
    typesize: int
    version, _, _, typesize, size, block_size, length = _HEADER.unpack_from(frame)
    if version != _VERSION or length != len(frame) or (size and not 0 < block_size <= size):
        raise _UntriedError("the stored bytes are no output of Blosc 1")
    _check_size(size)
    if not typesize or size % typesize:
        raise _UntriedError(f"a chunk of {size} bytes in items of {typesize}")
    return typesize


def _blocks_of(frame: bytes) -> int:
    _, _, flags, _, size, block_size, _ = _HEADER.unpack_from(frame)
    return 1 if flags & _COPIED or not size else -(-size // block_size)


def _judge(trials: list[_Trial]) -> tuple[Literal["same", "differs"], str]:
    blocks = max(trial.blocks for trial in trials)
    if blocks > 1:
        how = (
            "the stored chunks are as one thread writes them"
            if all(trial.is_kept for trial in trials)
            else "the stored chunks are not as one thread writes them"
        )
        return "differs", (
            f"Blosc cuts a chunk into {blocks} blocks, which several threads write in the order "
            f"in which they finish; {how}"
        )
    if not all(trial.is_stable for trial in trials):
        return "differs", "several threads write other bytes than one"
    if not all(trial.is_kept for trial in trials):
        return "differs", "this version of Blosc writes other bytes, with any number of threads"
    return "same", "each chunk that was tried is one block for Blosc, whatever the threads"
