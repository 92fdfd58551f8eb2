"""Roots that are not in the canonical form, such as the reference implementation's."""

import json

import dag_cbor
import pytest
from format_model import cid_of, expected_root
from multiformats import CID, multihash
from watched import CountingStore

from ipldstore import IPLDStore

LONG = {"values": list(range(3_000)), "title": "über"}


def nested(content):
    """Nest values as the reference implementation does: everything inlined in one block."""
    top = {}
    for key, value in content.items():
        *folders, name = key.split("/")
        node = top
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = json.loads(value) if name.startswith(".z") else cid_of(value)
    return top


def dataset(chunks):
    content = {f"t/{index // 10}.{index % 10}": b"%d" % index for index in range(chunks)}
    content |= {f"small/{index}": b"s%d" % index for index in range(3)}
    content["t/.zarray"] = b'{"shape":[100,10]}'
    content["t/.zattrs"] = json.dumps(LONG).encode()
    content[".zgroup"] = b'{"zarr_format":2}'
    content[".zmetadata"] = json.dumps({"metadata": {"t/.zattrs": LONG}}).encode()
    content["g/h/.zattrs"] = b"{}"
    return content


def opened(content):
    """Return a store that has opened such a root; the values are in the block store."""
    store = IPLDStore(CountingStore())
    for value in content.values():
        store.backend.put_raw(value, "raw")
    store.set_root(store.backend.put(nested(content)))
    store.backend.reset()
    return store


@pytest.fixture(params=[10, 1_000])
def content(request):
    return dataset(request.param)


@pytest.fixture
def old(content):
    return opened(content)


def as_json(content):
    return {
        key: json.loads(value) if key.rpartition("/")[2].startswith(".z") else value
        for key, value in content.items()
    }


def test_it_keeps_its_cid_while_untouched(old, content):
    root = old.root_cid
    assert as_json(old) == as_json(content)
    assert old.freeze() == root
    old["small/0"] = b"s0"
    assert old.root_cid == old.freeze() == root
    assert old.backend.puts.count("dag-cbor") == 0
    assert str(root) != expected_root(content)


def test_a_write_makes_it_canonical(old, content):
    content["small/0"] = old["small/0"] = b"changed"
    assert old.root_cid is None
    assert str(old.freeze()) == expected_root(content)
    assert as_json(IPLDStore(old.backend, root=old.root_cid)) == as_json(content)


def test_a_delete_makes_it_canonical(old, content):
    del old["g/h/.zattrs"], content["g/h/.zattrs"]
    assert str(old.freeze()) == expected_root(content)


def test_normalize_makes_it_canonical(old, content):
    root = old.normalize()
    assert str(root) == expected_root(content)
    assert old.root_cid == old.normalize() == root
    assert as_json(old) == as_json(content)


def test_a_block_that_is_longer_than_a_page():
    content = dataset(6_000)
    store = opened(content)
    assert store["t/7.3"] == b"73"
    assert store.freeze() == store.root_cid
    assert str(store.normalize()) == expected_root(content)
    assert store["t/7.3"] == b"73"


def test_normalize_loads_what_was_never_loaded():
    """Small directories and documents in blocks of their own, deep down."""
    content = dataset(30)
    store = IPLDStore()
    put = store.backend.put
    for value in content.values():
        put(value)
    node = nested(content)
    node["g"]["h"][".zattrs"] = put(node["g"]["h"][".zattrs"])
    node["g"] = put({"h": put(node["g"]["h"])})
    node["t"][".zarray"] = put(node["t"][".zarray"])
    node["t"] = put(node["t"])
    node[".zgroup"] = put(node[".zgroup"])
    root = put(node)

    store.set_root(root)
    assert as_json(store) == as_json(content)
    assert store.freeze() == root
    assert str(store.normalize()) == expected_root(content)
    assert as_json(store) == as_json(content)

    store.set_root(root)
    store["g/h/x"] = b""
    del store["g/h/x"]
    assert isinstance(dag_cbor.decode(store.backend.get_block(store.freeze()))["g"], dict)


def test_values_by_identity_are_normalized():
    identity = CID("base32", 1, "raw", multihash.digest(b"abc", "identity"))
    old = IPLDStore()
    old.set_root(old.backend.put({"a": identity}))
    new = IPLDStore()
    new["a"] = b"abc"
    assert old["a"] == b"abc"
    assert old.normalize() == new.freeze()
