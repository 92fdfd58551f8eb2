"""What few blocks stand for is known, and refused, before anything is written of it."""

import random
import time
from functools import cache

import pytest
from hierarchy_blocks import Made

import ipldstore
from ipldstore import IPLDStore, LimitExceededError, MappingCAStore
from ipldstore.cid import as_link
from ipldstore.cli.work.get import write_folder
from ipldstore.cli.work.ls import iter_listing
from ipldstore.store.expansion import Content, check_held, measure
from ipldstore.store.outline import outline
from ipldstore.store.plain import write_plain

pytestmark = pytest.mark.once

MIB = 1 << 20


def nested(backend):
    """A trillion files of a MiB, in five blocks."""
    cid = backend.cbor({str(number): backend.raw(bytes(MIB)) for number in range(1000)})
    for _ in range(3):
        cid = backend.cbor({f"g{number}": cid for number in range(1000)})
    return cid, 10**12, MIB * 10**12


def deep(backend):
    """2^40 files of a byte, in forty levels."""
    cid = backend.raw(b"x")
    for _ in range(40):
        cid = backend.cbor({"a": cid, "b": cid})
    return cid, 1 << 40, 1 << 40


def paged(backend):
    """Directories whose pages are the same."""
    cid = backend.raw(b"x")
    for _ in range(6):
        page = backend.cbor({str(number): cid for number in range(100)})
        cid = backend.cbor([["0", page]])
    return cid, 100**6, 100**6


def listed(backend):
    """Directories of lists of lists of pages."""
    cid = backend.raw(b"x")
    for _ in range(5):
        lists = []
        for first in range(0, 1000, 100):
            page = backend.cbor({str(number): cid for number in range(first, first + 100)})
            lists.append([str(first), backend.cbor([[str(first), page]])])
        cid = backend.cbor(lists)
    return cid, 1000**5, 1000**5


def large(backend):
    """Files of a petabyte of one leaf, again and again."""
    size = MIB
    link = backend.raw(bytes(size))
    for _ in range(3):
        link, size = backend.file([link] * 1000, [size] * 1000), size * 1000
    cid = backend.cbor({f"f{number}": link for number in range(100)})
    return backend.cbor({f"g{number}": cid for number in range(100)}), 10**4, size * 10**4


def documents(backend):
    """Groups without end, each with a document."""
    cid = backend.cbor({".zgroup": {"zarr_format": 2}})
    for _ in range(12):
        cid = backend.cbor({**{str(number): cid for number in range(10)}, ".zgroup": {}})
    groups = sum(10**level for level in range(12))
    return cid, groups + 10**12, 2 * groups + len(b'{"zarr_format":2}') * 10**12


BOMBS = {maker.__name__: maker for maker in (nested, deep, paged, listed, large, documents)}


@cache
def made(maker):
    """Return the blocks of a maker, to be copied, and what it says of them."""
    backend = Made()
    return backend.mapping, *maker(backend)


@pytest.fixture(params=BOMBS)
def bomb(request):
    blocks, *told = made(BOMBS[request.param])
    return Made(dict(blocks)), *told


def test_the_exact_content_is_known(bomb):
    backend, root, files, size = bomb
    content = measure(backend, root)
    assert (content.files, content.bytes) == (files, size)
    held = {str(cid): backend.size_of(as_link(cid)) for cid in backend.mapping}
    assert (content.blocks, content.stored) == (len(held), sum(held.values()))
    assert content.is_exact


WRITERS = {
    "to_unixfs": lambda backend, root, path: IPLDStore(backend, root=root).to_unixfs(),
    "copy": lambda backend, root, path: ipldstore.copy(IPLDStore(backend, root=root), path),
    "copy of a root": lambda backend, root, path: ipldstore.copy(backend, path, root=root),
}


