"""Whether compression would give the same bytes again: real codecs, shards, and hostile chunks."""

import json
import struct

import numcodecs
import numpy as np
import pytest
import zarr
from numcodecs import Blosc, GZip, Zstd, blosc
from shown_hierarchies import IS_ZARR3, write_array

import ipldstore
from ipldstore import (
    BlockNotFoundError,
    BlockStoreURLError,
    IPLDStore,
    MappingCAStore,
    check_compression,
)
from ipldstore.store.hierarchy import Hierarchy

needs_zarr3 = pytest.mark.skipif(not IS_ZARR3, reason="zarr format 3 needs zarr-python 3")

SMOOTH = np.cumsum(np.random.default_rng(0).normal(size=1 << 20)).astype("f4")
LARGE = SMOOTH.nbytes
FAST = {"id": "blosc", "cname": "lz4", "clevel": 1, "shuffle": 1, "blocksize": 0}


def encoded(data, config=FAST, threads=1):
    """Encode a chunk as numcodecs does it with so many threads."""
    before = blosc.use_threads, blosc.get_nthreads()
    try:
        blosc.use_threads = threads > 1
        blosc.set_nthreads(threads)
        return numcodecs.get_codec(config).encode(data)
    finally:
        blosc.use_threads = before[0]
        blosc.set_nthreads(before[1])


def shuffled(data):
    """Encode a chunk with threads until its blocks are not in the order of one thread."""
    one = encoded(data)
    return next(many for _ in range(200) if (many := encoded(data, threads=4)) != one)


def stored(chunk, config=FAST, **metadata):
    """Make a hierarchy of one array of format 2 with one chunk."""
    document = {"zarr_format": 2, "shape": [1], "chunks": [1], "compressor": config, **metadata}
    store = Hierarchy()
    store["a/.zarray"] = json.dumps(document).encode()
    if chunk is not None:
        store["a/0"] = chunk
    return store


def check(store, **options):
    (found,) = check_compression(store, **options)
    return found


def test_one_block_is_the_same_with_any_threads():
    found = check(stored(encoded(SMOOTH[:1000])))
    assert (found.path, found.codec, found.verdict, found.tried) == ("a", "blosc(lz4)", "same", 1)
    assert all(encoded(SMOOTH[:1000], threads=4) == encoded(SMOOTH[:1000]) for _ in range(20))


def test_several_blocks_differ():
    found = check(stored(encoded(SMOOTH)))
    assert found.verdict == "differs"
    assert "blocks" in found.message
    assert found.message.endswith("chunks are as one thread writes them")


def test_what_several_threads_wrote_differs():
    chunk = shuffled(SMOOTH)
    assert numcodecs.get_codec(FAST).decode(chunk) == SMOOTH.tobytes()
    found = check(stored(chunk))
    assert found.verdict == "differs"
    assert found.message.endswith("chunks are not as one thread writes them")


def test_what_cannot_be_compressed_is_the_same():
    noise = np.frombuffer(np.random.default_rng(1).bytes(1 << 22), "u1")
    chunk = encoded(noise)
    assert len(chunk) > noise.nbytes
    assert check(stored(chunk)).verdict == "same"
    assert encoded(noise, threads=4) == chunk


def test_other_settings_than_the_chunk_was_written_with():
    found = check(stored(encoded(SMOOTH[:1000], {**FAST, "cname": "zstd", "clevel": 9})))
    assert (found.verdict, found.tried) == ("differs", 1)
    assert "this version of Blosc" in found.message


@pytest.mark.parametrize("config", [None, Zstd().get_config(), GZip(3).get_config()])
def test_other_codecs_are_deterministic(config):
    found = check(stored(b"anything", config))
    assert (found.verdict, found.tried) == ("deterministic", 0)
    assert found.codec == ("none" if config is None else config["id"])


