"""CAR streams that lie, stop or never end: only blocks of the DAG arrive, and all of them do."""

import io

import pytest
from faulty_gateway import (
    FaultyGateway,
    bit_flipped,
    cut_off,
    honest,
    hung_up,
    page,
    patience_for_honest,
    redirect,
    shortened,
    stalled,
    stalled_in_body,
    status,
)
from node import Node

from ipldstore import IPLDStore, MappingCAStore
from ipldstore.backends.gateway.store import GatewayCAStore
from ipldstore.backends.gateway.subtree import Wanted, iter_wanted
from ipldstore.backends.http.answers import Stream
from ipldstore.backends.retries import Retries
from ipldstore.cid import as_link, make_link
from ipldstore.errors import BackendError, BlockNotFoundError, CarFormatError, CorruptBlockError
from ipldstore.formats.car import CarReader, write_car
from ipldstore.formats.varint import encode_varint

CAR = "application/vnd.ipld.car; version=1; order=dfs; dups=n"
FOREIGN = b"what nobody asked for" * 1000
SOON = Retries(attempts=2, first_wait=0.001)


def of_archives(fault):
    """Apply a fault to archives, and be honest about single blocks."""

    def answer(exchange):
        (fault if "format=car" in exchange.path else honest)(exchange)

    answer.__name__ = f"archive_{fault.__name__}"
    return answer


def spoilt(change):
    """Change the list of blocks in an archive, and send the rest as it is."""

    def answer(exchange):
        _, kind, body = exchange.ask()
        reader = CarReader(io.BytesIO(body))
        archive = io.BytesIO()
        write_car(archive, reader.roots[0], change(list(reader)))
        exchange.answer(archive.getvalue(), kind=kind)

    answer.__name__ = change.__name__
    return answer


def foreign_first(blocks):
    return [(make_link(FOREIGN), FOREIGN), *blocks]


def foreign_between(blocks):
    return [*blocks[:2], (make_link(FOREIGN), FOREIGN), *blocks[2:]]


def one_missing(blocks):
    return blocks[:3] + blocks[4:]


def no_root(blocks):
    return blocks[1:]


def no_blocks(blocks):
    return []


def children_first(blocks):
    return blocks[::-1]


def repeated(blocks):
    return [block for block in blocks for _ in range(3)]


def too_large(blocks):
    big = bytes((2 << 20) + 1)
    return [*blocks[:2], (make_link(big), big), *blocks[2:]]


def huge_section(exchange):
    """Announce a section of 4 GiB and go on for as long as somebody listens."""
    exchange.start(Content_Type=CAR)
    archive = io.BytesIO()
    write_car(archive, as_link(exchange.cid), [])
    exchange.write(archive.getvalue() + encode_varint(1 << 32))
    while True:
        exchange.write(bytes(1 << 20))


