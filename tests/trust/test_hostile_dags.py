"""DAGs of others: too deep, expanding without end, and names that are no file names."""

import asyncio
import itertools
import os
import tempfile
import unicodedata

import pytest
from contained import run_contained
from hostile_blocks import field, file_node, pb_link
from multiformats import CID, multihash

import ipldstore
from ipldstore import (
    InvalidNodeError,
    IPLDStore,
    LimitExceededError,
    MappingCAStore,
)
from ipldstore.cid import as_link
from ipldstore.cli.work.get import write_folder
from ipldstore.dag import iter_dag
from ipldstore.limits import MAX_DOCUMENT_BYTES, MAX_PB_BYTES
from ipldstore.model.differences import iter_differences
from ipldstore.references import references
from ipldstore.store.async_access import read_value_async
from ipldstore.store.values import read_value
from ipldstore.tree.tree import Tree
from ipldstore.unixfs import file as unixfs_file


def cid_of(data, codec="dag-cbor"):
    return CID("base32", 1, codec, multihash.digest(data, "sha2-256"))


LEAF = cid_of(b"x", "raw")


@pytest.fixture
def backend():
    backend = MappingCAStore()
    backend.put(b"x")
    return backend


CHAIN = """
import ipldstore
from ipldstore.formats.cidobject import to_cid
from ipldstore import InvalidNodeError, IPLDStore, MappingCAStore

backend = MappingCAStore()


def chain(length, end):
    link = backend.put_raw(end, "raw")
    for _ in range(length):
        link = backend.put_raw(b"\\xa1\\x61a\\xd8\\x2a\\x58\\x25\\x00" + link, "dag-cbor")
    return to_cid(link)


cid, other = chain(5000, b"x"), chain(200, b"y")


def opened():
    return IPLDStore(backend, root=cid)


archive = opened().to_car()
assert len(archive) > 5000 * 40
assert IPLDStore.from_car(archive).root_cid == cid
target = MappingCAStore()
assert ipldstore.copy_root(cid, backend, target).blocks == 5001
assert len(target.mapping) == 5001
assert "a" not in opened()
assert "a/" * 126 + "a" not in opened()

for use in (
    lambda: list(opened()),
    lambda: len(opened()),
    lambda: dict(opened()),
    lambda: opened().normalize(),
    lambda: opened().to_unixfs(),
    lambda: ipldstore.info(cid, backend),
    lambda: list(ipldstore.diff(cid, other, blocks=backend)),
    lambda: list(ipldstore.diff(IPLDStore(), opened())),
    lambda: ipldstore.copy(opened(), {}),
):
    try:
        use()
    except InvalidNodeError as error:
        print("128 levels" in str(error))

store = opened()
store["b"] = b"new"
assert IPLDStore(backend, root=store.freeze())["b"] == b"new"
store["a/b"] = b"new"
store.freeze()
del store["a/b"]
assert "a/" * 20 + "a" not in store
"""


def test_a_chain_of_5000_in_a_small_stack():
    assert run_contained(CHAIN).split() == ["True"] * 9


@pytest.fixture
def bomb(backend):
    """A root of 41 blocks: forty directories of two names each, 2^40 keys."""
    cid = LEAF
    for _ in range(40):
        cid = backend.put({"a": cid, "b": cid})
    assert len(backend.mapping) == 41
    return cid


def test_a_bomb_is_read_and_copied_by_its_blocks(backend, bomb):
    store = IPLDStore(backend, root=bomb)
    key = "/".join("a" * 40)
    assert store[key] == b"x"
    assert next(iter(store)) == key
    assert len(set(itertools.islice(store, 1000))) == 1000
    archive = store.to_car()
    assert len(archive) < 41 * 200
    assert IPLDStore.from_car(archive)[key] == b"x"
    assert ipldstore.copy_root(bomb, backend, MappingCAStore()).blocks == 41
    store["/".join("b" * 40)] = b"y"
    root = store.freeze()
    changes = list(ipldstore.diff(bomb, root, blocks=backend))
    assert [change.key for change in changes] == ["/".join("b" * 40)]


def change_two(backend, bomb):
    """Return a bomb that differs from another in every key, and one that differs in none."""
    cid, same = backend.put(b"y"), LEAF
    for level in range(40):
        cid = backend.put({"a": cid, "b": cid})
        # not canonical where it is inlined two levels at a time, so it has other blocks
        same = backend.put({"a": same, "b": same}) if level == 39 else {"a": same, "b": same}
        if level % 2 and level < 39:
            same = backend.put(same)
    return cid, same


def references_of_bomb(backend, root):
    with tempfile.TemporaryDirectory() as folder:
        IPLDStore(backend, root=root).to_car(f"{folder}/x.car")
        return references(f"{folder}/x.car")


