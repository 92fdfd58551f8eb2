"""What zarr wrote on two sides, merged, as zarr reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ipldstore import IPLDStore
from ipldstore.cid import Link, as_link
from tests.model.merging.merges import Merge, Plain, plain

zarr = pytest.importorskip("zarr", minversion="3")

Step = Callable[[Any], Any]
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


class Written(Merge):
    """Hierarchies that zarr writes: a group with an array ``a`` of four chunks, and changes of it.

    With `consolidate`, every step consolidates the metadata.
    """

    def __init__(self, zarr_format: int, *, consolidate: bool = False) -> None:
        super().__init__()
        self.zarr_format = zarr_format
        self.consolidate = consolidate
        self.base = self.after(as_link(self.blocks.put({})), self._begin)

    def _begin(self, group: Any) -> None:
        group.attrs["title"] = "t"
        self.make(group, "a", units="K")

    def make(self, group: Any, name: str, dtype: str = "int32", **attributes: Any) -> Any:
        array = group.create_array(
            name, shape=(8,), chunks=(2,), dtype=dtype, attributes=attributes
        )
        array[:] = np.arange(8)
        return array

    def after(self, root: Link, step: Step) -> Link:
        store = IPLDStore(self.blocks, root)
        step(zarr.open_group(store, mode="a", zarr_format=self.zarr_format, use_consolidated=False))
        if self.consolidate:
            zarr.consolidate_metadata(store, zarr_format=self.zarr_format)
        return as_link(store.freeze())

    def merge(self, ours: Step, theirs: Step, resolve: Any = None) -> Any:
        """Return the merged group, or the conflicts."""
        sides = self.after(self.base, ours), self.after(self.base, theirs)
        root, conflicts = self([self.base], *sides, resolve)
        return plain(conflicts) if root is None else self.open(root)

    def open(self, root: Link) -> Any:
        store = IPLDStore(self.blocks, root)
        return zarr.open_group(
            store, mode="r", zarr_format=self.zarr_format, use_consolidated=self.consolidate
        )


def put(index: Any, value: Any) -> Step:
    return lambda group: group["a"].__setitem__(index, value)


def note(**attributes: Any) -> Step:
    return lambda group: group["a"].attrs.update(attributes)


def resize(*shape: int) -> Step:
    return lambda group: group["a"].resize(shape)


def delete(name: str) -> Step:
    return lambda group: group.__delitem__(name)


def append(values: list[int]) -> Step:
    return lambda group: group["a"].append(np.array(values, "int32"))


NODE = [("node", "a", "", None)]

CONFLICTS: dict[str, tuple[Step, Step, list[Plain]]] = {
    "attribute": (note(units="C"), note(units="F"), [("attribute", "a", "units", None)]),
    "resized": (resize(10), resize(12), NODE),
    "shrunk": (resize(4), put(0, 9), NODE),
    "deleted": (delete("a"), put(0, 9), NODE),
    "deleted and noted": (note(x=1), delete("a"), NODE),
}


@FORMATS
@pytest.mark.parametrize("case", CONFLICTS)
def test_conflicts(case: str, zarr_format: int) -> None:
    ours, theirs, expected = CONFLICTS[case]
    assert Written(zarr_format).merge(ours, theirs) == expected
    assert Written(zarr_format, consolidate=True).merge(ours, theirs) == expected


@FORMATS
def test_chunks(zarr_format: int) -> None:
    written = Written(zarr_format)
    group = written.merge(put(0, 10), put(7, 70))
    assert group["a"][:].tolist() == [10, 1, 2, 3, 4, 5, 6, 70]
    key = "a/c/0" if zarr_format == 3 else "a/0"
    conflict = ("chunk", "a", key, (0,))
    assert written.merge(put(0, 10), put(1, 70)) == [conflict]
    assert written.merge(put(0, 10), put(1, 70), "theirs")["a"][:2].tolist() == [0, 70]
    assert written.merge(put(0, 10), put(0, 10))["a"][0] == 10


@FORMATS
@pytest.mark.parametrize("consolidate", [False, True])
def test_appended_on_one_side(zarr_format: int, consolidate: bool) -> None:
    written = Written(zarr_format, consolidate=consolidate)
    group = written.merge(append([8, 9]), put(0, 10))
    assert group["a"][:].tolist() == [10, *range(1, 10)]
    group = written.merge(append([8, 9]), note(x=1))
    assert group["a"].shape == (10,)
    assert dict(group["a"].attrs) == {"units": "K", "x": 1}
    assert written.merge(append([8, 9]), append([8, 8])) == NODE


@FORMATS
def test_made_anew_with_another_type(zarr_format: int) -> None:
    written = Written(zarr_format)

    def renew(group: Any) -> None:
        del group["a"]
        written.make(group, "a", "int64")

    assert written.merge(renew, put(0, 10)) == NODE
    assert written.merge(renew, put(0, 10), "ours")["a"].dtype == "int64"
    assert written.merge(renew, put(0, 10), "theirs")["a"][0] == 10
    assert written.merge(renew, note(x=1))["a"].dtype == "int64"


@FORMATS
@pytest.mark.parametrize("consolidate", [False, True])
def test_arrays_side_by_side(zarr_format: int, consolidate: bool) -> None:
    written = Written(zarr_format, consolidate=consolidate)

    def ours(group: Any) -> None:
        written.make(group, "x", side="ours")
        written.make(group.create_group("g", attributes={"g": 1}), "deep", depth=2)
        group.attrs["ours"] = 1

    def theirs(group: Any) -> None:
        written.make(group, "y", side="theirs")
        group["a"].attrs["units"] = "C"
        group.attrs["theirs"] = 2

    group = written.merge(ours, theirs)
    assert dict(group.attrs) == {"title": "t", "ours": 1, "theirs": 2}
    assert sorted(name for name, _ in group.members(max_depth=None)) == [
        *("a", "g", "g/deep", "x", "y")
    ]
    found = {name: dict(node.attrs) for name, node in group.members(max_depth=None)}
    assert found == {
        "a": {"units": "C"},
        "g": {"g": 1},
        "g/deep": {"depth": 2},
        "x": {"side": "ours"},
        "y": {"side": "theirs"},
    }
    assert group["g/deep"][:].tolist() == group["y"][:].tolist() == list(range(8))


@FORMATS
def test_entries_are_those_that_zarr_would_write(zarr_format: int) -> None:
    written = Written(zarr_format, consolidate=True)
    sides = [
        written.after(written.base, lambda group: written.make(group.create_group("g"), "x")),
        written.after(written.base, lambda group: written.make(group, "y", units="m")),
    ]
    root, _ = written([written.base], *sides)
    assert root is not None
    assert written.after(root, lambda group: None) == root, "zarr consolidates it differently"


@FORMATS
def test_consolidated_by_one_side_only(zarr_format: int) -> None:
    """What the other one changed is in the entries, although it did not consolidate."""
    written = Written(zarr_format, consolidate=True)
    ours = written.after(written.base, lambda group: written.make(group, "x"))
    written.consolidate = False

    def plainly(group: Any) -> None:
        written.make(group, "y")
        written.make(group.create_group("g"), "z")
        group["a"].attrs["units"] = "C"

    theirs = written.after(written.base, plainly)
    root, _ = written([written.base], ours, theirs)
    assert root is not None
    written.consolidate = True
    group = written.open(root)
    assert sorted(name for name, _ in group.members(max_depth=None)) == ["a", "g", "g/z", "x", "y"]
    assert group["a"].attrs["units"] == "C"
    if zarr_format == 3:  # zarr 3 adds a field to entries of groups of format 2
        assert written.after(root, lambda group: None) == root


@FORMATS
def test_members_that_are_gone_are_no_entries(zarr_format: int) -> None:
    written = Written(zarr_format, consolidate=True)
    group = written.merge(delete("a"), lambda group: written.make(group, "b"))
    assert list(group) == ["b"]
    group = written.merge(delete("a"), put(0, 1), "ours")
    assert list(group) == []
    group = written.merge(delete("a"), put(0, 1), "theirs")
    assert list(group) == ["a"]
    assert dict(group["a"].attrs) == {"units": "K"}


@FORMATS
def test_entries_follow_what_resolve_says(zarr_format: int) -> None:
    written = Written(zarr_format, consolidate=True)
    for side, units in (("ours", "C"), ("theirs", "F")):
        group = written.merge(note(units="C", x=1), note(units="F", y=2), side)
        assert dict(group["a"].attrs) == {"units": units, "x": 1, "y": 2}


@FORMATS
def test_consolidated_metadata_removed_on_one_side(zarr_format: int) -> None:
    written = Written(zarr_format, consolidate=True)
    ours = written.after(written.base, lambda group: written.make(group, "x"))
    content = written.content(written.base)
    key = ".zmetadata" if zarr_format == 2 else "zarr.json"
    document = json.loads(content.pop(key))
    if zarr_format == 3:
        del document["consolidated_metadata"]
        content[key] = json.dumps(document).encode()
    root, _ = written([written.base], ours, written.root(content))
    assert root is not None
    assert b"consolidated" not in written.content(root).get(key, b"")
    written.consolidate = False
    assert sorted(written.open(root)) == ["a", "x"]


@FORMATS
def test_an_array_and_a_group_of_one_name(zarr_format: int) -> None:
    written = Written(zarr_format)
    found = written.merge(
        lambda group: written.make(group, "n"), lambda group: group.create_group("n")
    )
    assert found == [("node", "n", "", None)]
    found = written.merge(
        lambda group: written.make(group, "n"), lambda group: written.make(group, "n", "int64")
    )
    assert found == [("node", "n", "", None)]
    group = written.merge(
        lambda group: written.make(group, "n", x=1), lambda group: written.make(group, "n", y=2)
    )
    assert dict(group["n"].attrs) == {"x": 1, "y": 2}


def test_a_shard_is_a_chunk() -> None:
    written = Written(3)

    def make(group: Any) -> None:
        array = group.create_array("s", shape=(8,), chunks=(1,), shards=(4,), dtype="int8")
        array[:] = 1

    written.base = written.after(written.base, make)
    found = written.merge(
        lambda group: group["s"].__setitem__(0, 2), lambda group: group["s"].__setitem__(1, 3)
    )
    assert found == [("chunk", "s", "s/c/0", (0,))]
    group = written.merge(
        lambda group: group["s"].__setitem__(0, 2), lambda group: group["s"].__setitem__(7, 3)
    )
    assert group["s"][:].tolist() == [2, 1, 1, 1, 1, 1, 1, 3]


@FORMATS
def test_two_bases_of_a_merge_across(zarr_format: int) -> None:
    """Each side merged an earlier one of the other; what both took over is no conflict."""
    written = Written(zarr_format, consolidate=True)
    left = written.after(written.base, lambda group: written.make(group, "x", side=1))
    right = written.after(written.base, note(units="C"))
    both, _ = written([written.base], left, right)
    assert both is not None
    ours = written.after(both, put(0, 10))
    theirs = written.after(both, lambda group: written.make(group, "y", side=2))
    root, conflicts = written([left, right], ours, theirs)
    assert conflicts == []
    assert root is not None
    group = written.open(root)
    assert sorted(group) == ["a", "x", "y"]
    assert group["a"].attrs["units"] == "C"
    assert group["a"][0] == 10
    assert written.after(root, lambda group: None) == root
