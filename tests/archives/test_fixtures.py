"""The CAR archives of the IPLD specifications and of go-car, read block by block."""

import json
import os
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import dag_cbor
import pytest
from multiformats import CID

from ipldstore import CarFormatError, IPLDStore, MappingCAStore
from ipldstore.formats.car import CarReader

if "IPLDSTORE_FIXTURES" not in os.environ:
    pytest.skip("IPLDSTORE_FIXTURES is not set", allow_module_level=True)

FIXTURES = Path(os.environ["IPLDSTORE_FIXTURES"])
CARS = FIXTURES / "ipld-specs/specs/transport/car/fixture"
ALICE = FIXTURES / "ipld-specs/specs/advanced-data-layouts/hamt/fixture/alice-words"

BASIC = {
    "carv1-basic": (CARS / "carv1-basic/carv1-basic.car", CARS / "carv1-basic/carv1-basic.json"),
    "carv2-basic": (CARS / "carv2-basic/carv2-basic.car", CARS / "carv2-basic/carv2-basic.json"),
    "go.car": (FIXTURES / "js-car/test/go.car", CARS / "carv1-basic/carv1-basic.json"),
    "go.carv2": (FIXTURES / "js-car/test/go.carv2", None),
}
CAR_V1 = BASIC["carv1-basic"][0]


def cid_bytes(text):
    cid = CID.decode(text)
    return bytes(cid) if cid.version == 1 else bytes(cid.set(version=1))


def read(path):
    with open(path, "rb") as stream:
        reader = CarReader(stream)
        return reader, list(reader)


def from_json(value):
    """Make the IPLD value of parsed DAG-JSON."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"/"}:
        inner = value["/"]
        if isinstance(inner, str):
            return CID.decode(inner)
        return b64decode(inner["bytes"] + "==")
    return {key: from_json(item) for key, item in value.items()}


@pytest.mark.parametrize("name", [name for name, files in BASIC.items() if files[1]])
def test_contents_are_what_the_json_says(name):
    car, description = BASIC[name]
    told = json.loads(description.read_text())
    archive = car.read_bytes()
    reader, blocks = read(car)
    assert reader.roots == [cid_bytes(root["/"]) for root in told["header"]["roots"]]
    assert [link for link, _ in blocks] == [cid_bytes(b["cid"]["/"]) for b in told["blocks"]]
    for (_, data), block in zip(blocks, told["blocks"], strict=True):
        start = block["blockOffset"]
        assert data == archive[start : start + block["blockLength"]]


@pytest.mark.parametrize("name", [name for name, files in BASIC.items() if files[1]])
def test_values_are_what_the_json_says(name):
    car, description = BASIC[name]
    told = json.loads(description.read_text())
    backend = MappingCAStore()
    backend.put_many(read(car)[1])
    compared = 0
    for block in told["blocks"]:
        cid = CID.decode(block["cid"]["/"])
        assert cid in backend
        if cid.codec.name in ("raw", "dag-cbor"):
            assert backend.get(cid) == from_json(block["content"])
            compared += 1
    assert compared


def test_version_2_holds_what_version_1_holds():
    assert read(BASIC["go.carv2"][0])[0].version == 2
    for name in ("go.carv2", "carv2-basic"):
        reader, blocks = read(BASIC[name][0])
        assert reader.version == 2
        for link, data in blocks:
            assert bytes(link)[-32:] == sha256(data).digest()
    assert CAR_V1.read_bytes() == BASIC["go.car"][0].read_bytes()


def test_archive_with_two_roots_is_no_hierarchy():
    with pytest.raises(CarFormatError, match="2 roots"):
        IPLDStore.from_car(CAR_V1)


def test_basic_archive_cut_at_every_byte():
    archive = CAR_V1.read_bytes()
    told = json.loads(BASIC["carv1-basic"][1].read_text())
    whole = {block["offset"] for block in told["blocks"]}
    for size in range(len(archive)):
        store = IPLDStore()
        with pytest.raises(CarFormatError):
            store.import_car(archive[:size])
        assert dict(store) == {}
    assert len(whole) == len(told["blocks"])


def test_hamt_of_alice():
    reader, blocks = read(ALICE / "hamt.car")
    backend = MappingCAStore()
    backend.put_many(blocks)
    (root,) = reader.roots
    assert str(root) == "bafyreic672jz6huur4c2yekd3uycswe2xfqhjlmtmm5dorb6yoytgflova"
    for link, data in blocks:
        assert backend.get_block(link) == data
        assert backend.get(link) == dag_cbor.decode(data)
    nodes = [backend.get(root)["hamt"]]
    words = {}
    while nodes:
        for element in nodes.pop()[1]:
            if isinstance(element, CID):
                nodes.append(backend.get(element))
            else:
                words.update((word.decode(), places) for word, places in element)
    assert words == json.loads((ALICE / "hamt.json").read_text())
