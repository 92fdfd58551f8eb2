"""What is fuzzed: each target takes bytes that a stranger made, and may raise only typed errors."""

import json
import math
import os
import tempfile
from contextlib import suppress
from io import BytesIO
from itertools import islice

import dag_cbor
from bundles import read_bundle

from ipldstore.backends.carfile.store import CARStore
from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.cid import canonical, make_link, parse_link, parse_text, to_text, verify_block
from ipldstore.dag import iter_dag, links_of
from ipldstore.errors import (
    CodecError,
    InvalidCIDError,
    InvalidNodeError,
    IPLDStoreError,
    LimitExceededError,
)
from ipldstore.formats import dagcbor
from ipldstore.formats.car import CarReader, write_car
from ipldstore.formats.cidobject import to_cid
from ipldstore.history.commit import decode_commit
from ipldstore.history.kinds import is_commit, is_state
from ipldstore.history.state import decode_state
from ipldstore.limits import MAX_CBOR_ITEMS
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.outline import outline
from ipldstore.store.plain import read_plain
from ipldstore.tree.decode import decode_directory
from ipldstore.tree.documents import parse_json
from ipldstore.tree.keys import segments_fault
from ipldstore.tree.order import natural_key
from ipldstore.tree.packed import Packed, _read_map, _Unsure
from ipldstore.tree.tree import Tree
from ipldstore.unixfs.file import decode_file, measure_file, read_content
from ipldstore.verifying import verify
from ipldstore.views.html import to_html
from ipldstore.views.treelines import iter_tree_lines

MAX_STEPS = 500
MAX_CONTENT = 1 << 16


def fuzz_dagcbor(data: bytes) -> None:
    """Decode a block: one form is accepted, and the package dag-cbor reads the same from it."""
    value = dagcbor.decode(data)
    assert dagcbor.encode(value) == data
    try:
        theirs = dag_cbor.decode(data)
    except KeyError:  # a codec or hash function that is not in the table of multiformats
        return
    assert dag_cbor.encode(theirs) == data
    assert len(list(dagcbor.iter_links(value))) == len(_their_links(theirs))


def fuzz_history(data: bytes) -> None:
    """Read a block as a commit or state: it has one form, and is no directory."""
    link = make_link(data, "dag-cbor")
    found = decode_state(link, data) if is_state(data) else decode_commit(link, data)
    assert is_state(data) != is_commit(data)
    assert found.encode() == data
    assert "holds no directory: it is " in _directory_fault(link, data)
    with suppress(KeyError):  # a hash function that is not in the table of multiformats
        assert dag_cbor.encode(dag_cbor.decode(data)) == data


def _directory_fault(link, data: bytes) -> str:
    try:
        decode_directory(link, data, root=True)
    except InvalidNodeError as error:
        return str(error)
    return ""


def fuzz_packed(data: bytes) -> None:
    """Read a map of links without decoding it: what is taken is what the decoder reads."""
    if not data or data[0] >> 5 != 5:
        raise CodecError("no map")
    try:
        found, stop, items = _read_map(data, 0, MAX_CBOR_ITEMS, 1)
    except _Unsure:
        raise CodecError("unsure") from None
    if stop != len(data) or items < 0:
        raise CodecError("not whole")
    _check_packed(found, dagcbor.decode(data))


def _check_packed(found, whole) -> None:
    if not isinstance(found, Packed):
        assert found == whole
        return
    assert sorted(found) == sorted(whole)
    assert len(found) == len(whole)
    assert dagcbor.decode(found.encoded) == whole
    assert segments_fault(whole.keys() - found.others.keys()) is None
    keys = sorted(map(natural_key, whole))
    assert found.natural_bounds() == (keys[0], keys[-1])
    entries = dict(found.items())
    for name, entry in whole.items():
        _check_packed(found.get(name), entry)
        _check_packed(entries[name], entry)


def _their_links(value) -> list[object]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [link for item in value for link in _their_links(item)]
    return [value] if type(value).__name__ == "CID" else []


def fuzz_cid(data: bytes) -> None:
    """Read a CID: from its text and from its bytes, there is one spelling of it in here."""
    try:
        link = canonical(parse_link(data))
    except IPLDStoreError:
        link = parse_text(data.decode("utf-8", "surrogateescape"))
    text = to_text(link)
    assert parse_text(text) == link
    with suppress(InvalidCIDError):  # not in the table of multiformats
        assert bytes(to_cid(link)) == link


