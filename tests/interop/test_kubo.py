"""One folder of blocks under Kubo and under `DirectoryCAStore`, and archives between the two."""

import json
import os
import shutil
from base64 import b64decode
from hashlib import sha256

import dag_cbor
import pytest
from hierarchies import fill
from kubo import Repository
from multiformats import CID

from ipldstore import DirectoryCAStore, IPLDStore
from ipldstore.cid import as_link
from ipldstore.formats.car import CarReader

BLOCKS = [
    (b"hello", "raw", "sha2-256"),
    (b"", "raw", "sha2-256"),
    (bytes(range(256)) * 4096, "raw", "sha2-256"),
    (b"\xa1\x61a\x01", "dag-cbor", "sha2-256"),
    (bytes.fromhex("0a020801"), "dag-pb", "sha2-256"),
    (b"blake2b", "raw", "blake2b-256"),
    (b"sha2", "raw", "sha2-512"),
    (b"sha3", "raw", "sha3-256"),
]


@pytest.fixture
def kubo(tmp_path):
    return Repository(tmp_path / "kubo")


def block_files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("??/*"))
    }


def from_dag_json(data):
    def value(item):
        if item.keys() == {"/"}:
            inner = item["/"]
            return CID.decode(inner) if isinstance(inner, str) else b64decode(inner["bytes"])
        return item

    return json.loads(data, object_hook=value)


def read_blocks(path):
    with open(path, "rb") as stream:
        reader = CarReader(stream)
        return reader.roots, list(reader)


def test_sharding_file_is_that_of_kubo(kubo, tmp_path):
    backend = DirectoryCAStore(tmp_path / "ours")
    assert (backend.path / "SHARDING").read_bytes() == (kubo.blocks / "SHARDING").read_bytes()


def test_blocks_of_kubo_have_the_names_that_we_give(kubo, tmp_path):
    ours = DirectoryCAStore(tmp_path / "ours")
    cids = {}
    for data, codec, hash_name in BLOCKS:
        cid = kubo.put_block(data, f"--cid-codec={codec}", f"--mhtype={hash_name}")
        ours.put_block(as_link(cid), data)
        cids[cid] = data
    # Kubo makes the empty UnixFS directory by itself, which is one of BLOCKS
    assert block_files(kubo.blocks) == block_files(ours.path)
    theirs = DirectoryCAStore(kubo.blocks)
    for cid, data in cids.items():
        assert theirs.get_block(cid) == data
        assert theirs.size_of(as_link(cid)) == len(data)


def test_blake3_block_of_kubo(kubo):
    pytest.importorskip("blake3")
    cid = kubo.put_block(b"blake3", "--mhtype=blake3", "--mhlen=32")
    backend = DirectoryCAStore(kubo.blocks, default_hash="blake3")
    assert backend.get_block(cid) == b"blake3"
    assert str(backend.put(b"blake3")) == cid


def test_kubo_reads_blocks_of_ours(kubo):
    backend = DirectoryCAStore(kubo.blocks)
    for data, codec, _ in BLOCKS[:5]:
        cid = backend.put_raw(data, codec)
        assert kubo.get_block(cid) == data


def test_kubo_serves_a_folder_of_ours(kubo, tmp_path):
    store = fill(IPLDStore(DirectoryCAStore(tmp_path / "ours")))
    root = store.freeze()
    shutil.rmtree(kubo.blocks)
    os.rename(tmp_path / "ours", kubo.blocks)
    assert from_dag_json(kubo.run("--offline", "dag", "get", root))[".zgroup"] == {"zarr_format": 2}
    known = kubo.run("--offline", "refs", "local").decode().split()
    files = list(kubo.blocks.glob("??/*.data"))
    assert len(known) == len(files) >= 400
    assert b"verify complete, all blocks validated" in kubo.run("repo", "verify")


def test_kubo_shows_and_exports_the_tree(kubo, tmp_path):
    store = fill(IPLDStore(DirectoryCAStore(kubo.blocks)))
    root = store.freeze()
    for path in ("", "a", "a/.zarray", "a/.zattrs", ".zgroup"):
        shown = from_dag_json(kubo.run("--offline", "dag", "get", f"{root}/{path}".rstrip("/")))
        assert shown == look_up(store.backend, root, path)
    assert kubo.run("--offline", "dag", "get", "--output-codec=raw", f"{root}/a/7") == store["a/7"]
    theirs = tmp_path / "theirs.car"
    theirs.write_bytes(kubo.run("--offline", "dag", "export", "--progress=false", root))
    store.to_car(tmp_path / "ours.car")
    assert read_blocks(theirs) == read_blocks(tmp_path / "ours.car")
    assert theirs.read_bytes() == (tmp_path / "ours.car").read_bytes()
    copy = IPLDStore.from_car(theirs)
    assert copy.root_cid == root
    assert dict(copy) == dict(store)


def look_up(backend, root, path):
    """Walk a path with the dag-cbor package alone."""
    value = dag_cbor.decode(backend.get_block(root))
    for segment in filter(None, path.split("/")):
        value = value[segment]
        if isinstance(value, CID):
            value = dag_cbor.decode(backend.get_block(value))
    return value


def test_kubo_imports_our_archive(kubo, tmp_path):
    store = fill(IPLDStore())
    store.to_car(tmp_path / "ours.car")
    said = kubo.run("dag", "import", "--stats", tmp_path / "ours.car").decode()
    assert f"Pinned root\t{store.root_cid}\tsuccess" in said
    assert f"Imported {len(store.backend.mapping)} blocks" in said
    pinned = kubo.run("--offline", "pin", "ls", "--type=recursive", "--quiet").decode().split()
    assert str(store.root_cid) in pinned
    assert dict(IPLDStore(DirectoryCAStore(kubo.blocks), root=store.root_cid)) == dict(store)
    assert sha256(kubo.get_block(f"{store.root_cid}")).digest() == store.root_cid.raw_digest