WHOLE = {
    "iter": lambda backend, root: list(IPLDStore(backend, root=root)),
    "len": lambda backend, root: len(IPLDStore(backend, root=root)),
    "normalize": lambda backend, root: IPLDStore(backend, root=root).normalize(),
    "to_unixfs": lambda backend, root: IPLDStore(backend, root=root).to_unixfs(),
    "info": lambda backend, root: ipldstore.info(root, backend),
    "references": references_of_bomb,
    "copy": lambda backend, root: ipldstore.copy(IPLDStore(backend, root=root), {}),
    "diff": lambda backend, root: list(
        ipldstore.diff(root, change_two(backend, root)[0], blocks=backend)
    ),
    "diff of equal content": lambda backend, root: list(
        ipldstore.diff(root, change_two(backend, root)[1], blocks=backend)
    ),
    "diff to nothing": lambda backend, root: list(
        ipldstore.diff(IPLDStore(backend), IPLDStore(backend, root=root))
    ),
}


def lower(monkeypatch, number):
    """Set the limits on keys low enough to be reached in no time."""
    for walk in (Tree.iter_entries, iter_differences):
        monkeypatch.setitem(walk.__kwdefaults__, "max_keys", number)
    for module in ("store.plain", "store.writer", "store.reader", "references", "model.values"):
        monkeypatch.setattr(f"ipldstore.{module}.MAX_HELD_KEYS", number)


@pytest.mark.parametrize("way", WHOLE)
def test_a_bomb_ends_at_a_limit(monkeypatch, backend, bomb, way):
    lower(monkeypatch, 1000)
    with pytest.raises(LimitExceededError, match=r"more than 1,?000 |stand for 1,099,511,627,776 "):
        WHOLE[way](backend, bomb)


def test_limits_do_not_touch_what_is_within(monkeypatch, backend):
    lower(monkeypatch, 1000)
    store = IPLDStore(backend)
    store.update({f"a/{number}": b"x" for number in range(999)})
    root = store.freeze()
    assert len(store) == 999
    assert store.normalize() == root
    assert len(list(ipldstore.diff(IPLDStore(backend), store))) == 999
    assert IPLDStore.from_unixfs(store.to_unixfs(), backend).root_cid == root


def test_pages_that_loop_by_name(backend):
    """A page list that has itself, or a page twice, under further names cannot be made to fit."""
    page = backend.put({"1": LEAF})
    for pages in ([["1", page], ["2", page]], [["1", page], ["1", page]], [["2", page]]):
        store = None
        with pytest.raises(InvalidNodeError):
            store = IPLDStore(backend, root=backend.put(pages))
            list(store)
        if store is not None:
            with pytest.raises(InvalidNodeError):
                _ = store["2"]


@pytest.mark.parametrize("name", ["zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"])
def test_a_link_where_a_document_should_be(backend, name):
    root = backend.put({name: {"a": [LEAF]}})
    with pytest.raises(InvalidNodeError, match="a link"):
        IPLDStore(backend, root=root)
    linked = backend.put({"a": LEAF})
    store = IPLDStore(backend, root=backend.put({name: linked}))
    with pytest.raises(InvalidNodeError, match="a link"):
        _ = store[name]


# Files of UnixFS


def keep(backend, block):
    backend.put_block(as_link(cid_of(block, "dag-pb")), block)
    return cid_of(block, "dag-pb")


def read_async(backend, root, cut=None):
    return asyncio.run(read_value_async(backend, as_link(root), cut))


READS = [lambda backend, root, cut=None: read_value(backend, as_link(root), cut), read_async]


@pytest.fixture(params=READS, ids=["sync", "async"])
def read(request):
    return request.param


@pytest.fixture
def wide(backend):
    """A file of a petabyte, made of one megabyte and four blocks."""
    size = 1 << 20
    cid = backend.put(bytes(size))
    for _ in range(3):
        cid, size = keep(backend, file_node([cid] * 1000, [size] * 1000)), size * 1000
    return cid, size


def test_a_file_that_claims_a_petabyte(read, backend, wide):
    root, size = wide
    with pytest.raises(LimitExceededError, match=f"{size} bytes of a file"):
        read(backend, root)
    assert bytes(read(backend, root, lambda size: (size - 9, size))) == bytes(9)


def test_the_same_file_elsewhere(monkeypatch, backend, wide):
    monkeypatch.setattr(unixfs_file, "MAX_FILE_LEAVES", 1000)
    root, _ = wide
    directory = keep(backend, field(2, pb_link(root, b"f")) + field(1, b"\x08\x01"))
    store = IPLDStore(backend, root=backend.put({"f": root}))
    for use in (
        lambda: store["f"],
        lambda: dict(store),
        store.to_unixfs,
        lambda: IPLDStore.from_unixfs(directory, backend),
    ):
        with pytest.raises(LimitExceededError):
            use()


