"""Archives of a part: what another root lacks, and one group or array."""

import hashlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiformats import CID, varint

from ipldstore import BlockNotFoundError, InvalidKeyError, IPLDStore, MappingCAStore

FILE = bytes(range(256)) * 4096 * 3


def cids_in(archive):
    """Return the CIDs of an archive's sections, whose digests are checked, and its root."""
    size, _, rest = varint.decode_raw(archive)
    header, rest, cids = bytes(rest[:size]), rest[size:], []
    while rest:
        size, _, rest = varint.decode_raw(rest)
        cid = CID.decode(bytes(rest[:36]))
        assert hashlib.sha256(rest[36:size]).digest() == cid.raw_digest
        cids.append(cid)
        rest = rest[size:]
    at = header.index(b"\xd8\x2a\x58\x25\x00") + 5
    return cids, CID.decode(header[at : at + 36])


def written(content, backend=None):
    store = IPLDStore(backend)
    for key, value in content.items():
        store[key] = value
    store.freeze()
    return store


def long_content():
    """Two arrays in pages, one inlined, one value of several blocks, one linked document."""
    content = {f"long/{i}.{j}": b"%d %d" % (i, j) for i in range(90) for j in range(80)}
    content |= {f"group/other/c/{i}": b"other %d" % i for i in range(300)}
    content |= {"group/zarr.json": b'{"a":1}', "group/small/0": b"small", "file": FILE}
    content["group/other/zarr.json"] = b'{"text":"%s"}' % (b"x" * 9000)
    return content


@pytest.fixture(scope="module")
def long_store():
    return written(long_content())


def pushed(store, old_archive, since, **options):
    """Return the CIDs sent, and a store that had the older root and was sent the archive."""
    other = IPLDStore.from_car(old_archive)
    archive = store.to_car(since=since, **options)
    other.import_car(archive)
    return cids_in(archive)[0], other


def test_since_one_chunk_ago():
    store = written(long_content())
    since, old = store.root_cid, store.to_car()
    store["long/40.7"] = b"changed"
    root = store.freeze()
    sent, other = pushed(store, old, since)
    assert not set(sent) & set(cids_in(old)[0])
    assert len(sent) <= 4
    assert sent[0] == root
    assert other.root_cid == root
    assert dict(other) == long_content() | {"long/40.7": b"changed"}


def test_since_loads_little():
    backend = CountingStore()
    store = written(long_content(), backend)
    since = store.root_cid
    store["long/40.7"] = b"changed"
    store.freeze()
    backend.loads = 0
    store.to_car(since=since)
    assert backend.loads <= 12


class CountingStore(MappingCAStore):
    loads = 0

    def get_raw(self, cid):
        self.loads += 1
        return super().get_raw(cid)


@pytest.mark.parametrize("spelling", [str, bytes, lambda cid: cid])
def test_since_the_same_root_is_a_header_alone(long_store, spelling):
    archive = long_store.to_car(since=spelling(long_store.root_cid))
    cids, root = cids_in(archive)
    assert cids == []
    assert root == long_store.root_cid
    assert IPLDStore(long_store.backend).import_car(archive) == root


def test_without_the_older_root_it_is_incomplete():
    store = written({"a/0": b"old", "b": b"kept"})
    since = store.root_cid
    store["a/0"] = b"new"
    archive = store.to_car(since=since)
    other = IPLDStore()
    with pytest.raises(BlockNotFoundError, match="incomplete"):
        other.import_car(archive)
    assert not other


def test_since_a_root_that_is_not_there():
    store, stranger = written({"a": b"1"}), written({"b": b"2"})
    with pytest.raises(BlockNotFoundError):
        store.to_car(since=stranger.root_cid)


def test_since_leaves_out_parts_of_files():
    store = written({"file": FILE})
    since, old = store.root_cid, store.to_car()
    store["file"] = FILE + b"more"
    store.freeze()
    sent, other = pushed(store, old, since)
    assert [cid.codec.name for cid in sent] == ["dag-cbor", "dag-pb", "raw"]
    assert other["file"] == FILE + b"more"


