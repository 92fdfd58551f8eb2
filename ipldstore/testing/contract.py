"""Tests that every block store has to pass, to be run with pytest.

This is the contract of `ipldstore.ContentAddressableStore` in the form of tests. Whoever writes a
block store inherits them. The module needs pytest.
"""

from __future__ import annotations

import array
import asyncio
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import dag_cbor
import pytest
from multiformats import CID, multihash

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, as_link, make_link
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    CodecError,
    CorruptBlockError,
    InvalidCIDError,
)

DAG_JSON = 0x0129
"""Code of a codec in the multicodec table that no block store puts by itself."""

HASHES = ("sha2-256", "sha2-512", "blake2b-256", "blake3")

EMPTY_RAW = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
HELLO_RAW = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
IDENTITY_HELLO = "bafkqablimvwgy3y"
MISSING = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"


class BackendTests:
    """The contract of a block store.

    Inherit it under a name that pytest collects, and write `make_backend`; where blocks can be
    damaged from outside, `corrupt` too.

    Attributes
    ----------
    keeps_foreign_cids : bool
        Whether the store keeps blocks under CIDs of any hash function and codec. One that cannot
        has to refuse them with `BackendError`.
    can_pickle : bool
        Whether a pickled store reads the blocks of the original.

    Examples
    --------
    >>> from ipldstore import DirectoryCAStore
    >>> class TestDirectory(BackendTests):
    ...     def make_backend(self, folder, default_hash="sha2-256"):
    ...         return DirectoryCAStore(folder / "blocks", default_hash=default_hash)
    ...
    ...     def corrupt(self, backend, cid):
    ...         (file,) = backend.path.glob("??/*.data")
    ...         file.write_bytes(b"damaged")
    """

    keeps_foreign_cids: bool = True
    can_pickle: bool = True

    def make_backend(self, folder: Path, default_hash: str = "sha2-256") -> ContentAddressableStore:
        """Make an empty block store.

        Parameters
        ----------
        folder
            An empty folder of this one test.
        default_hash
            The hash function that names new blocks.
        """
        raise NotImplementedError("write make_backend in the class that inherits BackendTests")

    def corrupt(self, backend: ContentAddressableStore, cid: Link) -> None:
        """Replace the bytes of the only block that the store holds by others."""
        pytest.skip("blocks of this store cannot be damaged from outside")

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[ContentAddressableStore]:
        """Yield the empty store that a test works on."""
        with self.make_backend(tmp_path) as backend:
            yield backend

    @pytest.mark.parametrize("codec", ["raw", "dag-cbor", "dag-pb"])
    def test_block_comes_back(self, backend: ContentAddressableStore, codec: str) -> None:
        data = b"\xa1\x61a\x01"
        cid = backend.put_raw(data, codec)
        assert as_link(cid) == bytes(_expected_cid(data, codec))
        assert as_link(cid) == backend.make_cid(data, codec)
        assert backend.get_block(cid) == data

    @pytest.mark.parametrize("size", [1, 4095, 65537, 1 << 20])
    def test_block_of_size_comes_back(self, backend: ContentAddressableStore, size: int) -> None:
        data = (b"%d." % size * size)[:size]
        cid = backend.put_raw(data, "raw")
        assert backend.get_block(cid) == data

    def test_empty_block_is_legal(self, backend: ContentAddressableStore) -> None:
        cid = backend.put_raw(b"", "raw")
        assert str(as_link(cid)) == EMPTY_RAW
        assert backend.get_block(cid) == b""
        assert cid in backend

    def test_put_is_idempotent(self, backend: ContentAddressableStore) -> None:
        assert backend.put_raw(b"twice", "raw") == backend.put_raw(b"twice", "raw")
        assert backend.get_block(_expected_cid(b"twice")) == b"twice"

    @pytest.mark.parametrize("kind", [bytearray, lambda data: memoryview(bytearray(data))])
    def test_buffer_is_not_kept(self, backend: ContentAddressableStore, kind: Any) -> None:
        buffer = kind(b"hello")
        cid = backend.put_raw(buffer, "raw")
        buffer[0] = 0
        assert str(as_link(cid)) == HELLO_RAW
        assert backend.get_block(cid) == b"hello"

    def test_buffer_of_larger_items(self, backend: ContentAddressableStore) -> None:
        items = array.array("i", range(5))
        cids = [backend.put_raw(memoryview(items), "raw"), backend.put_raw(b"after", "raw")]  # type: ignore[arg-type]
        backend.flush()
        assert [backend.get_block(cid) for cid in cids] == [items.tobytes(), b"after"]

    def test_block_is_bytes(self, backend: ContentAddressableStore) -> None:
        cid = backend.put_raw(b"hello", "raw")
        assert type(backend.get_block(cid)) is bytes

    def test_missing_block_is_no_key_error(self, backend: ContentAddressableStore) -> None:
        with pytest.raises(BlockNotFoundError, match=MISSING) as caught:
            backend.get_block(MISSING)
        assert not isinstance(caught.value, KeyError)

    def test_missing_block_is_missing_everywhere(self, backend: ContentAddressableStore) -> None:
        backend.put_raw(b"hello", "raw")
        assert not backend.has(MISSING)
        assert MISSING not in backend
        assert backend.size_of(as_link(MISSING)) is None
        with pytest.raises(BlockNotFoundError):
            backend.get(MISSING)
        with pytest.raises(BlockNotFoundError):
            list(backend.get_many([HELLO_RAW, MISSING]))

    @pytest.mark.parametrize("base", ["base16", "base32", "base36", "base58btc", "base64url"])
    def test_every_multibase_finds_the_block(
        self, backend: ContentAddressableStore, base: str
    ) -> None:
        cid = CID.decode(bytes(backend.put_raw(b"hello", "raw"))).set(base=base)
        for spelling in (str(cid), cid, bytes(cid)):
            assert backend.get_block(spelling) == b"hello"
            assert spelling in backend

    def test_version_0_finds_the_block(self, backend: ContentAddressableStore) -> None:
        backend.put_raw(b"", "dag-pb")
        version_0 = CID.decode("QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n")
        for spelling in (str(version_0), version_0, bytes(version_0)):
            assert backend.get_block(spelling) == b""
            assert spelling in backend

    def test_malformed_cid_is_refused(self, backend: ContentAddressableStore) -> None:
        with pytest.raises(InvalidCIDError):
            backend.get_block("bafkrei-no-cid")
        assert "bafkrei-no-cid" not in backend
        assert 42 not in backend

    def test_same_bytes_under_two_codecs(self, backend: ContentAddressableStore) -> None:
        raw, dag = backend.put_raw(b"\xa0", "raw"), backend.put_raw(b"\xa0", "dag-cbor")
        assert raw != dag
        assert backend.get(raw) == b"\xa0"
        assert backend.get(dag) == {}

    def test_corrupt_block_is_refused(self, backend: ContentAddressableStore) -> None:
        cid = backend.put_raw(b"\xa1\x61a\x01", "dag-cbor")
        self.corrupt(backend, cid)
        with pytest.raises(CorruptBlockError, match=str(as_link(cid))):
            backend.get_block(cid)
        with pytest.raises(CorruptBlockError):
            backend.get(cid)
        with pytest.raises(CorruptBlockError):
            list(backend.get_many([cid]))

    @pytest.mark.parametrize("size", [0, 1, 4096, 1 << 20])
    def test_small_block_is_read_at_once(self, backend: ContentAddressableStore, size: int) -> None:
        data = bytes(size)
        cid = as_link(backend.put_raw(data, "raw"))
        backend.flush()
        found = backend.get_small(cid)
        assert found is None or (found == data and size <= backend.inline_limit)

    def test_missing_block_is_not_small(self, backend: ContentAddressableStore) -> None:
        try:
            assert backend.get_small(as_link(MISSING)) is None
        except BlockNotFoundError as error:
            assert MISSING in str(error)

    @pytest.mark.parametrize("size", [0, 5, 1 << 20])
    def test_block_fills_a_buffer(self, backend: ContentAddressableStore, size: int) -> None:
        data = (b"hello" * size)[:size]
        cid = as_link(backend.put_raw(data, "raw"))
        buffer = bytearray(b"*" * (size + 2))
        assert backend.fill_block(cid, memoryview(buffer)[1:-1])
        assert buffer == b"*" + data + b"*"
        assert not backend.fill_block(cid, memoryview(buffer))
        with pytest.raises(BlockNotFoundError, match=MISSING):
            backend.fill_block(as_link(MISSING), memoryview(buffer))

    def test_corrupt_block_is_refused_at_once(self, backend: ContentAddressableStore) -> None:
        cid = as_link(backend.put_raw(b"hello", "raw"))
        self.corrupt(backend, cid)
        with pytest.raises(CorruptBlockError, match=str(cid)):
            assert backend.get_small(cid) is None
            backend.get_block(cid)
        with pytest.raises(CorruptBlockError, match=str(cid)):
            backend.fill_block(cid, memoryview(bytearray(len(backend.get_raw(cid)))))

    def test_identity_cid_needs_no_block(self, backend: ContentAddressableStore) -> None:
        assert backend.get_block(IDENTITY_HELLO) == b"hello"
        assert backend.get_small(as_link(IDENTITY_HELLO)) == (
            b"hello" if backend.is_local else None
        )
        assert backend.fill_block(as_link(IDENTITY_HELLO), memoryview(bytearray(5)))
        assert backend.get(IDENTITY_HELLO) == b"hello"
        assert IDENTITY_HELLO in backend
        assert backend.find_missing([as_link(IDENTITY_HELLO)]) == set()
        assert backend.size_of(as_link(IDENTITY_HELLO)) == 5
        assert list(backend.get_many([IDENTITY_HELLO])) == [(as_link(IDENTITY_HELLO), b"hello")]

    def test_identity_block_may_be_put(self, backend: ContentAddressableStore) -> None:
        backend.put_block(as_link(IDENTITY_HELLO), b"hello")
        assert backend.get_block(IDENTITY_HELLO) == b"hello"

    def test_has(self, backend: ContentAddressableStore) -> None:
        assert not backend.has(HELLO_RAW)
        backend.put_raw(b"hello", "raw")
        assert backend.has(HELLO_RAW)

    def test_size_is_right_or_unknown(self, backend: ContentAddressableStore) -> None:
        cid = as_link(backend.put_raw(b"hello", "raw"))
        assert backend.size_of(cid) in (5, None)

    def test_many_blocks(self, backend: ContentAddressableStore) -> None:
        blocks = {make_link(data): data for data in (b"block %d" % i for i in range(50))}
        backend.put_many(iter(blocks.items()))
        assert dict(backend.get_many(iter(blocks))) == blocks
        assert dict(backend.get_many(map(str, blocks))) == blocks
        missing = as_link(MISSING)
        assert backend.find_missing(iter([*blocks, missing])) == {missing}

    def test_blocks_are_listed(self, backend: ContentAddressableStore) -> None:
        blocks = {make_link(data): data for data in (b"block %d" % i for i in range(50))}
        backend.put_many(iter(blocks.items()))
        backend.put_raw(b"", "dag-pb")
        try:
            listed = {(block.cid[4:], block.size) for block in backend.iter_blocks()}
        except BackendError:
            pytest.skip("this store cannot list its blocks")
        expected = {(sha256(data).digest(), len(data)) for data in (b"", *blocks.values())}
        assert expected <= listed

    def test_no_blocks(self, backend: ContentAddressableStore) -> None:
        backend.put_many([])
        assert list(backend.get_many([])) == []

    def test_put_block(self, backend: ContentAddressableStore) -> None:
        backend.put_block(as_link(HELLO_RAW), b"hello")
        assert backend.get_block(HELLO_RAW) == b"hello"

    @pytest.mark.parametrize(
        ("codec", "hash_name"),
        [("raw", "blake2b-256"), ("dag-cbor", "sha2-512"), ("raw", "sha3-256"), (DAG_JSON, None)],
    )
    def test_foreign_cid(
        self, backend: ContentAddressableStore, codec: str | int, hash_name: str | None
    ) -> None:
        cid = make_link(b"\xa0", codec, hash_name or "sha2-256")
        if self.keeps_foreign_cids:
            backend.put_block(cid, b"\xa0")
            assert backend.get_block(cid) == b"\xa0"
            assert cid in backend
        else:
            with pytest.raises(BackendError):
                backend.put_block(cid, b"\xa0")
            assert cid not in backend

    @pytest.mark.parametrize("hash_name", HASHES)
    def test_default_hash_names_new_blocks(self, tmp_path: Path, hash_name: str) -> None:
        if hash_name == "blake3":
            pytest.importorskip("blake3")
        backend = self.make_backend(tmp_path, hash_name)
        cid = backend.put({"a": 1})
        assert cid.hashfun.name == hash_name
        assert bytes(cid) == bytes(_expected_cid(b"\xa1\x61a\x01", "dag-cbor", hash_name))
        assert backend.get(cid) == {"a": 1}

    def test_unknown_default_hash_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidCIDError):
            self.make_backend(tmp_path, "sha-nothing")

    @pytest.mark.parametrize(
        "value",
        [
            None,
            True,
            -(2**63),
            1.5,
            "β",
            [],
            {},
            {"bb": [1, {"a": None}], "a": b"\x00", "link": CID.decode(HELLO_RAW)},
        ],
    )
    def test_value_comes_back(self, backend: ContentAddressableStore, value: Any) -> None:
        cid = backend.put(value)
        data = dag_cbor.encode(value)
        assert cid == _expected_cid(data, "dag-cbor")
        assert backend.get_block(cid) == data
        assert backend.get(cid) == value

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_bytes_are_a_raw_block(self, backend: ContentAddressableStore, kind: Any) -> None:
        cid = backend.put(kind(b"hello"))
        assert str(cid) == HELLO_RAW
        assert backend.get(cid) == b"hello"

    @pytest.mark.parametrize("value", [object(), {1: 2}, float("nan"), 2**64, "\ud800"])
    def test_value_without_form_is_refused(
        self, backend: ContentAddressableStore, value: Any
    ) -> None:
        with pytest.raises(CodecError):
            backend.put(value)

    def test_block_that_is_no_value_is_refused(self, backend: ContentAddressableStore) -> None:
        for data in (b"", b"\xff", b"\x18\x00", b"\xa0\xa0"):
            cid = backend.put_raw(data, "dag-cbor")
            with pytest.raises(CodecError):
                backend.get(cid)

    def test_codec_without_values_is_refused(self, backend: ContentAddressableStore) -> None:
        cid = backend.put_raw(b"", "dag-pb")
        with pytest.raises(CodecError):
            backend.get(cid)

    def test_many_threads_at_once(self, backend: ContentAddressableStore) -> None:
        blocks = [b"block %d" % (i % 40) for i in range(400)]

        def put_and_get(data: bytes) -> bool:
            return backend.get_block(backend.put_raw(data, "raw")) == data

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(put_and_get, blocks))
        for data in blocks[:40]:
            assert backend.get_block(_expected_cid(data)) == data

    def test_event_loops_put_and_get(self, backend: ContentAddressableStore) -> None:
        blocks = [b"block %d" % i for i in range(40)]

        async def put_and_get(data: bytes) -> bytes:
            return await backend.get_block_async(await backend.put_raw_async(data, "raw"))

        async def put_and_get_all() -> list[bytes]:
            return await asyncio.gather(*map(put_and_get, blocks))

        assert asyncio.run(put_and_get_all()) == blocks
        assert all(backend.get_block(_expected_cid(data)) == data for data in blocks)

    def test_event_loops_get_the_same_errors(self, backend: ContentAddressableStore) -> None:
        with pytest.raises(BlockNotFoundError, match=MISSING):
            asyncio.run(backend.get_block_async(MISSING))
        with pytest.raises(InvalidCIDError):
            asyncio.run(backend.get_block_async("bafkrei-no-cid"))
        assert asyncio.run(backend.get_block_async(IDENTITY_HELLO)) == b"hello"

    def test_event_loops_are_refused_corrupt_blocks(self, backend: ContentAddressableStore) -> None:
        cid = backend.put_raw(b"hello", "raw")
        self.corrupt(backend, cid)
        with pytest.raises(CorruptBlockError, match=str(as_link(cid))):
            asyncio.run(backend.get_block_async(cid))

    def test_flushed_and_closed_store_goes_on(self, backend: ContentAddressableStore) -> None:
        cid = backend.put_raw(b"hello", "raw")
        backend.flush()
        backend.close()
        assert backend.get_block(cid) == b"hello"
        assert backend.get_block(backend.put_raw(b"more", "raw")) == b"more"

    def test_paths_are_resolved(self, backend: ContentAddressableStore) -> None:
        for name in (HELLO_RAW, f"ipfs://{HELLO_RAW}", f"/ipfs/{HELLO_RAW}", f"/ipfs/{HELLO_RAW}/"):
            assert str(backend.resolve(name)) == HELLO_RAW
        for name in (f"/ipfs/{HELLO_RAW}/a", "ipfs://", "https://example.org"):
            with pytest.raises(InvalidCIDError):
                backend.resolve(name)

    def test_pickled_store_reads_the_blocks(self, tmp_path: Path) -> None:
        if not self.can_pickle:
            pytest.skip("this store cannot be pickled")
        backend = self.make_backend(tmp_path, "blake2b-256")
        cid = backend.put(b"hello")
        copy = pickle.loads(pickle.dumps(backend))
        assert copy.get(cid) == b"hello"
        assert copy.default_hash == "blake2b-256"


def _expected_cid(data: bytes, codec: str = "raw", hash_name: str = "sha2-256") -> CID:
    size = 32 if hash_name == "blake3" else None
    return CID("base32", 1, codec, multihash.digest(data, hash_name, size=size))
