"""Pictures of changes: what is counted where, the files, and that nothing else is touched."""

import math
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shown_hierarchies import ARRAY, small

from ipldstore import BlockNotFoundError, BlockStoreURLError, InvalidKeyError, MappingCAStore
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.views.picture import MAX_ARRAYS, find_changes, plot_changes

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.image import imread  # noqa: E402

from ipldstore.views.drawing import COLORS  # noqa: E402
from ipldstore.views.grids import MAX_CELLS, MAX_PANELS, ChunkGrid, Side  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def grid_of(shape):
    ones = b", ".join([b"1"] * len(shape))
    return ARRAY % (", ".join(map(str, shape)).encode(), ones)


def pair(shape, old, new, path="a"):
    """Make two versions of an array of the given chunks, each a dict of places and bytes."""
    store = Hierarchy()
    roots = []
    for chunks in (old, new):
        store.clear()
        store[f"{path}/.zarray"] = grid_of(shape)
        for place, data in chunks.items():
            store[f"{path}/{'.'.join(map(str, place))}"] = data
        roots.append(store.freeze())
    return roots[0], store


def changes_of(before, store, array=None):
    return find_changes(Hierarchy(store.backend, root=before), store, array)


def colors_in(path):
    """Count the pixels of each color that the legend has too."""
    pixels = np.rint(imread(path)[..., :3] * 255).astype(int).reshape(-1, 3)
    found = Counter(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in pixels.tolist())
    return {kind: found[color] for kind, color in COLORS.items()}


OLD = {(0, 0): b"a", (0, 1): b"b", (1, 0): b"c"}
NEW = {(0, 0): b"a", (0, 1): b"B", (1, 2): b"d"}


def test_what_is_counted():
    found = changes_of(*pair((2, 3), OLD, NEW))
    (array,) = found.arrays
    counts = {kind: counts[0].tolist() for kind, counts in array.grid.counts.items()}
    assert counts == {
        "added": [[0, 0, 0], [0, 0, 1]],
        "changed": [[0, 1, 0], [0, 0, 0]],
        "removed": [[0, 0, 0], [1, 0, 0]],
        "same": [[1, 0, 0], [0, 0, 0]],
    }


@pytest.mark.parametrize("suffix", ["png", "PNG", "svg"])
def test_files(tmp_path, suffix):
    before, after = pair((2, 3), OLD, NEW)
    file = tmp_path / f"changes.{suffix}"
    plot_changes(before, after, file)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    if suffix == "svg":
        assert ElementTree.parse(file).getroot().tag == f"{SVG}svg"
    else:
        assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_colors_of_a_picture(tmp_path):
    """Each kind has one chunk, so each has the same area, beside the squares of the legend."""
    file = str(tmp_path / "changes.png")
    plot_changes(*pair((2, 3), OLD, NEW), file)
    found = colors_in(file)
    assert min(found.values()) > 500
    assert max(found.values()) < 1.2 * min(found.values())
    before, after = pair((2, 3), {(0, 0): b"a"}, {(0, 0): b"b"})
    plot_changes(before, after, file)
    assert colors_in(file)["changed"] > 3 * colors_in(file)["added"]


def test_a_large_grid_shows_the_share(tmp_path):
    old = {(i, j): b"o" for i in range(140) for j in range(140)}
    new = {place: b"n" if place == (7, 7) or place[0] >= 70 else b"o" for place in old}
    before, after = pair((140, 140), old, new)
    (array,) = changes_of(before, after).arrays
    assert array.grid.counts["changed"].shape == (1, MAX_CELLS, MAX_CELLS)
    assert array.grid.totals() == {"added": 0, "removed": 0, "changed": 9801, "same": 9799}
    assert array.grid.chunks_per_cell == 4
    file = str(tmp_path / "changes.png")
    plot_changes(before, after, file)
    found = colors_in(file)
    assert found["changed"] > 5 * found["added"]


@pytest.mark.parametrize(
    ("grid", "panels", "rows", "columns"),
    [
        ((), (), (), ()),
        ((7,), (), (), (0,)),
        ((0,), (), (), (0,)),
        ((1, 9, 1), (), (), (1,)),
        ((4, 5), (), (0,), (1,)),
        ((120, 2, 3), (), (1, 2), (0,)),
        ((2, 3, 50), (), (0, 1), (2,)),
        ((10, 20, 30), (0,), (1,), (2,)),
        ((3, 10, 20, 30), (0, 1), (2,), (3,)),
    ],
)
def test_where_axes_go(grid, panels, rows, columns):
    found = ChunkGrid(grid)
    assert (found.panels.axes, found.rows.axes, found.columns.axes) == (panels, rows, columns)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), max_size=3), limit=st.integers(1, 50))
def test_each_chunk_falls_into_one_cell(sizes, limit):
    side = Side(tuple(sizes), range(len(sizes)), limit)
    places = list(np.ndindex(*sizes))
    cells = [side.bin_of(place) for place in places]
    assert cells == sorted(cells)
    assert set(cells) == set(range(side.bins))
    assert side.length == math.prod(sizes) == len(cells)
    assert max(Counter(cells).values()) == side.chunks_per_cell
    assert [tuple(side.place_of(index)) for index in range(side.length)] == places


