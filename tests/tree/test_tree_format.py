"""The tree's blocks: golden ones, where a node stands, and which are refused."""

import dag_cbor
import pytest
from format_model import cid_of, expected_root
from multiformats import CID, multihash
from small_pages import shrink

from ipldstore import InvalidNodeError, IPLDStore
from ipldstore.tree.encode import Encoder
from ipldstore.tree.nodes import Directory, PageList

CHUNK = cid_of(b"chunk")
FOLDER = {"0": CHUNK}
CHUNK_LINK = "d82a582500015512206c87f68371b28954707ebb92afee7ccffb74c6f71ec8fea8a98cf6104289585b"


def written(content):
    store = IPLDStore()
    store.update(content)
    store.freeze()
    return store


def root_block(store):
    return store.backend.get_block(store.root_cid)


def put_node(store, value):
    """Put a DAG-CBOR block, also of what `ContentAddressableStore.put` takes for raw bytes."""
    return CID.decode(str(store.backend.put_raw(dag_cbor.encode(value), "dag-cbor")))


@pytest.mark.parametrize(
    ("content", "block", "root"),
    [
        ({}, "a0", "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"),
        (
            {"a/0": b"chunk"},
            "a1 6161 a1 6130" + CHUNK_LINK,
            "bafyreieyzoqqgs3l3tinb3llbqke53v2i52plrc67tdqih2ddciwjaqrh4",
        ),
        (
            {".zgroup": b'{"zarr_format": 2}', ".zattrs": b"{}"},
            "a2 672e7a6174747273 a0 672e7a67726f7570 a1 6b7a6172725f666f726d6174 02",
            "bafyreiesbxew56oiqufnnznpx7ef2a4xzdknq46vfibvn43cih6isbfiaa",
        ),
        (
            {"zarr.json": b'{"node_type": "array", "shape": [1]}', "c/0/0": b""},
            "a2 6163 a1 6130 a1 6130 d82a582500015512"
            "20e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            "69 7a6172722e6a736f6e a2 657368617065 81 01 696e6f64655f74797065 656172726179",
            "bafyreigijjuknywoqrlg6cbdslwlbgzlr72sskx4s5sz7oafyhsvgxmkpm",
        ),
    ],
)
def test_golden_roots(content, block, root):
    store = written(content)
    assert root_block(store) == bytes.fromhex(block)
    assert str(store.root_cid) == root
    assert expected_root(content) == root


def test_a_directory_of_8_kib_is_inlined_and_a_larger_one_linked():
    content = {f"d/{index:03}": b"chunk" for index in range(182)}
    node = {f"{index:03}": CHUNK for index in range(182)}
    assert len(dag_cbor.encode(node)) == 8192
    store = written(content)
    assert dag_cbor.decode(root_block(store)) == {"d": node}

    content["d/0000"] = content.pop("d/000")
    node["0000"] = node.pop("000")
    assert len(dag_cbor.encode(node)) == 8193
    store = written(content)
    link = cid_of(dag_cbor.encode(node), "dag-cbor")
    assert dag_cbor.decode(root_block(store)) == {"d": link}
    assert store.backend.get_block(link) == dag_cbor.encode(node)
    assert str(store.root_cid) == expected_root(content)


def test_inlined_subdirectories_count_in_their_parent():
    content = {f"d/{index // 60}/{index % 60}": b"chunk" for index in range(240)}
    store = written(content)
    (link,) = dag_cbor.decode(root_block(store)).values()
    assert all(isinstance(item, dict) for item in store.backend.get(link).values())
    assert str(store.root_cid) == expected_root(content)


def nested(levels):
    node = CHUNK
    for _ in range(levels):
        node = {"a": node}
    return node


@pytest.mark.parametrize("levels", [31, 32])
def test_a_directory_of_32_levels_is_inlined(levels):
    store = written({"d/" + "a/" * (levels - 1) + "a": b"chunk"})
    assert dag_cbor.decode(root_block(store)) == {"d": nested(levels)}


@pytest.mark.parametrize("above", [0, 1, 2])
def test_a_directory_of_33_levels_is_linked(above):
    store = written({"d/" + "a/" * (32 + above) + "a": b"chunk"})
    node = dag_cbor.decode(root_block(store))["d"]
    for _ in range(above):
        node = node["a"]
    assert node == cid_of(dag_cbor.encode(nested(33)), "dag-cbor")


@pytest.mark.parametrize("levels", [33, 64, 65, 100, 127, 128])
def test_deep_hierarchies(levels):
    content = {"a/" * (levels - 1) + "a": b"chunk", "b": b""}
    store = written(content)
    assert str(store.root_cid) == expected_root(content)
    assert dict(IPLDStore(store.backend, root=store.root_cid).items()) == content


def test_a_document_nests_its_directory_deeper():
    document = b'{"a":' + b"[" * 30 + b"]" * 30 + b"}"
    for key, linked in [("d/.zattrs", False), ("d/e/.zattrs", True)]:
        store = written({key: document})
        assert isinstance(dag_cbor.decode(root_block(store))["d"], CID) == linked
        assert str(store.root_cid) == expected_root({key: document})


