"""The tree of names in a terminal: its look, its width, and names that would steer a terminal."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shown_hierarchies import ARRAY, small

from ipldstore.basics.words import number_text, size_text
from ipldstore.model.outline import Outline
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.outline import outline
from ipldstore.views.treelines import iter_tree_lines


def example():
    count = Outline(
        "count", "forecast/count", "array", 3, (9,), None, "int64", (3,), (9,), 1, 1, 500_000
    )
    p = Outline("p", "forecast/p", "array", 2, None, None, "float64")
    air = Outline(
        "air", "air", "array", 2, (9, 25), None, "float32", (4, 25), None, 2, 3, 9_500_000
    )
    scalar = Outline("scalar", "scalar", "array", 2, (), None, None, (), None, 0, 1, 0)
    forecast = Outline("forecast", "forecast", "group", stored_bytes=500_000, children=[count, p])
    return Outline("", "", "group", stored_bytes=10_000_000, children=[air, forecast, scalar])


def lines(found, width=80, **options):
    return list(iter_tree_lines(found, width=width, **options))


def cells(text):
    """Count cells of a terminal by Unicode's own tables."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def test_at_80_columns():
    assert lines(example()) == [
        "name           type     shape   chunk shape       chunks    stored",
        "/              group                                       10.0 MB",
        "├── air        float32  9×25    4×25                 2/3    9.5 MB",  # noqa: RUF001
        "├── forecast   group                                      500.0 kB",
        "│   ├── count  int64    9       3 in 9        1/1 shards  500.0 kB",
        "│   └── p      float64  ?       ?            not counted",
        "└── scalar     unknown  scalar  scalar               0/1   0 bytes",
    ]


def test_at_40_columns():
    found = lines(example(), 40)
    assert max(map(cells, found)) <= 40
    assert found[2] == "├── air    flo…  9×25  4×25   2/3   9.5…"  # noqa: RUF001


def test_in_ascii():
    found = lines(example(), ascii_only=True)
    assert found[2:5] == [
        "|-- air        float32  9x25    4x25                 2/3    9.5 MB",
        "|-- forecast   group                                      500.0 kB",
        "|   |-- count  int64    9       3 in 9        1/1 shards  500.0 kB",
    ]
    assert "".join(found).isascii()


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_are_cut(width):
    store = small()
    store[f"{'long' * 100}/.zarray"] = ARRAY % (b"5", b"5")
    found = lines(outline(store), width)
    assert max(map(cells, found)) <= width
    name = next(line.split()[1] for line in found if "long" in line)
    assert name.endswith("…")
    assert ("long" * 100).startswith(name[:-1])
    assert len(name) > width // 4


def test_wide_and_combining_characters_keep_the_columns():
    names = ["気温", "e\u0301te\u0301", "ascii", "한국"]
    children = [Outline(name, name, "array", 2, (1,), None, "int8", (1,)) for name in names]
    found = lines(Outline("", "", "group", children=children))
    assert len({cells(line[: line.index("int8")]) for line in found[2:]}) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb", r"a\nb"),
        ("\r\x08", r"\r\x08"),
        ("\u202ecod.exe", r"\u202ecod.exe"),
        ("a\u2028b", r"a\u2028b"),
        ("\x9b5n", r"\x9b5n"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_names_cannot_steer_a_terminal(name, shown):
    store = Hierarchy()
    document = b'{"shape": [1], "chunks": [1], "dtype": "%s"}' % b"\\u001b[1m"
    store[f"{name}/.zarray"] = document
    found = lines(outline(store))
    assert found[2].startswith(f"└── {shown}  ")
    assert r"\x1b[1m" in found[2]
    assert all(line.isprintable() for line in found)
    assert all(line.isascii() for line in lines(outline(store), ascii_only=True))


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.text(min_size=1, max_size=30), max_size=6),
    dtype=st.text(max_size=30),
    size=st.integers(0, 2**70),
    width=st.integers(40, 140),
    ascii_only=st.booleans(),
)
def test_no_line_is_too_wide(names, dtype, size, width, ascii_only):
    from rich.cells import cell_len

    top = node = Outline("", "", "group")
    for name in names:
        child = Outline(name, name, "array", 3, (size, 2), None, dtype, (1, 1), (size + 1, 2))
        child.chunks_present, child.chunks_possible, child.stored_bytes = size, size, size
        node.children.append(child)
        node.kind, node = "group", child
    for line in lines(top, width, ascii_only=ascii_only):
        assert cell_len(line) <= width
        assert line.isprintable()
        assert line.isascii() or not ascii_only


def test_many_levels():
    top = node = Outline("", "", "group")
    for _ in range(127):
        node.children.append(Outline("g", "g", "group"))
        node = node.children[0]
    found = lines(top)
    assert len(found) == 129
    assert max(map(len, found)) <= 80


def test_what_was_not_loaded_says_so():
    found = Outline("", "", "group", children=[Outline("far", "far", is_loaded=False)])
    assert lines(found)[2] == "└── far  not loaded"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (10**15 - 1, "9" * 15), (10**15, "1.0e15"), (2**512, "1.3e154"), (2**4096, "huge")],
)
def test_numbers_of_any_length(number, text):
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2 * 10**15, "2000.0 TB")],
)
def test_sizes(size, text):
    assert size_text(size) == text