@pytest.mark.parametrize("way", WRITERS)
def test_nothing_is_written_of_what_is_too_much(bomb, way):
    backend, root, *_ = bomb
    blocks, plain = dict(backend.mapping), {}
    with pytest.raises(LimitExceededError, match="raise the limit with max_"):
        WRITERS[way](backend, root, plain)
    assert plain == {}
    assert backend.mapping == blocks


READERS = {
    "info": lambda backend, root: ipldstore.info(root, backend),
    "tree": lambda backend, root: outline(IPLDStore(backend, root=root, read_only=True)),
    "normalize": lambda backend, root: IPLDStore(backend, root=root).normalize(),
}


@pytest.mark.parametrize("way", READERS)
def test_what_shows_and_rewrites_answers_or_refuses(bomb, way):
    backend, root, files, _ = bomb
    if files <= 10_000 and way != "normalize":
        READERS[way](backend, root)
    else:
        with pytest.raises(LimitExceededError):
            READERS[way](backend, root)


def test_a_long_listing_counts_equal_entries_once(monkeypatch, bomb):
    backend, root, _, size = bomb
    monkeypatch.setattr("ipldstore.cli.tools.roots.open_blocks", lambda *_, **__: backend)
    sizes = [facts["bytes"] for facts, _ in iter_listing(str(root), "", long=True, recursive=False)]
    assert sum(sizes) == size


def other(backend, maker):
    """What a maker makes, of another value."""
    twin = Made()
    twin.raw = lambda data: Made.raw(twin, data[:-1] + b"?")
    if maker is documents:
        twin.cbor = lambda value: Made.cbor(twin, {**value, "?": twin.raw(b"?")})
    cid, *_ = maker(twin)
    backend.mapping.update(twin.mapping)
    return cid


@pytest.mark.parametrize("maker", [nested, deep, paged, listed, documents])
@pytest.mark.parametrize("side", ["both", "old", "new"])
def test_comparing_refuses_what_repeats(maker, side):
    blocks, root, *_ = made(maker)
    backend = Made(dict(blocks))
    empty = backend.cbor({})
    against = {
        "both": lambda: (root, other(backend, maker)),
        "old": lambda: (root, empty),
        "new": lambda: (empty, root),
    }[side]()
    started = time.monotonic()
    with pytest.raises(LimitExceededError, match=r"repeat each other so often.* ROOT/GROUP"):
        for _ in ipldstore.diff(*against, blocks=backend):
            pass
    assert time.monotonic() - started < 20


def test_comparing_reads_what_repeats_within_bounds(monkeypatch):
    monkeypatch.setattr("ipldstore.model.differences.MAX_REPEATED_BYTES", 100)
    backend = Made()
    roots = []
    for data in (b"old", b"new"):
        cid = backend.raw(data)
        for _ in range(3):
            cid = backend.cbor({f"g{number}": cid for number in range(20)})
        roots.append(cid)
    assert sum(1 for _ in ipldstore.diff(*roots, blocks=backend)) == 8000


def test_blocks_that_do_not_repeat_are_compared_however_many_they_are(monkeypatch):
    monkeypatch.setattr("ipldstore.model.differences.MAX_REPEATED_BYTES", 0)
    monkeypatch.setattr("ipldstore.model.differences.MAX_COMPARED_BYTES", 0)
    backend = Made()
    store = IPLDStore(backend)
    store.update({f"a/{number}": b"%d" % number for number in range(5000)})
    root = store.freeze()
    store.update({f"a/{number}": b"-%d" % number for number in range(5000)})
    assert sum(1 for _ in ipldstore.diff(root, store)) == 5000


def test_normalizing_refuses_values_that_repeat_without_bound(monkeypatch):
    monkeypatch.setattr("ipldstore.store.expansion.MAX_WRITTEN_BYTES", MIB)
    backend = Made()
    link = backend.file([backend.raw(bytes(MIB))] * 10, [MIB] * 10)
    root = backend.cbor({f"f{number}": link for number in range(500)})
    with pytest.raises(LimitExceededError, match="500 keys of 5,242,880,000 bytes"):
        IPLDStore(backend, root=root).normalize()