def test_empty_parts_that_expand_without_end(read, backend):
    """Ten levels of a thousand links each to nothing: what holds no content is not looked into."""
    first, empty = backend.put(b"a"), cid_of(b"", "raw")
    for _ in range(7):
        empty = keep(backend, file_node([empty] * 1000, [0] * 1000))
    root = keep(backend, file_node([first, *[empty] * 1000, first], [1, *[0] * 1000, 1]))
    assert bytes(read(backend, root)) == b"aa"


def test_parts_are_limited(monkeypatch, read, backend):
    monkeypatch.setattr(unixfs_file, "MAX_VALUE_PARTS", 100)
    one = backend.put(b"a")
    fits = keep(backend, file_node([one] * 100, [1] * 100))
    assert bytes(read(backend, fits)) == b"a" * 100
    inner = keep(backend, file_node([one] * 10, [1] * 10))
    more = keep(backend, file_node([inner] * 10, [10] * 10))
    with pytest.raises(LimitExceededError, match="more than 100 parts"):
        read(backend, more)


def test_decoding_a_block_again_and_again_is_limited(monkeypatch, read, backend):
    """A few megabytes of links that a hundred thousand others lead to take hours to decode."""
    monkeypatch.setattr(unixfs_file, "MAX_VALUE_NODE_BYTES", 1 << 20)
    one = backend.put(b"a")
    inner = keep(backend, file_node([one, *[cid_of(b"", "raw")] * 2000], [1, *[0] * 2000]))
    root = keep(backend, file_node([inner] * 100, [1] * 100))
    with pytest.raises(LimitExceededError, match="more than 1048576 bytes"):
        read(backend, root)


def test_a_leaf_that_is_longer_than_announced(read, backend):
    long = backend.put(bytes(10_000))
    root = keep(backend, file_node([long, long], [1, 9999]))
    with pytest.raises(InvalidNodeError, match=r"10000 bytes of content, (1|9999) announced"):
        read(backend, root)


def test_a_file_deeper_than_eight_levels(read, backend):
    cid = backend.put(b"a")
    for _ in range(10):
        cid = keep(backend, file_node([cid], [1]))
    with pytest.raises(InvalidNodeError, match="more than 8 levels"):
        read(backend, cid)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x08\x02\x18\x05",
        b"\x08\x02\x20\x01",
        b"\x08\x01",
        b"\x08\x04",
        b"\x08\x05",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x08" + b"\xff" * 10,
        b"\x12\xff\xff\xff\xff\x0f",
        b"\x0b\x08\x02\x0c",
        b"\xff" * 9,
    ],
)
def test_payloads_that_are_no_file(read, backend, payload):
    root = keep(backend, field(1, payload))
    with pytest.raises(InvalidNodeError, match=str(root)):
        read(backend, root)


def dag_pb(backend, link):
    return keep(backend, field(2, link) + field(1, b"\x08\x02\x18\x01\x20\x01"))


@pytest.mark.parametrize(
    "link",
    [
        b"",
        field(2, b"name"),
        field(1, bytes(LEAF)) * 2,
        field(1, 7),
        field(1, b""),
        field(1, bytes(LEAF) + b"x"),
        field(1, bytes(LEAF)[:-1]),
        b"\x0a\xff",
        b"\xff" * 12,
    ],
)
def test_links_of_a_file_that_are_none(read, backend, link):
    root = dag_pb(backend, link)
    with pytest.raises(InvalidNodeError, match=str(root)):
        read(backend, root)
    with pytest.raises(InvalidNodeError, match=str(root)):
        list(iter_dag(as_link(root), backend.get_block))


def test_blocks_of_a_file_are_limited(read, backend):
    root = keep(backend, field(1, bytes(MAX_PB_BYTES)))
    with pytest.raises(InvalidNodeError, match=f"at most {MAX_PB_BYTES}"):
        read(backend, root)
    assert len(as_link(root)) == 36


def test_documents_are_limited(backend):
    text = "x" * MAX_DOCUMENT_BYTES
    with pytest.raises(InvalidNodeError, match=f"at most {MAX_DOCUMENT_BYTES}"):
        IPLDStore(backend, root=backend.put({".zattrs": {"a": text}}))
    store = IPLDStore(backend, root=backend.put({".zattrs": backend.put({"a": text})}))
    with pytest.raises(InvalidNodeError, match=f"at most {MAX_DOCUMENT_BYTES}"):
        _ = store[".zattrs"]


def test_codecs_whose_links_are_not_known(backend):
    foreign = backend.put({"a": cid_of(b"{}", "dag-json")})
    with pytest.raises(InvalidNodeError, match="no codec for it"):
        IPLDStore(backend, root=foreign)
    backend.mapping[str(cid_of(b"{}", "dag-json"))] = b"{}"
    with pytest.raises(InvalidNodeError, match="cannot follow the links"):
        ipldstore.copy_root(foreign, backend, MappingCAStore())