def test_huge_grids(tmp_path):
    before, after = pair((2**62, 2**63, 2**60), {}, {(2**61, 5, 2**59): b"x"})
    (array,) = changes_of(before, after).arrays
    assert array.grid.counts["added"].shape == (MAX_PANELS, MAX_CELLS, MAX_CELLS)
    assert array.grid.counts["added"][MAX_PANELS // 2, 0, MAX_CELLS // 2] == 1
    plot_changes(before, after, tmp_path / "huge.png")


@pytest.mark.parametrize("shape", [(), (1,), (500,), (3, 4, 5), (2, 20, 20), (2, 3, 4, 30, 5)])
def test_any_number_of_dimensions(tmp_path, shape):
    last = tuple(size - 1 for size in shape) or (0,)
    before, after = pair(shape, {}, {last: b"x"})
    plot_changes(before, after, tmp_path / "a.svg")
    (array,) = changes_of(before, after).arrays
    assert array.grid.totals()["added"] == 1
    assert array.grid.counts["added"].flat[-1] == 1


def test_an_array_that_grew():
    before, store = pair((3, 1), {(i, 0): b"x" for i in range(3)}, {})
    store["a/.zarray"] = grid_of((5, 1))
    for i in range(5):
        store[f"a/{i}.0"] = b"x"
    found = changes_of(before, store)
    assert found.arrays[0].grid.grid == (5, 1)
    assert found.arrays[0].grid.totals() == {"added": 2, "changed": 0, "removed": 0, "same": 3}
    assert found.arrays[0].note == ""
    assert found.other == {"changed": 1}


def test_arrays_that_came_and_went():
    before, store = pair((2,), {(0,): b"x"}, {})
    store.clear()
    store["b/.zarray"] = ARRAY % (b"4", b"2")
    store["b/0"] = b"y"
    found = {array.path: array.grid.totals() for array in changes_of(before, store).arrays}
    assert found["a"] == {"added": 0, "changed": 0, "removed": 1, "same": 0}
    assert found["b"] == {"added": 1, "changed": 0, "removed": 0, "same": 0}


def test_other_chunks_than_before():
    before, store = pair((4,), {(0,): b"x"}, {})
    store["a/.zarray"] = ARRAY % (b"4", b"2")
    store["a/1"] = b"z"
    assert changes_of(before, store).arrays[0].note == "other chunk shape than before"


def test_one_array(tmp_path):
    before, store = pair((2,), {(0,): b"x"}, {(0,): b"y"})
    store["b/.zarray"] = grid_of((1,))
    found = changes_of(before, store, "a/")
    assert [array.path for array in found.arrays] == ["a"]
    assert found.other == {}
    assert changes_of(before, store, "b").arrays[0].grid.totals()["added"] == 0
    with pytest.raises(InvalidKeyError, match="no array at 'c'"):
        plot_changes(before, store, tmp_path / "a.png", array="c")
    assert list(tmp_path.iterdir()) == []


def test_many_arrays():
    store = Hierarchy()
    before = store.freeze()
    for i in range(MAX_ARRAYS + 3):
        store[f"{i}/.zarray"] = grid_of((2,))
        store[f"{i}/0"] = b"x"
    found = changes_of(before, store)
    assert (len(found.arrays), found.more) == (MAX_ARRAYS, 3)


def test_nothing_changed(tmp_path):
    store = small()
    root = store.freeze()
    plot_changes(root, store, tmp_path / "same.png")
    plot_changes(root, root, tmp_path / "same.svg", blocks=store.backend)
    assert ElementTree.parse(tmp_path / "same.svg").getroot() is not None
    assert changes_of(root, store).arrays == []


def test_equal_input_gives_equal_svg(tmp_path):
    before, after = pair((20, 30), OLD, NEW)
    files = [tmp_path / name for name in ("a.svg", "b.svg")]
    for file in files:
        plot_changes(before, after, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert b"dc:date" not in files[0].read_bytes()


def test_names_of_others(tmp_path):
    path = "$\\frac{$ 気温 \x1b[1m <b>"
    before, after = pair((2, 3), OLD, NEW, path=path)
    for suffix in ("svg", "png"):
        plot_changes(before, after, tmp_path / f"a.{suffix}")
    assert b"\x1b" not in (tmp_path / "a.svg").read_bytes()


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.svgz", ".png"])
def test_other_suffixes(tmp_path, name):
    with pytest.raises(ValueError, match=r"ends in \.png or \.svg"):
        plot_changes(*pair((2,), {}, {}), tmp_path / name)


def test_two_cids_need_a_block_store(tmp_path):
    root = Hierarchy().freeze()
    with pytest.raises(BlockStoreURLError, match="does not say where its blocks are"):
        plot_changes(root, root, tmp_path / "a.png")


def test_no_file_where_a_block_is_missing(tmp_path):
    before, after = pair((2, 3), OLD, NEW)
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(BlockNotFoundError):
        plot_changes(before, after, tmp_path / "a.png", blocks=MappingCAStore({}))
    plot_changes(before, after, tmp_path / "b.png", blocks=after.backend)
    with pytest.raises(BlockNotFoundError):
        plot_changes(before, before, tmp_path / "a.png", blocks=MappingCAStore({}))
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_matplotlib_is_as_it_was(tmp_path):
    settings_before = dict(matplotlib.rcParams)
    plot_changes(*pair((2, 3), OLD, NEW), tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == settings_before


def test_pyplot_is_not_imported():
    code = "import sys, ipldstore.views.drawing; print('matplotlib.pyplot' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_a_style_of_the_users_changes_nothing(tmp_path):
    before, after = pair((2, 3), OLD, NEW)
    plot_changes(before, after, tmp_path / "a.svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True}):
        plot_changes(before, after, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipldstore.views.drawing", None)
    with pytest.raises(ImportError, match=r"pip install 'ipldstore\[plot\]'"):
        plot_changes(*pair((2,), {}, {}), tmp_path / "a.png")
