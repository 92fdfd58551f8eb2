"""A picture of which chunks changed between two hierarchies: `plot_changes`."""

from __future__ import annotations

import io
import os
import secrets
from contextlib import ExitStack
from pathlib import Path

from ipldstore.cid import Link
from ipldstore.diffing import diff
from ipldstore.errors import InvalidKeyError
from ipldstore.model.cells import Shape
from ipldstore.model.metadata import Metadata, read_metadata
from ipldstore.model.outline import find_directory
from ipldstore.model.values import iter_values
from ipldstore.names.finding import Blocks, HierarchyLike, found_store, share_blocks
from ipldstore.store.archive import check_place
from ipldstore.store.deprecated import renamed
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.keys import split_path
from ipldstore.tree.nodes import Directory
from ipldstore.views.changes import ArrayChanges, Changes
from ipldstore.views.grids import ChunkGrid

MAX_ARRAYS = 12
"""Arrays that are drawn; those that changed beyond are counted."""

_SUFFIXES = (".png", ".svg")


def plot_changes(
    before: HierarchyLike,
    after: HierarchyLike,
    file: str | os.PathLike[str],
    *,
    blocks: Blocks | None = None,
    array: str | None = None,
    backend: Blocks | None = None,
) -> None:
    """Draw which chunks changed between two hierarchies.

    Each array with changes gets its grid of chunks (or shards), with what was added, changed or
    removed, what stayed the same, and what is not stored. Grids with more than two dimensions are
    folded; cells of large ones stand for several chunks. Needs the extra ``plot``. Equal input
    gives an SVG of equal bytes with the same version of matplotlib.

    Parameters
    ----------
    before, after
        The old and the new hierarchy, as in `ipldstore.diff`.
    file
        Where to: a name that ends in ``.png`` or ``.svg``. It appears once it is complete.
    blocks
        Where the blocks of roots are, as in `ipldstore.diff`.
    array
        The path of the only array to draw, whether it changed or not.
    backend
        The former name of `blocks`.

    Raises
    ------
    ValueError
        If the file's name ends otherwise.
    ImportError
        If matplotlib is not installed.
    InvalidKeyError
        If there is no array at the path in either hierarchy.
    BlockNotFoundError, CorruptBlockError, InvalidNodeError
        If a directory that is needed cannot be had or read.
    """
    path = Path(file)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"cannot draw {str(file)!r}: expected a name that ends in .png or .svg")
    try:
        from ipldstore.views.drawing import draw
    except ImportError as error:
        raise ImportError(
            f"pictures need matplotlib: pip install 'ipldstore[plot]' ({error})"
        ) from error
    drawn = io.BytesIO()
    with ExitStack() as stack:
        shared = share_blocks((before, after), renamed(blocks, backend), stack)
        old, new = (
            stack.enter_context(found_store(*side))
            for side in zip((before, after), shared, strict=True)
        )
        draw(find_changes(old, new, array), drawn, path.suffix.lower()[1:])
    _write(path, drawn.getvalue())


def find_changes(before: Hierarchy, after: Hierarchy, array: str | None) -> Changes:
    """Find out what is to be drawn; parameters and errors as in `plot_changes`."""
    found = Changes(_name(before), _name(after))
    arrays: dict[str, ArrayChanges | None] = {}
    if array is not None:
        array = "/".join(split_path(array))
        arrays[array] = _array(before, after, array)
        if arrays[array] is None:
            raise InvalidKeyError(f"no array at {array!r} in either hierarchy")
    for change in diff(before, after):
        if change.array is None or change.chunk is None:
            if array is None or change.key.rpartition("/")[0] == array:
                found.other[change.kind] += 1
            continue
        if array is not None and change.array != array:
            continue
        if change.array not in arrays:
            is_drawn = len(arrays) < MAX_ARRAYS
            arrays[change.array] = _array(before, after, change.array) if is_drawn else None
        drawn = arrays[change.array]
        if drawn is not None:
            drawn.grid.add(change.kind, change.chunk)
    found.arrays = [drawn for drawn in arrays.values() if drawn is not None]
    found.more = len(arrays) - len(found.arrays)
    for drawn in found.arrays:
        _set_present(drawn, after)
    return found


def _name(store: Hierarchy) -> str:
    root = store.root_cid
    return "unfrozen changes" if root is None else str(root)


def _array(before: Hierarchy, after: Hierarchy, path: str) -> ArrayChanges | None:
    """Lay out the grid of an array, as large as the larger one before and after."""
    old, new = (_metadata(store, path) for store in (before, after))
    grids = [side.grid for side in (new, old) if side is not None and side.grid is not None]
    if not grids:
        return None
    grid = grids[0]
    if len({len(side) for side in grids}) == 1:
        grid = tuple(max(sizes) for sizes in zip(*grids, strict=True))
    cells = {side.stored_shape for side in (old, new) if side is not None}
    note = "" if len(cells) == 1 else "other chunk shape than before"
    names = next(filter(None, (side.dimensions for side in (new, old) if side is not None)), None)
    return ArrayChanges(path, ChunkGrid(grid), _dimension_names(names, grid), note)


def _dimension_names(names: tuple[str | None, ...] | None, grid: Shape) -> tuple[str, ...]:
    names = names if names is not None and len(names) == len(grid) else (None,) * len(grid)
    return tuple(name or f"axis {axis}" for axis, name in enumerate(names))


def _metadata(store: Hierarchy, path: str) -> Metadata | None:
    load = store.blocks.get_block
    try:
        found = store.reader.look(
            lambda top, _: read_metadata(find_directory(top, split_path(path), load), load),
        )
    except InvalidKeyError:
        return None
    return found if found.kind == "array" else None


def _set_present(drawn: ArrayChanges, store: Hierarchy) -> None:
    """Tell a grid which chunks are stored."""
    load = store.blocks.get_block

    def set_present(top: Directory, _root: Link | None) -> None:
        try:
            directory = find_directory(top, split_path(drawn.path), load)
        except InvalidKeyError:
            return
        values = iter_values(directory, read_metadata(directory, load), load)
        drawn.grid.set_present(value.place for value in values if value.place is not None)

    store.reader.look(set_present)


def _write(path: Path, data: bytes) -> None:
    """Make a file appear with all that is in it."""
    check_place(path, overwrite=True)
    temporary = path.with_name(f".ipldstore-{secrets.token_hex(8)}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