def test_arrays_that_zarr_wrote():
    store = IPLDStore()
    data = SMOOTH.reshape(1024, 1024)
    write_array(store, "small", data[:90], chunks=(10, 50), compressor=Blosc())
    write_array(store, "large", data, chunks=(1024, 1024), compressor=Blosc(clevel=1))
    write_array(store, "zstd", data[:90], chunks=(10, 50), compressor=Zstd())
    root = store.freeze()
    found = {check.path: check for check in check_compression(root, store.backend, chunks=2)}
    assert {path: (check.verdict, check.tried) for path, check in found.items()} == {
        "small": ("same", 2),
        "large": ("differs", 1),
        "zstd": ("deterministic", 0),
    }


@needs_zarr3
@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("codecs", ["blosc", "blosc, crc32c"])
@pytest.mark.parametrize("side", [64, 1024])
def test_shards_that_zarr_wrote(location, codecs, side):
    from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec

    inner = [BytesCodec(), BloscCodec(cname="lz4", clevel=1)]
    inner += [Crc32cCodec()] * codecs.endswith("crc32c")
    sharding = ShardingCodec(chunk_shape=(side, side), codecs=inner, index_location=location)
    store = IPLDStore()
    array = zarr.create_array(
        store, name="a", shape=(2048, 1024), chunks=(1024, 1024), dtype="f4",
        serializer=sharding, compressors=None,
    )  # fmt: skip
    array[1024:] = SMOOTH.reshape(1024, 1024)
    found = check(store)
    assert found.codec == f"sharding_indexed(bytes, {codecs.replace('blosc', 'blosc(lz4)')})"
    assert (found.verdict, found.tried) == ("same" if side == 64 else "differs", 1)


@needs_zarr3
def test_blosc_of_format_3():
    from zarr.codecs import BloscCodec

    store = IPLDStore()
    array = zarr.create_array(
        store, name="a", shape=(3,), chunks=(1,), dtype="f8", compressors=BloscCodec()
    )
    array[:] = 1
    found = check(store, chunks=2)
    assert (found.codec, found.verdict, found.tried) == ("bytes, blosc(zstd)", "same", 2)


def framed(size=4, block_size=4, length=None, version=2, typesize=1, flags=0):
    body = b"\0" * 16
    length = 16 + len(body) if length is None else length
    return struct.pack("<BBBBIII", version, 1, flags, typesize, size, block_size, length) + body


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (None, "no chunk is stored"),
        (b"", "0 bytes are no output of Blosc"),
        (b"x" * 15, "15 bytes are no output of Blosc"),
        (b"x" * 100, "no output of Blosc 1"),
        (framed(version=5), "no output of Blosc 1"),
        (framed(length=2**31), "no output of Blosc 1"),
        (framed(length=17), "no output of Blosc 1"),
        (framed(block_size=0), "no output of Blosc 1"),
        (framed(block_size=5), "no output of Blosc 1"),
        (framed(size=2**31), "2147483648 bytes of a chunk"),
        (framed(typesize=0), "items of 0"),
        (framed(typesize=3), "items of 3"),
        (framed(), "Blosc refuses"),
    ],
)
def test_chunks_of_others(chunk, message):
    found = check(stored(chunk))
    assert (found.verdict, found.tried) == ("untried", 0)
    assert message in found.message


@pytest.mark.parametrize(
    "settings",
    [{"cname": "none"}, {"cname": 5}, {"clevel": 99}, {"clevel": "x"}, {"shuffle": []},
     {"shuffle": 7}, {"blocksize": -1}, {"blocksize": 2**70}, {"blocksize": "8"}],
)  # fmt: skip
def test_settings_of_others(settings):
    found = check(stored(encoded(SMOOTH[:1000]), {**FAST, **settings}))
    assert found.verdict in ("untried", "differs")


def shard_of(data, **configuration):
    """Make a sharded array of format 3 with one shard of the given bytes."""
    settings = {
        "chunk_shape": [1],
        "codecs": [{"name": "bytes"}, {"name": "blosc", "configuration": {}}],
        "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}],
        **configuration,
    }
    document = {
        "zarr_format": 3, "node_type": "array", "shape": [4], "data_type": "int8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}},
        "chunk_key_encoding": {"name": "default"},
        "codecs": [{"name": "sharding_indexed", "configuration": settings}],
    }  # fmt: skip
    store = Hierarchy()
    store["a/zarr.json"] = json.dumps(document).encode()
    store["a/c/0"] = data
    return store