@pytest.mark.parametrize("count", [5_500, 5_700])
def test_long_directories_are_paged(count):
    """The list of pages is what a second reading of the specification gives."""
    content = {f"{index // 100}.{index % 100}": b"chunk" for index in range(count)}
    store = written(content)
    node = dag_cbor.decode(root_block(store))
    assert isinstance(node, list) == (count > 5_500)
    assert str(store.root_cid) == expected_root(content)


NESTED_32 = {"a": 0}
for _ in range(31):
    NESTED_32 = {"a": NESTED_32}

BAD_NODES = {
    "null": None,
    "number": 1,
    "text": "a",
    "bytes": b"a",
    "link": CHUNK,
    "empty list": [],
    "list of numbers": [1],
    "list of links": [CHUNK],
    "list of raw pages": [["0", CHUNK]],
    "page with three parts": [["0", cid_of(b"\xa0", "dag-cbor"), 1]],
    "page without text": [[0, cid_of(b"\xa0", "dag-cbor")]],
    "pages out of order": [["1", cid_of(b"\xa0", "dag-cbor")], ["0", cid_of(b"", "dag-cbor")]],
    "empty subdirectory": {"a": {}},
    "empty directory deep down": {"a": {"b": {}, "c": CHUNK}},
    "empty page list below": {"a": []},
    "document that is a number": {".zattrs": 1},
    "document that is null": {".zgroup": None},
    "document that is a list": {"zarr.json": []},
    "document that is text": {".zarray": "{}"},
    "document that is bytes": {".zmetadata": b"{}"},
    "document with a link": {".zattrs": {"a": [CHUNK]}},
    "document with bytes": {"a": {".zattrs": {"b": b""}}},
    "document with a small integer": {".zattrs": {"a": -(2**63) - 1}},
    "document of 32 levels": {".zattrs": NESTED_32},
    "value that is a number": {"a": 1},
    "value that is null": {"a": None},
    "value that is a truth value": {"a": True},
    "value that is a float": {"a": 0.5},
    "value that is text": {"a": "b"},
    "value that is bytes": {"a": b"chunk"},
    "link to dag-json": {"a": cid_of(b"{}", "dag-json")},
    "CIDv0": {"a": CID.decode("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn")},
    "link to git": {"a": cid_of(b"", "git-raw")},
    "document link to dag-json": {".zattrs": cid_of(b"{}", "dag-json")},
    "empty segment": {"": CHUNK},
    "dot": {".": CHUNK},
    "two dots": {"a": {"..": CHUNK}},
    "slash": {"a/b": CHUNK},
    "NUL": {"a\0": CHUNK},
    "long segment": {"é" * 513: CHUNK},
    "bad segment beside a good one": {"a": CHUNK, "": {"b": CHUNK}},
}


@pytest.mark.parametrize("node", BAD_NODES.values(), ids=BAD_NODES)
def test_bad_nodes_are_refused(node):
    """As a root; and in a block of its own below one, where a key never seems to be missing."""
    store = written({"x": b"value"})
    root = store.root_cid
    link = put_node(store, node)
    with pytest.raises(InvalidNodeError, match=str(link)):
        store.set_root(link)
    with pytest.raises(InvalidNodeError, match=str(link)):
        IPLDStore(store.backend, root=link)
    assert store.root_cid == root
    assert dict(store.items()) == {"x": b"value"}

    store.set_root(store.backend.put({"d": link, "y": CHUNK, "x": cid_of(b"value")}))
    assert store["x"] == b"value"
    for use in (
        lambda: store["d/x"],
        lambda: store.get("d/x"),
        lambda: "d/x" in store,
        lambda: list(store),
        lambda: store.__setitem__("d/x", b""),
        lambda: store.__delitem__("d/x"),
        store.normalize,
    ):
        with pytest.raises(InvalidNodeError, match=str(link)) as caught:
            use()
        assert not isinstance(caught.value, KeyError)


def test_an_empty_subdirectory_in_a_block_is_refused():
    store = IPLDStore()
    empty = store.backend.put({})
    store.set_root(empty)
    assert not store
    store.set_root(store.backend.put({"d": empty}))
    with pytest.raises(InvalidNodeError, match="empty directory"):
        list(store)


@pytest.mark.parametrize("codec", ["raw", "dag-pb", "dag-json"])
def test_roots_of_other_codecs_are_refused(codec):
    store = IPLDStore()
    link = cid_of(dag_cbor.encode(FOLDER), codec)
    store.backend.mapping[str(link)] = dag_cbor.encode(FOLDER)
    with pytest.raises(InvalidNodeError, match="expected 0x71 \\(dag-cbor\\)"):
        store.set_root(link)
    assert store.root_cid is None