# Names

ODD = [
    "CON",
    "nul.txt",
    "a.",
    "a ",
    " a",
    "a",
    "A",
    unicodedata.normalize("NFC", "é"),
    unicodedata.normalize("NFD", "é"),
    "ﬁ",
    "fi",
    "C:",
    "c:\\windows",
    "..\\..\\x",
    "...",
    "~",
    "-rf",
    "*",
    "[a]",
    "?",
    "%2e%2e",
    "%00",
    "a\nb",
    "\x1b[2J",
    "\u202egnp.exe",
    "file:",
    "a#b",
    "x" * 200,
]


@pytest.fixture
def odd():
    store = IPLDStore()
    for number, name in enumerate(ODD):
        store[f"d/{name}"] = b"%d" % number
    store.freeze()
    return store


EXPECTED = {f"d/{name}": b"%d" % number for number, name in enumerate(ODD)}


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write_by_command(store, folder):
    write_folder(store, folder)


def write_by_fsspec(store, folder):
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("ipld", blocks=store.backend, skip_instance_cache=True)
    files.get(f"{store.root_cid}/", str(folder), recursive=True)


def write_by_copying(store, folder):
    import zarr

    if zarr.__version__.startswith("2."):
        target = zarr.storage.DirectoryStore(folder, normalize_keys=False)
    else:
        target = zarr.storage.LocalStore(folder)
    ipldstore.copy(store, target)


WRITERS = [write_by_command, write_by_fsspec, write_by_copying]


@pytest.mark.skipif(os.name != "posix", reason="other systems refuse some of these names")
@pytest.mark.parametrize("write", WRITERS)
def test_odd_names_are_files_of_their_own(odd, tmp_path, write):
    """On a file system that tells them apart, each key is one file, within the folder."""
    (tmp_path / "in").mkdir()
    write(odd, tmp_path / "in" / "out")
    assert files_in(tmp_path / "in" / "out") == EXPECTED
    assert os.listdir(tmp_path) == ["in"]
    assert os.listdir(tmp_path / "in") == ["out"]


def test_odd_names_are_plain_files(odd):
    copy = IPLDStore.from_unixfs(odd.to_unixfs(), odd.backend)
    assert copy.root_cid == odd.root_cid
    assert dict(copy) == EXPECTED


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "name", ["..", ".", "", "/etc/x", "../x", "a/../../x", "a\0", "a/", "//x", "x" * 1025]
)
def test_names_that_lead_elsewhere_are_refused(backend, tmp_path, write, name):
    inner = backend.put({name: LEAF})
    root = backend.put({"a": LEAF, "d": inner})
    store = IPLDStore(backend, root=root)
    (tmp_path / "in").mkdir()
    with pytest.raises(InvalidNodeError, match=str(inner)):
        write(store, tmp_path / "in" / "out")
    with pytest.raises(InvalidNodeError, match=str(inner)):
        store.to_unixfs()
    assert os.listdir(tmp_path) == ["in"]
    assert set(os.listdir(tmp_path / "in")) <= {"out"}
    assert files_in(tmp_path / "in").keys() <= {"out/a"}


def test_two_keys_that_are_one_path_are_not_written_over_each_other(odd, tmp_path):
    """As on a file system without case: the file of the second key is there already."""

    class Folding:
        def __iter__(self):
            return iter(["d/a", "d/a"])

        def __getitem__(self, key):
            return odd[key]

    with pytest.raises(FileExistsError):
        write_folder(Folding(), tmp_path / "out")
    assert files_in(tmp_path / "out") == {"d/a": EXPECTED["d/a"]}


@pytest.mark.parametrize("write", WRITERS)
def test_names_too_long_for_a_file(tmp_path, write):
    store = IPLDStore()
    store["d/" + "x" * 1000] = b"x"
    store.freeze()
    with pytest.raises(OSError, match="too long"):
        write(store, tmp_path / "out")


# Chunks: what the libraries that decode them do


PICKLED = """
import json, os, pickle
import zarr
from ipldstore import IPLDStore


class Evil:
    def __reduce__(self):
        return print, ("run",)


store = IPLDStore()
store[".zgroup"] = b'{"zarr_format":2}'
store["a/.zarray"] = json.dumps({
    "zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "compressor": None,
    "fill_value": None, "order": "C", "filters": [{"id": "pickle", "protocol": 5}],
}).encode()
store["a/0"] = pickle.dumps(Evil())
try:
    zarr.open(store, mode="r")["a"][:]
except Exception as error:
    print("refused")
"""


def test_zarr_unpickles_no_chunks():
    assert run_contained(PICKLED, memory=8 << 30, stack=8 << 20).split() == ["refused"]
