"""Packed nodes: what they hold and what they refuse is what the full decoder says."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore.cid import Link, make_link
from ipldstore.errors import InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree import decode, nodes
from ipldstore.tree.cut import cut
from ipldstore.tree.decode import decode_directory, decode_pages
from ipldstore.tree.order import natural_key
from ipldstore.tree.packed import Packed, pack
from tests.tree.counting import CountingCAStore

pytestmark = pytest.mark.once

CHUNK = make_link(b"chunk")
NEW = make_link(b"new")
FAST = make_link(b"chunk", "raw", "blake3")
LINKS = [CHUNK, FAST, make_link(b"", "dag-cbor"), make_link(b"", "dag-pb")]
GRIDS = [
    [str(number) for number in range(95, 1095)],
    [f"{row}.{column}" for row in range(9, 12) for column in range(90, 120)],
    [f"{row}.{column}.0" for row in (0, 1, 10) for column in range(30)],
    [f"t{number:03}" for number in range(40)],
    [f"{number:02}" for number in range(40)],
]
ROWS = {str(row): {str(column): CHUNK for column in range(row, 2 * row)} for row in range(1, 12)}
OTHERS: dict[str, Any] = {
    "c": ROWS,
    "cube": {"0": ROWS, "1": {"zarr.json": {"attributes": {"0": [1]}}} | ROWS},
    ".zarray": {"shape": [1, 2], "fill_value": None},
    ".zattrs": {},
    "zarr.json": {"node_type": "array"},
    "inlined": {"0": CHUNK},
    "paged": [["0", LINKS[2]]],
    "é": CHUNK,
    "a name of more than 23 bytes": CHUNK,
    "sha3": make_link(b"chunk", "raw", "sha3-256"),
    "in itself": Link(b"\x01\x55\x00\x01x"),
}

maps = st.builds(
    lambda names, links, others: dict(zip(names, links * len(names), strict=False)) | others,
    st.sampled_from(GRIDS).flatmap(
        lambda grid: st.integers(25, len(grid)).map(lambda count: grid[:count])
    ),
    st.lists(st.sampled_from(LINKS), min_size=1, max_size=5),
    st.dictionaries(st.sampled_from(sorted(OTHERS)), st.none()).map(
        lambda chosen: {name: OTHERS[name] for name in chosen}
    ),
)


@given(maps)
def test_it_holds_what_the_decoder_reads(value: dict[str, Any]) -> None:
    data = dagcbor.encode(value)
    packed = pack(data)
    assert isinstance(packed, Packed)
    assert packed.encoded == data
    assert dict(packed.items()) == dagcbor.decode(data) == value
    assert len(packed) == len(value)
    assert set(packed) == set(value)
    assert list(packed) == list(packed.unpacked())
    assert [packed[name] for name in value] == list(value.values())
    assert all(type(packed[name]) is Link for name, item in value.items() if type(item) is Link)
    keys = sorted(map(natural_key, value))
    assert packed.natural_bounds() == (keys[0], keys[-1])


@given(maps, maps, st.booleans())
def test_what_two_have_apart(one: dict[str, Any], other: dict[str, Any], patched: bool) -> None:
    a, b = pack(dagcbor.encode(one)), pack(dagcbor.encode(other))
    assert isinstance(a, Packed)
    assert isinstance(b, Packed)
    if patched:
        name = next(iter(other))
        assert b.patch(name, NEW)
        other = other | {name: NEW}
    left, right = a.apart(b)
    for name in one | other:
        if one.get(name) != other.get(name):
            assert left.get(name) == one.get(name)
            assert right.get(name) == other.get(name)
        else:
            assert (name in left) == (name in right)
    if not patched and a.others.keys() == b.others.keys():
        assert left.keys() | right.keys() <= {
            *a.others,
            *(name for name in one | other if one.get(name) != other.get(name)),
        }


@given(maps, st.text() | st.sampled_from(sum(GRIDS, [*OTHERS])))
def test_it_finds_nothing_else(value: dict[str, Any], name: str) -> None:
    packed = pack(dagcbor.encode(value))
    assert packed is not None
    assert packed.get(name) == value.get(name)
    assert (name in packed) == (name in value)


def outcome(data: bytes, first: str, end: str | None) -> object:
    """Say what reading a block as a directory and as a page comes to."""
    link = make_link(data, "dag-cbor")
    found: list[object] = []
    for read in (
        lambda: decode_directory(link, data),
        lambda: decode_directory(link, data, root=True),
        lambda: decode_pages(link, data, first, end),
    ):
        try:
            found.append(described(read()))
        except InvalidNodeError as error:
            found.append(str(error))
    return found


def described(node: Any) -> object:
    if isinstance(node, nodes.PageList):
        return node.firsts, node.children, node.link
    if isinstance(node, nodes.Page):
        return described_entries(node.entries), node.link, node.size, node.count
    content = node.content
    inner = described(content) if node.pages else described_entries(content)
    return inner, node.stub, node.depth


def described_entries(entries: nodes.Entries) -> dict[str, object]:
    return {
        name: described(entry) if isinstance(entry, nodes.Directory) else entry
        for name, entry in entries.items()
    }


def changed(data: bytes, chance: random.Random) -> bytes:
    """Damage a block, mostly where its entries begin and end."""
    start = chance.choice(
        [chance.randrange(len(data)), data.find(b"\xd8\x2a") - chance.randrange(5)]
    )
    stop = start + chance.choice([0, 1, 1, 2, 44, 45, 46])
    new = chance.choice(
        [b"", chance.randbytes(1), data[start:stop] * 2, b"/", b".", b"\0", b"\xe9"]
    )
    return data[:start] + new + data[stop:]


@settings(max_examples=300)
@given(maps, st.randoms(use_true_random=False), st.integers(0, 3))
def test_what_is_refused_is_refused_in_the_same_words(
    value: dict[str, Any], chance: random.Random, changes: int
) -> None:
    data = dagcbor.encode(value)
    for _ in range(changes):
        data = changed(data, chance)
    first = min(value, key=natural_key)
    end = chance.choice([None, natural_key(chance.choice(list(value)))])
    packed = outcome(data, first, end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "pack", lambda data: None)
        assert packed == outcome(data, first, end)


lists = st.builds(
    lambda names, links: [[name, links[0]] for name in names],
    st.sampled_from([*GRIDS, [f"t{number:020}" for number in range(30)], [*"abc" * 9]]),
    st.lists(st.sampled_from(LINKS), min_size=1),
)


@settings(max_examples=300)
@given(lists, st.sampled_from([(), ("a",), ("a", "b"), ("zarr.json",)]), st.data())
def test_lists_of_pages_are_read_as_the_decoder_reads_them(
    value: Any, around: tuple[str, ...], data: st.DataObject
) -> None:
    chance = data.draw(st.randoms(use_true_random=False))
    first, end = value[0][0], chance.choice([None, natural_key(value[-1][0])])
    for name in around:
        value = {name: value}
    block = dagcbor.encode(value)
    if around != ("zarr.json",) and len(block) >= 1024:
        assert pack(block) == dagcbor.decode(block)
    for _ in range(data.draw(st.integers(0, 3))):
        block = changed(block, chance)
    packed = outcome(block, first, end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "pack", lambda data: None)
        assert packed == outcome(block, first, end)


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ([".", *GRIDS[0]], "segment '.' is not allowed"),
        (["..", *GRIDS[0]], "segment '..' is not allowed"),
        (["", *GRIDS[0]], "neither begins nor ends with a slash"),
        (["a/b", *GRIDS[0]], "holds a NUL or a slash"),
        (["a\0b", *GRIDS[0]], "holds a NUL or a slash"),
    ],
)
def test_names_that_no_key_has_are_refused(names: list[str], fault: str) -> None:
    data = dagcbor.encode(dict.fromkeys(names, CHUNK))
    with pytest.raises(InvalidNodeError, match=fault):
        decode_directory(make_link(data, "dag-cbor"), data)


@pytest.mark.parametrize(
    "change",
    [
        lambda names: [names[1], names[0], *names[2:]],
        lambda names: [*names[:-2], names[-1], names[-2]],
        lambda names: [names[-1], *names[:-1]],
        lambda names: [*names[1:], names[0]],
        lambda names: [names[0], names[0], *names[2:]],
        lambda names: [*names[:-1], names[-2]],
        lambda names: names[:10] + names[11:13] + [names[10]] + names[13:],
    ],
)
@pytest.mark.parametrize("other", [None, "12", "zz", "5000", "70000"])
def test_what_is_out_of_order_is_refused(change: Any, other: str | None) -> None:
    names = [str(number) for number in range(90, 1090)]
    names = change(sorted([*names, *([other] if other else [])], key=dagcbor.encode_text))
    pairs = b"".join(
        dagcbor.encode_text(name) + dagcbor.encode({} if name == other else CHUNK) for name in names
    )
    data = dagcbor.encode_map_head(len(names)) + pairs
    assert pack(data) is None
    with pytest.raises(InvalidNodeError, match="repeated or out of order"):
        decode_directory(make_link(data, "dag-cbor"), data)


def test_rows_in_the_block_of_their_directory_are_packed() -> None:
    grid = {str(row): {str(column): CHUNK for column in range(100)} for row in range(20)}
    data = dagcbor.encode(grid)
    directory = decode_directory(make_link(data, "dag-cbor"), data)
    row = directory.entries["7"]
    assert isinstance(row, nodes.Directory)
    assert isinstance(row.content, Packed)
    assert row.content["99"] == CHUNK
    assert row.stub == dagcbor.encode(grid["7"])
    assert row.depth == 1


def test_a_map_that_announces_more_than_there_is_is_refused() -> None:
    rows = dagcbor.encode(dict.fromkeys(GRIDS[0][:30], CHUNK))
    for count in (b"\xb8\x1f", b"\xba\xff\xff\xff\xff", b"\xbb" + b"\xff" * 8):
        inner = count + rows[2:]
        for data in (inner, b"\xa1\x61c" + inner):
            assert pack(data) is None
            with pytest.raises(InvalidNodeError):
                decode_directory(make_link(data, "dag-cbor"), data, root=True)


def test_a_link_of_a_row_is_patched_within_the_row() -> None:
    grid = {str(row): {str(column): CHUNK for column in range(100)} for row in range(20)}
    data = dagcbor.encode(grid)
    row = decode_directory(make_link(data, "dag-cbor"), data).entries["7"]
    assert isinstance(row, nodes.Directory)
    assert isinstance(row.content, Packed)
    assert row.content.patch("42", NEW)
    grid["7"]["42"] = NEW
    renewed = row.content.renewed({})
    assert renewed.encoded == dagcbor.encode(grid["7"])
    assert renewed["42"] == NEW
    assert renewed["99"] == CHUNK


def test_small_and_mixed_maps_are_not_packed() -> None:
    assert pack(dagcbor.encode(dict.fromkeys(GRIDS[0][:10], CHUNK))) is None
    mixed = {str(number): CHUNK if number % 2 else {"0": CHUNK} for number in range(1000)}
    assert type(pack(dagcbor.encode(mixed))) is dict
    assert pack(dagcbor.encode([["0", LINKS[2]], LINKS[2]] * 100)) is None
    assert pack(dagcbor.encode([["0", LINKS[2], LINKS[2]]] * 100)) is None


@given(maps, st.data())
def test_links_are_patched_in_place(value: dict[str, Any], data: st.DataObject) -> None:
    packed = pack(dagcbor.encode(value))
    assert isinstance(packed, Packed)
    links = [name for name in value if name not in OTHERS]
    for name in data.draw(st.lists(st.sampled_from(links), max_size=len(links) // 8)):
        assert packed.patch(name, NEW)
        value[name] = NEW
        assert packed[name] == NEW
    if packed.others:
        name = data.draw(st.sampled_from(sorted(packed.others)))
        value[name] = {"0": NEW}
        assert packed.patch(name, value[name])
    assert dict(packed.items()) == value
    stubs = {name: dagcbor.encode(value[name]) for name in packed.others}
    renewed = packed.renewed(stubs)
    assert renewed.encoded == dagcbor.encode(value)
    assert dict(renewed.items()) == value
    assert [renewed[name] for name in value] == list(value.values())


def test_what_does_not_fit_is_not_patched() -> None:
    value = dict.fromkeys(GRIDS[0][:80], CHUNK)
    packed = pack(dagcbor.encode(value))
    assert isinstance(packed, Packed)
    assert not packed.patch("none", NEW)
    assert not packed.patch("95", {})
    assert not packed.patch("95", make_link(b"new", "raw", "sha2-512"))
    assert dict(packed.items()) == value
    assert sum(packed.patch(name, NEW) for name in value) == 11


def test_a_page_is_cut_behind_its_last_entry_only() -> None:
    names = [str(number) for number in range(20_000)]
    sizes = [len(dagcbor.encode_text(name)) + 41 for name in names]
    pages = [names[page] for page in cut(names, sizes)]
    packed = [
        pack(dagcbor.encode(dict.fromkeys(page, CHUNK)))
        for page in (*pages, pages[0] + pages[1], pages[0][:-1])
    ]
    told = [page.is_one_page() for page in packed if isinstance(page, Packed)]
    assert len(told) > 10
    assert all(told[:-3])
    assert told[-2:] == [False, False]


@settings(max_examples=15)
@given(st.sampled_from([9_000, 400]), st.data())
def test_updates_end_in_the_root_of_the_content(count: int, data: st.DataObject) -> None:
    chunks = {f"a/{number}": CHUNK for number in range(count)}
    store = Hierarchy()
    store.update(dict.fromkeys(chunks, b"chunk"))
    content = dict.fromkeys(chunks, b"chunk")
    store.freeze()
    for _ in range(data.draw(st.integers(1, 3))):
        for number in data.draw(st.lists(st.integers(0, count + 3), max_size=8)):
            key, value = f"a/{number}", data.draw(st.sampled_from([b"new", b"newer", None]))
            if value is not None:
                store[key] = content[key] = value
            elif key in content:
                del store[key], content[key]
        store.freeze()
        assert store.get(f"a/{count // 2}") == content.get(f"a/{count // 2}")
    fresh = Hierarchy()
    fresh.update(content)
    assert store.freeze() == fresh.freeze()


def test_a_node_is_unpacked_when_it_gets_another_name() -> None:
    blocks = CountingCAStore()
    store = Hierarchy(blocks)
    names = [f"{row}.{column}" for row in range(30) for column in range(30)]
    store.update({f"a/{name}": name.encode() for name in names})
    store["a/.zarray"] = b'{"shape": [30, 30]}'
    root = store.freeze()

    again = Hierarchy(blocks, root=root)
    assert again["a/29.29"] == b"29.29"
    directory = again.reader.tree.find_directory(["a"])
    assert directory is not None
    assert isinstance(directory.content, Packed)
    assert again["a/.zarray"] == b'{"shape":[30,30]}'
    again["a/7.7"] = b"new"
    assert isinstance(directory.content, Packed)
    del again["a/7.7"]
    assert not isinstance(directory.content, Packed)
    again["a/7.7"] = b"7.7"
    assert again.freeze() == root
    assert again.freeze() == store.freeze()


def test_directories_below_a_packed_one_are_loaded_and_dropped() -> None:
    blocks = CountingCAStore()
    store = Hierarchy(blocks)
    store.update({f"c/{row}/{column}": b"x" for row in range(40) for column in range(200)})
    root = store.freeze()
    again = Hierarchy(blocks, root=root, cache_bytes=1 << 10)
    assert all(again[f"c/{row}/199"] == b"x" for row in range(40))
    again["c/5/5"] = b"y"
    del again["c/6/6"]
    fresh = Hierarchy()
    fresh.update({key: again[key] for key in again})
    assert again.freeze() == fresh.freeze()