def test_it_says_what_there_is_and_how_to_raise_the_limit():
    backend = Made()
    root, files, size = nested(backend)
    with pytest.raises(
        LimitExceededError,
        match=r"^5 blocks of 1\.2 MB stand for 1,000,000,000,000 files of 1\.0e18 bytes in all, "
        r"expected at most 1,000,000 files and 68,719,476,736 bytes, .* raise the limit with "
        r"max_files and max_bytes \(of commands, --max-files and --max-bytes\), .* ROOT/GROUP$",
    ):
        measure(backend, root).check()
    with pytest.raises(LimitExceededError, match=r"most 68,719,476,736 bytes, .* with max_bytes "):
        measure(backend, root).check(max_files=files)
    with pytest.raises(LimitExceededError, match=r"most 1,000,000 files, .* with max_files "):
        measure(backend, root).check(max_bytes=size)
    measure(backend, root).check(max_files=files, max_bytes=size)


def test_one_of_a_kind_is_said_as_such():
    content = HONEST._replace(files=1, bytes=MIB, entries=1, blocks=1, stored=1)
    with pytest.raises(LimitExceededError, match=r"^1 block of 1 byte stand for 1 file of 1,048,5"):
        content.check(max_bytes=1)


def test_a_limit_that_cannot_be_raised_says_what_else_to_do():
    backend = Made()
    root, *_ = nested(backend)
    with pytest.raises(
        LimitExceededError,
        match=r"1,000,000,000,000 keys, expected at most 10,000,000; this limit cannot be raised: "
        r"take a part instead, such as ROOT/GROUP$",
    ):
        ipldstore.info(root, backend)


HONEST = Content(files=10, bytes=10, entries=10, blocks=12, stored=10, is_exact=True)


@pytest.mark.parametrize(
    "content",
    [
        HONEST._replace(files=1_000_000, entries=1),
        HONEST._replace(files=50_000_000, entries=50_000_000),
        HONEST._replace(files=100_000_000, entries=1_000_000),
        HONEST._replace(bytes=64 << 30, stored=1),
        HONEST._replace(bytes=10**15, stored=10**15),
        HONEST._replace(bytes=10**14, stored=10**12),
    ],
)
def test_what_is_honest_is_not_refused(content):
    content.check()


@pytest.mark.parametrize(
    "content",
    [
        HONEST._replace(files=1_000_001, entries=10_000),
        HONEST._replace(bytes=(64 << 30) + 1, stored=1 << 29),
    ],
)
def test_what_repeats_too_often_is_refused(content):
    with pytest.raises(LimitExceededError):
        content.check()
    content.check(max_files=1_000_001, max_bytes=(64 << 30) + 1)


def test_limits_can_be_raised_everywhere():
    backend = Made()
    cid = backend.cbor({str(number): backend.raw(b"x") for number in range(10)})
    root = backend.cbor({str(number): cid for number in range(150)})
    plain = {}
    with pytest.raises(LimitExceededError, match=r"1,500 files of .* at most 1,499 files, "):
        ipldstore.copy(backend, plain, root=root, max_files=1499)
    with pytest.raises(LimitExceededError, match=r"1,500 files of .* at most 1,499 files, "):
        write_plain(backend, as_link(root), max_files=1499)
    assert ipldstore.copy(backend, plain, root=root, max_files=1500).blocks == 1500
    assert write_plain(backend, as_link(root), max_files=1500)


