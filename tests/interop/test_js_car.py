"""Archives that `@ipld/car` reads of ours, and ours of its."""

import json
import os
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import dag_cbor
import pytest
from hierarchies import fill
from multiformats import CID, multihash
from outside import skip_without

from ipldstore import IPLDStore, MappingCAStore
from ipldstore.formats.car import CarReader

HERE = Path(__file__).parent


@pytest.fixture(autouse=True, scope="module")
def _js_car():
    if shutil.which("node") is None:
        skip_without("no node on PATH")
    if not (HERE / "node_modules" / "@ipld" / "car").is_dir():
        skip_without("@ipld/car is not installed: run `npm ci` in tests/interop")


def run_node(script, *arguments, data=None):
    result = subprocess.run(
        ["node", script, *map(str, arguments)],
        cwd=HERE,
        input=data,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def read_by_js(path):
    return json.loads(run_node("read_car.mjs", path))


def write_by_js(path, roots, blocks):
    told = [{"cid": str(cid), "base64": b64encode(data).decode()} for cid, data in blocks]
    task = {"roots": list(map(str, roots)), "blocks": told}
    run_node("write_car.mjs", path, data=json.dumps(task))


def make_block(data, codec="raw", hash_name="sha2-256"):
    return CID("base32", 1, codec, multihash.digest(data, hash_name)), data


def test_js_reads_roots_and_blocks_of_ours(tmp_path):
    blocks = {}
    store = fill(IPLDStore(MappingCAStore(blocks)))
    store.to_car(tmp_path / "ours.car")
    read = read_by_js(tmp_path / "ours.car")
    assert read["version"] == 1
    assert read["roots"] == [str(store.root_cid)]
    assert read["blocks"][0]["cid"] == str(store.root_cid)
    assert len(read["blocks"]) == len(blocks) == 400 + 2 + 1 + 1 + 2
    assert {block["cid"]: (block["sha256"], block["size"]) for block in read["blocks"]} == {
        cid: (sha256(data).hexdigest(), len(data)) for cid, data in blocks.items()
    }


def test_js_reads_the_empty_hierarchy(tmp_path):
    IPLDStore().to_car(tmp_path / "empty.car")
    root = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
    digest = sha256(b"\xa0").hexdigest()
    assert read_by_js(tmp_path / "empty.car") == {
        "version": 1,
        "roots": [root],
        "blocks": [{"cid": root, "sha256": digest, "size": 1}],
    }


@pytest.mark.parametrize("hash_name", ["sha2-512", "blake2b-256", "blake3"])
def test_js_reads_other_hash_functions(tmp_path, hash_name):
    if hash_name == "blake3":
        pytest.importorskip("blake3")
    blocks = {}
    store = fill(IPLDStore(MappingCAStore(blocks, default_hash=hash_name)))
    store.to_car(tmp_path / "ours.car")
    read = read_by_js(tmp_path / "ours.car")
    assert read["roots"] == [str(store.root_cid)]
    assert {block["cid"]: block["sha256"] for block in read["blocks"]} == {
        cid: sha256(data).hexdigest() for cid, data in blocks.items()
    }


def test_js_writes_the_bytes_that_we_write(tmp_path):
    store = fill(IPLDStore())
    store.to_car(tmp_path / "ours.car")
    with open(tmp_path / "ours.car", "rb") as stream:
        reader = CarReader(stream)
        write_by_js(tmp_path / "js.car", reader.roots, reader)
    assert (tmp_path / "js.car").read_bytes() == (tmp_path / "ours.car").read_bytes()


def test_hierarchy_written_by_js_is_read(tmp_path):
    value = make_block(b"value")
    node = make_block(dag_cbor.encode({"0": value[0]}), "dag-cbor", "sha2-512")
    root = make_block(dag_cbor.encode({"a": node[0], ".zgroup": {"zarr_format": 2}}), "dag-cbor")
    others = [
        make_block(b"blake", "raw", "blake2b-256"),
        make_block(b'{"a":1}', "dag-json"),
        make_block(b"", "raw"),
    ]
    write_by_js(tmp_path / "js.car", [root[0]], [value, *others, node, root])
    store = IPLDStore.from_car(tmp_path / "js.car")
    assert store.root_cid == root[0]
    assert dict(store) == {".zgroup": b'{"zarr_format":2}', "a/0": b"value"}
    for cid, data in others:
        assert store.backend.get_block(cid) == data


def test_version_0_cid_written_by_js_is_read(tmp_path):
    cid, data = make_block(bytes.fromhex("0a020801"), "dag-pb")
    version_0 = cid.set(version=0, base="base58btc")
    write_by_js(tmp_path / "js.car", [version_0, version_0], [(version_0, data)])
    with open(tmp_path / "js.car", "rb") as stream:
        reader = CarReader(stream)
        assert reader.roots == [bytes(cid), bytes(cid)]
        assert list(reader) == [(bytes(cid), data)]


@pytest.mark.skipif("IPLDSTORE_FIXTURES" not in os.environ, reason="IPLDSTORE_FIXTURES is not set")
def test_js_and_we_read_the_same_from_go_car():
    path = Path(os.environ["IPLDSTORE_FIXTURES"]) / "js-car" / "test" / "go.car"
    read = read_by_js(path)
    with open(path, "rb") as stream:
        reader = CarReader(stream)
        ours = [(str(link), sha256(data).hexdigest()) for link, data in reader]
    assert list(map(str, reader.roots)) == read["roots"]
    assert ours == [(version_1(block["cid"]), block["sha256"]) for block in read["blocks"]]


def version_1(text):
    return str(CID.decode(text).set(version=1, base="base32"))
