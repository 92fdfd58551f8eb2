"""CIDs of others, on every way by which a CID comes in: refused, with nothing touched."""

import asyncio

import pytest
from contained import run_contained
from multiformats import varint

import ipldstore
from ipldstore import (
    BlockNotFoundError,
    DirectoryCAStore,
    InvalidCIDError,
    InvalidKeyError,
    IPLDStore,
    MappingCAStore,
)
from ipldstore.cid import as_link, make_link, to_text

DIGEST = make_link(b"hello")[4:]
HELLO = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
LONG_VARINT = b"\xff" * 9 + b"\x01"


def binary(version=1, codec=0x55, hash_code=0x12, digest=DIGEST, size=None):
    numbers = (version, codec, hash_code, len(digest) if size is None else size)
    return b"".join(map(varint.encode, numbers)) + digest


MALFORMED = {
    "digest of 31 bytes": binary(digest=DIGEST[:31]),
    "digest of 33 bytes": binary(digest=DIGEST + b"\0"),
    "digest cut short": binary(digest=DIGEST[:31], size=32),
    "trailing byte": binary() + b"\0",
    "version 0": binary(version=0),
    "version 2": binary(version=2),
    "version 3": binary(version=3),
    "version 2^62": binary(version=1 << 62),
    "version not minimal": b"\x81\x00" + binary()[1:],
    "codec not minimal": b"\x01\xd5\x00" + binary()[2:],
    "hash function not minimal": b"\x01\x55\x92\x00" + binary()[3:],
    "size not minimal": b"\x01\x55\x12\xa0\x00" + DIGEST,
    "version of ten bytes": LONG_VARINT + binary()[1:],
    "codec of ten bytes": b"\x01" + LONG_VARINT + binary()[2:],
    "hash function of ten bytes": b"\x01\x55" + LONG_VARINT + binary()[3:],
    "size of ten bytes": b"\x01\x55\x12" + LONG_VARINT + DIGEST,
    "size of 2^62": binary(size=1 << 62),
    "identity of 129 bytes": binary(hash_code=0, digest=bytes(129)),
    "identity cut short": binary(hash_code=0, digest=bytes(5), size=6),
    "nothing": b"",
}
TEXTS = {
    "megabyte of base58": "z" + "2" * 1_000_000,
    "megabyte of base2": "0" + "1" * 1_000_000,
    "megabyte of base36": "k" + "z" * 1_000_000,
    "up": "../" + HELLO,
    "up within": HELLO[:20] + "/../" + HELLO[20:],
    "up behind": HELLO + "/../../secret",
    "absolute": "/etc/passwd",
    "backslashes": "..\\..\\" + HELLO,
    "NUL": HELLO + "\0",
    "new line": HELLO[:20] + "\n" + HELLO[20:],
    "upper case in part": HELLO[:9] + HELLO[9:].upper(),
    "padding": HELLO + "======",
    "other digits": HELLO.replace("2", "٢"),
    "surrogate": "\udcff" + HELLO,
    "empty": "",
}
BAD = {name: to_text(data) if data else "b" for name, data in MALFORMED.items()} | TEXTS


async def get_async(cid):
    await MappingCAStore().get_block_async(cid)


WAYS = {
    "store": lambda cid: IPLDStore(root=cid),
    "set_root": lambda cid: IPLDStore().set_root(cid),
    "ipfs://": lambda cid: IPLDStore(root=f"ipfs://{cid}"),
    "/ipfs/": lambda cid: IPLDStore(root=f"/ipfs/{cid}"),
    "get": lambda cid: MappingCAStore().get(cid),
    "get_block": lambda cid: MappingCAStore().get_block(cid),
    "get_block_async": lambda cid: asyncio.run(get_async(cid)),
    "get_many": lambda cid: list(MappingCAStore().get_many([cid])),
    "has": lambda cid: MappingCAStore().has(cid),
    "from_unixfs": lambda cid: IPLDStore.from_unixfs(cid, MappingCAStore()),
    "info": lambda cid: ipldstore.info(cid, MappingCAStore()),
    "diff": lambda cid: list(ipldstore.diff(cid, IPLDStore())),
    "copy_root": lambda cid: ipldstore.copy_root(cid, MappingCAStore(), MappingCAStore()),
    "to_car": lambda cid: IPLDStore().to_car(since=cid),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD)
def test_malformed_text_is_refused(way, name):
    takes_paths = way in ("info", "diff") and name == "up behind"
    with pytest.raises(InvalidKeyError if takes_paths else InvalidCIDError) as caught:
        WAYS[way](BAD[name])
    assert len(str(caught.value)) < 2000
    assert (BAD[name] in MappingCAStore()) is False


@pytest.mark.parametrize("way", ["get", "get_block", "get_block_async", "get_many", "has"])
def test_white_space_around_is_refused_where_programs_pass_cids(way):
    with pytest.raises(InvalidCIDError, match="white space around"):
        WAYS[way](HELLO + "\n")


@pytest.mark.parametrize(
    "way", ["store", "set_root", "ipfs://", "/ipfs/", "info", "diff", "copy_root"]
)
def test_white_space_around_is_left_out_where_people_name_roots(way):
    with pytest.raises(BlockNotFoundError, match=HELLO):
        WAYS[way](HELLO + "\n")


@pytest.mark.parametrize("way", [way for way in WAYS if "/" not in way])
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_bytes_are_refused(way, name):
    with pytest.raises(InvalidCIDError):
        WAYS[way](MALFORMED[name])


@pytest.mark.parametrize("name", BAD)
def test_no_file_is_looked_for(tmp_path, name):
    folder = tmp_path / "a" / "blocks"
    store = DirectoryCAStore(folder)
    (tmp_path / "secret").write_bytes(b"secret")
    before = sorted(tmp_path.rglob("*"))
    for call in (store.get_block, store.has, store.get, store.resolve):
        with pytest.raises(InvalidCIDError):
            call(BAD[name])
    assert sorted(tmp_path.rglob("*")) == before


def test_identity_of_128_bytes_is_the_longest():
    cid = binary(hash_code=0, digest=bytes(128))
    assert MappingCAStore().get_block(cid) == bytes(128)
    assert MappingCAStore().get_block(to_text(cid)) == bytes(128)


V0 = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
V1 = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


def test_two_spellings_are_one_block():
    backend = MappingCAStore()
    backend.put_block(as_link(V0), b"\x0a\x02\x08\x01")
    assert list(backend.mapping) == [V1]
    upper = "F" + bytes(as_link(V1)).hex().upper()
    for spelling in (V0, V1, upper, bytes(as_link(V1)), as_link(V1)):
        assert backend.get_block(spelling) == b"\x0a\x02\x08\x01"
        assert backend.has(spelling)
    store = IPLDStore(backend)
    store["a"] = b"x"
    root = store.freeze()
    other = IPLDStore(backend, root="f" + bytes(root).hex())
    assert other == store
    assert str(other.root_cid) == str(root)


LONG_TEXTS = """

from ipldstore import InvalidCIDError, MappingCAStore

for text in ("z" + "2" * 20_000_000, "k" + "z" * 20_000_000, "b" + "a" * 20_000_000):
    try:
        MappingCAStore().get_block(text)
    except InvalidCIDError as error:
        print(len(str(error)) < 2000)
"""


def test_twenty_megabytes_of_text_take_no_time():
    # base58 takes time that grows with the square of the length: minutes for this
    assert run_contained(LONG_TEXTS, seconds=30).split() == ["True"] * 3