def tree_of(draws, backend, leaves, depth=0):
    """Make a random hierarchy of shared parts; return its CID and its values."""
    entries, values = {}, {}
    for number in range(draws.randint(1, 4)):
        name = f"k{number}"
        if depth < 3 and draws.random() < 0.6:
            cid, inner = tree_of(draws, backend, leaves, depth + 1)
            entries[name] = cid
            values.update({f"{name}/{key}": data for key, data in inner.items()})
        else:
            entries[name], values[name] = draws.choice(leaves)
    if draws.random() < 0.5:
        entries[".zattrs"], values[".zattrs"] = {"a": depth}, b'{"a":%d}' % depth
    if draws.random() < 0.3:
        document = backend.cbor({"b": depth})
        entries["zarr.json"], values["zarr.json"] = document, b'{"b":%d}' % depth
    return backend.cbor(entries), values


@pytest.mark.parametrize("seed", range(30))
def test_counts_are_those_of_a_walk_through_all_keys(seed):
    draws, backend = random.Random(seed), Made()
    leaf = backend.raw(b"y" * 7)
    leaves = [(backend.raw(b"x"), b"x"), (leaf, b"y" * 7)]
    leaves.append((backend.file([leaf, leaf], [7, 7]), b"y" * 14))
    root, values = tree_of(draws, backend, leaves)
    store = IPLDStore(backend, root=root)
    assert dict(store) == values
    expected = len(values), sum(map(len, values.values()))
    assert measure(backend, root)[:2] == expected
    store["new/0"] = b"z" * 9
    assert measure(backend, store.reader.tree.top)[:2] == (expected[0] + 1, expected[1] + 9)


class Remote(Made):
    """A block store elsewhere, which counts what it is asked."""

    def __init__(self):
        super().__init__()
        self.inline_limit = 0
        self.asked = []

    def size_of(self, cid):
        self.asked.append(str(cid))
        return super().size_of(cid)


def test_elsewhere_only_sizes_that_matter_are_asked_for():
    backend = Remote()
    often, rarely = backend.raw(bytes(100)), backend.raw(bytes(50))
    names = {f"o{number}": often for number in range(101)}
    root = backend.cbor(names | {f"r{number}": rarely for number in range(100)})
    content = measure(backend, root)
    assert backend.asked == [str(often)]
    assert (content.files, content.bytes, content.is_exact) == (201, 10_100, False)


def test_elsewhere_what_repeats_is_refused():
    backend = Remote()
    root, files, _ = nested(backend)
    with pytest.raises(LimitExceededError, match="files"):
        measure(backend, root).check()
    with pytest.raises(LimitExceededError, match="bytes"):
        measure(backend, root).check(max_files=files)


def test_leaves_that_lie_about_their_size_do_not_hide_what_repeats():
    backend = Made()
    leaf = backend.raw(bytes(MIB))
    names = {str(number): leaf for number in range(1000)}
    root = backend.cbor({"a": backend.cbor(names), "f": backend.file([leaf], [1])})
    assert measure(backend, root).bytes == 1000 * MIB + 1


def test_a_chain_measured_from_its_end_is_as_deep_as_it_is():
    backend = Made()
    links = [backend.raw(b"x")]
    for _ in range(3000):
        links.append(backend.cbor({"a": links[-1]}))
    root = backend.cbor({f"k{number:04}": link for number, link in enumerate(links[1:])})
    with pytest.raises(ipldstore.InvalidNodeError, match="nested"):
        measure(backend, root)


def test_a_store_that_is_not_frozen_is_checked_as_it_stands():
    backend = Made()
    root, *_ = deep(backend)
    store = IPLDStore(backend, root=root)
    store["c"] = b"new"
    with pytest.raises(LimitExceededError):
        check_held(store.reader.tree.top, backend.get_block)
    with pytest.raises(LimitExceededError):
        ipldstore.copy(store, {})


def test_honest_content_is_written(tmp_path):
    store = IPLDStore(MappingCAStore())
    store.update({f"a/{number}": b"%d" % (number % 3) for number in range(50)})
    write_folder(store, tmp_path / "out")
    assert len(list((tmp_path / "out" / "a").iterdir())) == 50