keys = st.sampled_from([f"{a}/{i}" for a in ("a", "b/c", "b/d", "e") for i in range(6)])
contents = st.dictionaries(keys, st.integers(0, 9).map(lambda i: bytes([i]) * 3), max_size=16)


@settings(max_examples=60, deadline=None)
@given(contents, contents)
def test_since_any_root_completes(before, after):
    backend = MappingCAStore()
    old, new = written(before, backend), written(after, backend)
    sent, other = pushed(new, old.to_car(), old.root_cid)
    assert other.root_cid == new.root_cid
    assert dict(other) == dict(new)
    assert set(sent).isdisjoint(cids_in(old.to_car())[0])


@pytest.mark.parametrize(
    "path", ["group", "group/", "group/small", "group/other", "group/other/c", "long"]
)
def test_path_is_a_root_of_its_own(long_store, path):
    prefix = path.rstrip("/") + "/"
    part = {k.removeprefix(prefix): v for k, v in long_content().items() if k.startswith(prefix)}
    alone = written(part)
    archive = long_store.to_car(path=path)
    assert archive == alone.to_car()
    other = IPLDStore.from_car(archive)
    assert dict(other) == part
    assert other.root_cid == alone.root_cid


def test_path_of_an_inlined_directory_is_golden():
    """The root {"0": 'hello' as a raw block}, whose 44 bytes are written out by hand."""
    hello = hashlib.sha256(b"hello").digest()
    node = b"\xa1\x610\xd8\x2a\x58\x25\x00\x01\x55\x12\x20" + hello
    store = written({"group/array/0": b"hello", "other": b"x"})
    blocks = dict(store.backend.mapping)
    archive = store.to_car(path="group/array")
    cids, root = cids_in(archive)
    assert [cid.raw_digest for cid in cids] == [hashlib.sha256(node).digest(), hello]
    assert node in archive
    assert root == cids[0]
    assert store.backend.mapping == blocks


def test_path_to_a_stream(long_store):
    stream = io.BytesIO()
    size = long_store.to_car(stream, path="group")
    assert stream.getvalue() == long_store.to_car(path="group")
    assert size == len(stream.getvalue())


@pytest.mark.parametrize("path", ["", "/"])
def test_path_of_all(long_store, path):
    assert long_store.to_car(path=path) == long_store.to_car()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file", "is a value"),
        ("group/zarr.json", "is a value"),
        ("none", "no group or array"),
        ("group/none/more", "no group or array"),
        ("file/more", "no group or array"),
        ("/group", "slash"),
        ("a//b", "slash"),
        ("../a", "not allowed"),
    ],
)
def test_path_of_no_directory(long_store, tmp_path, path, message):
    with pytest.raises(InvalidKeyError, match=message) as caught:
        long_store.to_car(tmp_path / "a.car", path=path)
    assert not isinstance(caught.value, KeyError)
    assert list(tmp_path.iterdir()) == []


def test_path_and_since():
    store = written(long_content())
    since, old = store.root_cid, store.to_car()
    store["group/other/c/7"] = b"changed"
    store.freeze()
    sent, other = pushed(store, old, since, path="group/other")
    assert set(sent).isdisjoint(cids_in(old)[0])
    assert len(sent) == 3
    assert other["c/7"] == b"changed"
    assert len(other) == 301


def test_path_of_a_root_in_an_older_form():
    """A directory that an older root inlines although it is long becomes the canonical root."""
    import dag_cbor

    content = {f"{i}": b"%d" % i for i in range(300)}
    backend = MappingCAStore()
    entries = {key: backend.put(value) for key, value in content.items()}
    root = backend.put({"a": {"b": entries}})
    assert len(dag_cbor.encode(entries)) > 8 << 10
    store = IPLDStore(backend, root=root)
    assert store.to_car(path="a") == written({f"b/{k}": v for k, v in content.items()}).to_car()
    assert store.root_cid == root


def test_unfrozen_changes_are_in_it():
    store = written({"a/0": b"0"})
    store["a/1"] = b"1"
    assert dict(IPLDStore.from_car(store.to_car(path="a"))) == {"0": b"0", "1": b"1"}