def endless_foreign(exchange):
    _, kind, body = exchange.ask()
    exchange.start(Content_Type=kind)
    exchange.write(body[: len(body) // 2])
    while True:
        archive = io.BytesIO()
        write_car(archive, make_link(FOREIGN), [(make_link(FOREIGN), FOREIGN)] * 50)
        exchange.write(archive.getvalue()[59:])


def endless_padding(exchange):
    """Begin a CARv2 whose payload starts after 2^63 bytes."""
    exchange.start(Content_Type=CAR)
    header = bytes(16) + (1 << 63).to_bytes(8, "little") + bytes(16)
    exchange.write(bytes.fromhex("0aa16776657273696f6e02") + header)
    while True:
        exchange.write(bytes(1 << 20))


FAULTS = [
    bit_flipped,
    shortened,
    cut_off,
    hung_up,
    stalled,
    stalled_in_body,
    page,
    status(400),
    status(404),
    status(406),
    status(429),
    status(500),
    redirect("http://10.0.0.1/ipfs/{cid}"),
    spoilt(foreign_first),
    spoilt(foreign_between),
    spoilt(one_missing),
    spoilt(no_root),
    spoilt(no_blocks),
    spoilt(children_first),
    spoilt(repeated),
    spoilt(too_large),
    huge_section,
    endless_foreign,
    endless_padding,
]


def name(fault):
    return fault.__name__


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("subtrees") / "node", offline=True) as node:
        yield node


@pytest.fixture(scope="module")
def blocks():
    """The blocks of a hierarchy: the root, a value of several blocks, and small ones."""
    backend = MappingCAStore()
    store = IPLDStore(backend)
    for number in range(8):
        store[f"a/{number}"] = b"chunk %d" % number * 5000
    store["b"] = b"".join(number.to_bytes(4, "big") for number in range(400_000))
    for number in range(20):
        store[f"c/{number}"] = b"small %d" % number
    root = as_link(bytes(store.freeze()))
    return {"root": root, "archive": store.to_car()}


@pytest.fixture(scope="module")
def root(node, blocks):
    node.run("dag", "import", data=blocks["archive"])
    return blocks["root"]


@pytest.fixture(scope="module")
def expected(node, root):
    """What Kubo says are the blocks of the DAG."""
    return dict(CarReader(io.BytesIO(node.run("dag", "export", str(root)))))


@pytest.mark.parametrize("fault", FAULTS, ids=name)
def test_single_blocks_make_up_for_an_archive(node, root, expected, fault):
    with FaultyGateway(node.gateway, of_archives(fault)) as gateway:
        store = GatewayCAStore(gateway.url, timeout=patience_for_honest(fault), retries=SOON)
        target = MappingCAStore(kept := {})
        copied = store.fetch(root, target)
        yielded = list(store.iter_dag_blocks(root))
    assert yielded[0][0] == root
    assert len(yielded) == len(expected)
    assert dict(yielded) == expected
    assert len(kept) == len(expected)
    assert copied == (len(expected), sum(map(len, expected.values())), 0)
    assert IPLDStore(target, root=str(root))["c/7"] == b"small 7"


@pytest.mark.parametrize("fault", FAULTS, ids=name)
def test_another_gateway_goes_on_with_the_archive(node, root, expected, fault):
    with FaultyGateway(node.gateway, fault) as bad, FaultyGateway(node.gateway, honest) as good:
        store = GatewayCAStore(
            [bad.url, good.url], timeout=patience_for_honest(fault), retries=SOON
        )
        assert dict(store.iter_dag_blocks(root)) == expected
        assert all("format=car" in path for path, _ in good.seen)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (bit_flipped, CorruptBlockError),
        (cut_off, BackendError),
        (status(503), BackendError),
        (status(404), BlockNotFoundError),
        (page, BackendError),
    ],
    ids=lambda value: value.__name__,
)
def test_the_root_does_not_arrive_without_all_the_rest(node, root, fault, error):
    left = [5]

    def worse_and_worse(exchange):
        left[0] -= 1
        (honest if "format=raw" in exchange.path and left[0] > 0 else fault)(exchange)

    with FaultyGateway(node.gateway, worse_and_worse) as gateway:
        store = GatewayCAStore(gateway.url, retries=SOON)
        target = MappingCAStore()
        with pytest.raises(error):
            store.fetch(root, target)
        assert root not in target
        with pytest.raises(error):
            list(store.iter_dag_blocks(root))


def test_a_stopped_copy_is_completed(node, root, expected):
    kept = {}

    class Full(MappingCAStore):
        def put_block(self, cid, data):
            if len(kept) == 20:
                raise BackendError("full")
            super().put_block(cid, data)

    store = GatewayCAStore(node.gateway)
    with pytest.raises(BackendError, match="full"):
        store.fetch(root, Full(kept))
    assert len(kept) == 20
    copied = store.fetch(root, MappingCAStore(kept))
    assert copied == (len(expected), sum(map(len, expected.values())), 0)
    assert len(kept) == len(expected)


def test_whoever_stops_listening_leaves_the_gateway(node, root):
    with FaultyGateway(node.gateway, stalled_in_body) as gateway:
        store = GatewayCAStore(gateway.url)
        blocks = store.iter_dag_blocks(root)
        assert next(blocks)[0] == root
        blocks.close()


def test_no_second_gateway_is_asked_for_what_is_there(node, root, expected):
    with FaultyGateway(node.gateway, honest) as second:
        store = GatewayCAStore([node.gateway, second.url])
        assert dict(store.iter_dag_blocks(root)) == expected
    assert second.seen == []


def test_a_block_of_over_2_mib_is_refused_in_an_archive_too(node):
    leaf = node.put_block(bytes((2 << 20) + 1), "--allow-big-block")
    node_of_one_link = b"\x81\xd8\x2a\x58\x25\x00" + as_link(leaf)
    root = node.put_block(node_of_one_link, "--cid-codec=dag-cbor")
    target = MappingCAStore()
    store = GatewayCAStore(node.gateway)
    with pytest.raises(BackendError, match=f"{leaf}.*longer than 2097152 bytes"):
        list(store.iter_dag_blocks(root))
    with pytest.raises(BackendError, match=f"{leaf}.*longer than 2097152 bytes"):
        store.fetch(root, target)
    assert root not in target


def test_a_section_is_refused_by_the_length_it_announces():
    archive = io.BytesIO()
    write_car(archive, make_link(b""), [])
    stream = Stream(200, {}, iter([archive.getvalue(), encode_varint(3 << 20)]))
    with pytest.raises(CarFormatError, match="section of 3145728 bytes"):
        next(iter_wanted(stream, Wanted(make_link(b"")), 10))