@pytest.mark.parametrize("data", [b"", b"\xa1", b"\xa1\x61a\x18\x01", b"\xa0\xa0", b"\xbf\xff"])
def test_blocks_that_are_not_canonical_are_refused(data):
    store = IPLDStore()
    with pytest.raises(InvalidNodeError, match="byte"):
        store.set_root(store.backend.put_raw(data, "dag-cbor"))


@pytest.mark.parametrize("value", [[1], "text", {"a": CHUNK}, {"a": b""}, NESTED_32])
def test_linked_documents_are_checked_when_read(value):
    store = IPLDStore()
    document = put_node(store, value)
    store.set_root(store.backend.put({".zattrs": document}))
    assert list(store) == [".zattrs"]
    with pytest.raises(InvalidNodeError, match=str(document)):
        store[".zattrs"]


def test_a_link_to_a_directory_is_no_value_and_a_linked_document_is():
    store = IPLDStore()
    folder = store.backend.put(FOLDER)
    document = store.backend.put({"a": 1})
    root = store.backend.put({"d": folder, ".zattrs": document, "e": {".zgroup": document}})
    store.set_root(root)
    assert "d" not in store
    with pytest.raises(KeyError):
        store["d"]
    assert set(store) == {"d/0", ".zattrs", "e/.zgroup"}
    assert store[".zattrs"] == store["e/.zgroup"] == b'{"a":1}'
    assert store.freeze() == root


def test_identity_links_are_read_and_not_written():
    def identity(data, codec):
        return CID("base32", 1, codec, multihash.digest(data, "identity"))

    store = IPLDStore()
    folder = identity(dag_cbor.encode({"0": identity(b"abc", "raw")}), "dag-cbor")
    document = identity(dag_cbor.encode({"a": 1}), "dag-cbor")
    root = store.backend.put({"d": folder, ".zattrs": document, "v": identity(b"xyz", "raw")})
    store.set_root(root)
    assert dict(store.items()) == {"d/0": b"abc", ".zattrs": b'{"a":1}', "v": b"xyz"}
    assert store.freeze() == root
    store["d/0"], store["v"], store[".zattrs"] = b"abd", b"xya", b'{"a":2}'
    content = {"d/0": b"abd", "v": b"xya", ".zattrs": b'{"a":2}'}
    assert str(store.freeze()) == expected_root(content)


def test_no_empty_directory_is_encoded():
    """None can come up in a tree; the encoder does not rely on that."""
    encoder = Encoder(lambda link: b"", cid_of)
    assert encoder.encode(Directory(), root=True) == (b"\xa0", 1)
    with pytest.raises(InvalidNodeError, match="an empty directory"):
        encoder.encode(Directory())
    with pytest.raises(InvalidNodeError, match="an empty directory"):
        encoder.encode(Directory({"a": Directory()}), root=True)


def test_lists_of_pages_that_became_empty(monkeypatch):
    """A directory whose lists of pages are all loaded and empty is empty."""
    shrink(monkeypatch)
    content = {f"a/b/{index}": b"x" for index in range(200)} | {"c": b"stays"}
    store = written(content)
    opened = IPLDStore(store.backend, root=store.freeze())
    assert dict(opened) == content
    pages = opened.reader.tree.find_directory(["a", "b"]).pages
    assert any(isinstance(child, PageList) for child in pages.children), "lists of lists"
    for index in range(200):
        del opened[f"a/b/{index}"]
    assert opened._list_directory("") == ["c"]
    assert opened.freeze() == written({"c": b"stays"}).freeze()


def test_deleting_all_with_little_memory(monkeypatch):
    """A page that is dropped from memory while its last key goes is not taken for more."""
    shrink(monkeypatch)
    content = {f"a/{index}": b"x" for index in range(60)}
    root = (store := written(content | {"f": b"stays"})).freeze()
    for reverse in (False, True):
        opened = IPLDStore(store.backend, root=root, cache_bytes=0)
        for key in sorted(content, reverse=reverse):
            del opened[key]
        assert opened._list_directory("") == ["f"]
        assert opened.freeze() == written({"f": b"stays"}).freeze()


def test_a_page_of_other_software_next_to_a_change():
    """It holds a directory that is too large to stand in it; that is no fault of the freeze."""
    store = written({f"a/{index}": b"v" for index in range(9_000)})
    root = store.freeze()
    top = dag_cbor.decode(store.backend.get_block(root))
    pages = (
        dag_cbor.decode(store.backend.get_block(top["a"]))
        if not isinstance(top["a"], list)
        else top["a"]
    )
    last = dag_cbor.decode(store.backend.get_block(pages[-1][1]))
    inlined = {f"{index}": last[pages[-1][0]] for index in range(300)}
    pages[-1][1] = put_node(store, last | {"9999": inlined})
    store.set_root(put_node(store, {"a": pages}))
    for index in range(2_000):
        del store[f"a/{index}"]
    content = dict(store)
    assert dict(IPLDStore(store.backend, root=store.freeze())) == content
    assert store.normalize() == written(content).freeze()