def fuzz_car(data: bytes) -> None:
    """Read an archive: what comes out of it hashes right and can be written and read again."""
    reader = CarReader(BytesIO(data))
    blocks = list(reader)
    for link, block in blocks:
        verify_block(link, block)
    if reader.roots:
        again = BytesIO()
        write_car(again, reader.roots[0], blocks)
        again.seek(0)
        assert list(CarReader(again)) == blocks


def fuzz_carfile(data: bytes) -> None:
    """Open an archive as a block store, through its index if it has one, and read all of it."""
    with tempfile.NamedTemporaryFile(dir=_MEMORY, suffix=".car") as file:
        file.write(data)
        file.flush()
        with CARStore(file.name, read_only=True) as archive:
            links = [link for link, _ in _blocks_of(data)]
            for link in links:
                if archive.has(link):
                    archive.get_block(link)
            if archive.noted_root is not None:
                dict(islice(Hierarchy(archive, read_only=True).items(), MAX_STEPS))


_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None


def _blocks_of(data: bytes):
    found = []
    with suppress(IPLDStoreError):
        found.extend(islice(CarReader(BytesIO(data)), MAX_STEPS))
    return found


def fuzz_tree(bundle: bytes) -> None:
    """Read, walk, change and freeze a hierarchy of any blocks that hash right."""
    blocks, backend = _kept(bundle)
    root = blocks[-1][0]
    tree = Tree(backend.get_block, root)
    entries = list(islice(tree.iter_entries(), MAX_STEPS))
    store = Hierarchy(backend, root=root)
    for key, entry in entries:
        assert tree.find(key.split("/")) == entry
        assert key in store
        store.get(key)
    if len(entries) == MAX_STEPS:
        return
    content = dict(store)
    assert sorted(content) == sorted(key for key, _ in entries)
    store["a new/0"] = b"value"
    store.freeze()
    assert dict(Hierarchy(backend, root=store.root_cid)) == {**content, "a new/0": b"value"}


def fuzz_dag(bundle: bytes) -> None:
    """Walk a DAG of any blocks that hash right."""
    blocks, backend = _kept(bundle)
    root, data = blocks[-1]
    links_of(root, data)
    order = [link for link, _ in iter_dag(root, backend.get_block, children_first=True)]
    assert len(order) == len(set(order))
    assert order[-1] == root


def fuzz_verify(bundle: bytes) -> None:
    """Verify a hierarchy of any blocks that hash right: what is called sound can be read."""
    blocks, backend = _kept(bundle)
    root = blocks[-1][0]
    report = verify(root, backend)
    json.dumps(report.as_dict(), allow_nan=False)
    store = Hierarchy(backend, root=root)
    if report.ok:
        with suppress(LimitExceededError):
            dict(islice(store.items(), MAX_STEPS))


def fuzz_views(bundle: bytes) -> None:
    """Show a hierarchy of any documents, to terminals and notebooks."""
    blocks, backend = _kept(bundle)
    store = Hierarchy(backend, root=blocks[-1][0])
    page = to_html(store)
    assert "<script" not in page
    found = outline(store, max_nodes=MAX_STEPS)
    json.dumps(found.as_dict(), allow_nan=False)
    for line in islice(iter_tree_lines(found, width=80), MAX_STEPS):
        assert line.isprintable()


def fuzz_unixfs(bundle: bytes) -> None:
    """Read any dag-pb blocks that hash right as a file, and as a directory."""
    blocks, backend = _kept(bundle)
    root, data = blocks[-1]
    try:
        read_plain(backend, root, Tree(backend.get_block), max_keys=MAX_STEPS)
    except IPLDStoreError:
        file = decode_file(root, data)
        stop = min(file.size, MAX_CONTENT)
        assert len(read_content(file, backend.get_block, 0, stop)) == stop
        measure_file(root, file, backend.get_block, backend.make_cid)


def fuzz_json(data: bytes) -> None:
    """Hold a document as IPLD data: it reads back as equal JSON, or is not held so."""
    document = parse_json(data)
    if document is None:
        return
    text = document.to_json()
    assert _same(json.loads(text), json.loads(data))
    again = parse_json(text)
    assert again is not None
    assert again.encoded == document.encoded


def _same(one, other) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and one == other


def _kept(bundle: bytes):
    backend = MappingCAStore()
    blocks = read_bundle(bundle)
    for link, data in blocks:
        backend.put_block(link, data)
    if not blocks:
        raise IPLDStoreError("no blocks")
    return blocks, backend


TARGETS = {
    name.removeprefix("fuzz_"): target
    for name, target in list(globals().items())
    if name.startswith("fuzz_")
}


def run(name: str, data: bytes) -> bool:
    """Run a target; whether it took the data."""
    try:
        TARGETS[name](data)
    except IPLDStoreError:
        return False
    return True