@pytest.mark.parametrize(
    ("data", "configuration", "message"),
    [
        (b"", {}, "beyond its end"),
        (b"x" * 67, {}, "beyond its end"),
        (b"\x01" * 68, {}, "beyond its end"),
        (b"\xff" * 68, {}, "no chunk is stored"),
        (b"\xff" * 68, {"chunk_shape": [0]}, "malformed"),
        (b"\xff" * 68, {"chunk_shape": "x"}, "malformed"),
        (b"\xff" * 68, {"index_codecs": None}, "index encoded with none"),
        (b"\xff" * 68, {"index_codecs": [{"name": "bytes"}, {"name": "gzip"}]}, "'gzip'"),
        (struct.pack("<QQ", 0, 9) + b"\xff" * 52, {}, "9 bytes are no output of Blosc"),
        (struct.pack("<QQ", 0, 2**63) + b"\xff" * 52, {}, "beyond its end"),
        (b"", {"codecs": [{"name": "numcodecs.blosc2"}]}, "beyond its end"),
    ],
)
def test_shards_of_others(data, configuration, message):
    found = check(shard_of(data, **configuration))
    assert (found.verdict, found.tried) == ("untried", 0)
    assert message in found.message


def test_shards_within_shards():
    settings = {"chunk_shape": [1], "codecs": [{"name": "bytes"}, {"name": "blosc"}],
                "index_codecs": [{"name": "bytes"}]}  # fmt: skip
    chunk = encoded(np.ones(1, "i1"), Blosc().get_config())
    inner = chunk + struct.pack("<QQQQ", 0, len(chunk), 2**64 - 1, 2**64 - 1)
    outer = struct.pack("<QQQQ", 2**64 - 1, 2**64 - 1, 32, len(inner)) + inner
    store = shard_of(
        outer, chunk_shape=[2], index_location="start", index_codecs=[{"name": "bytes"}],
        codecs=[{"name": "sharding_indexed", "configuration": settings}],
    )  # fmt: skip
    found = check(store)
    assert found.codec == "sharding_indexed(sharding_indexed(bytes, blosc))"
    assert (found.verdict, found.tried) == ("same", 1)


def test_other_kinds_of_blosc_are_not_tried():
    found = check(stored(b"x", {"id": "imagecodecs_blosc2"}))
    assert (found.verdict, found.message) == ("untried", "cannot try the codecs imagecodecs_blosc2")


def test_a_codec_after_blosc_is_not_looked_behind():
    found = check(stored(encoded(SMOOTH[:10]), GZip().get_config(), filters=[FAST]))
    assert found.codec == "blosc(lz4), gzip"
    assert (found.verdict, found.tried) == ("untried", 0)


def test_a_missing_chunk_is_an_error():
    store = stored(encoded(SMOOTH))
    root = store.freeze()
    mapping = {cid: data for cid, data in store.backend.mapping.items() if "bafyrei" in cid}
    with pytest.raises(BlockNotFoundError):
        check_compression(root, MappingCAStore(mapping))


def test_the_threads_are_set_back():
    before = blosc.use_threads, blosc.get_nthreads()
    check(stored(encoded(SMOOTH)))
    check(stored(framed()))
    assert (blosc.use_threads, blosc.get_nthreads()) == before


def test_a_root_needs_its_blocks():
    with pytest.raises(BlockStoreURLError, match="does not say where its blocks are"):
        check_compression(IPLDStore().freeze())


def test_as_json():
    found = check(stored(encoded(SMOOTH[:10])))
    assert json.loads(json.dumps(found.as_dict())) == {
        "path": "a",
        "codec": "blosc(lz4)",
        "verdict": "same",
        "tried": 1,
        "message": found.message,
    }
    assert isinstance(found, ipldstore.CompressionCheck)
