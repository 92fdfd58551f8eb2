"""What the changes of several processes come to, in whatever order they are read."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipldstore.cid import Link, make_link
from ipldstore.journals.joining import Joined, Origin
from ipldstore.journals.records import Change, Record, Removal

KEYS = ["a/zarr.json", "a/c/0", "a/c/1", "b/zarr.json", "b/c/0"]
VALUES = [make_link(bytes([number]), "raw") for number in range(4)]
PATHS = ["", "a", "a/c", "b"]


class Writer:
    """A process that appends records, and knows of those that it has read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.records: list[tuple[Origin, Record]] = []
        self.seen: dict[str, int] = {}

    def look(self, others: list[Writer]) -> None:
        for other in others:
            if other is not self:
                self.seen[other.name] = len(other.records)
        # whoever knows of a record knows of all that its writer knew of
        for other in others:
            for name, count in other.seen.items():
                if name != self.name:
                    self.seen[name] = max(count, self.seen.get(name, 0))

    def append(self, record: Record) -> None:
        self.records.append((Origin(self.name, len(self.records), dict(self.seen)), record))


def join(base: dict[str, Link], records: list[tuple[Origin, Record]]) -> tuple[Any, list[str]]:
    """Return the content that records come to as a session makes it, and the conflicts."""
    joined = Joined(base.__contains__)
    content: dict[str, Any] = dict(base)
    for origin, record in records:
        keys = list(joined.add(origin, record))
        if isinstance(record, Removal):
            content = {key: value for key, value in content.items() if not below(key, record.path)}
        for key in keys:
            content[key] = joined.entry(key)
    return {key: value for key, value in content.items() if value is not None}, joined.conflicts


def below(key: str, path: str) -> bool:
    return not path or key.startswith(f"{path}/")


changes = st.builds(Change, st.sampled_from(KEYS), st.sampled_from([None, *VALUES]))
removals = st.builds(Removal, st.sampled_from(PATHS))
records = changes | removals
bases = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))


def play(steps: list[tuple[int, bool, Record]]) -> list[Writer]:
    writers = [Writer(name) for name in "xyz"]
    for index, looks, record in steps:
        if looks:
            writers[index].look(writers)
        writers[index].append(record)
    return writers


@given(
    bases, st.lists(st.tuples(st.integers(0, 2), st.just(True), records), max_size=12), st.data()
)
def test_who_looks_before_each_change_ends_with_the_last_one(
    base: dict[str, Link], steps: list[tuple[int, bool, Record]], data: st.DataObject
) -> None:
    writers = play(steps)
    found = data.draw(st.permutations([one for writer in writers for one in writer.records]))
    content: dict[str, Any] = dict(base)
    for _, _, record in steps:
        if isinstance(record, Removal):
            content = {key: value for key, value in content.items() if not below(key, record.path)}
        else:
            content[record.key] = record.entry
    expected = {key: value for key, value in content.items() if value is not None}
    assert join(base, found) == (expected, [])


@given(
    bases, st.lists(st.tuples(st.integers(0, 2), st.booleans(), records), max_size=12), st.data()
)
def test_the_order_of_reading_does_not_count(
    base: dict[str, Link], steps: list[tuple[int, bool, Record]], data: st.DataObject
) -> None:
    found = [one for writer in play(steps) for one in writer.records]
    expected = join(base, found)
    order = data.draw(st.permutations(found))
    again = data.draw(st.lists(st.sampled_from(order))) if order else []
    assert join(base, [*order, *again]) == expected


@given(bases, st.lists(st.tuples(st.integers(0, 2), st.booleans(), records), max_size=12))
def test_each_change_is_there_or_taken_back_by_one_that_knew_it_or_in_conflict(
    base: dict[str, Link], steps: list[tuple[int, bool, Record]]
) -> None:
    found = [one for writer in play(steps) for one in writer.records]
    content, conflicts = join(base, found)
    for origin, record in found:
        if isinstance(record, Removal):
            continue
        later = [
            other
            for place, other in found
            if place.knew(origin)
            and (
                below(record.key, other.path)
                if isinstance(other, Removal)
                else other[0] == record.key
            )
        ]
        is_there = content.get(record.key) == record.entry
        assert is_there or later or record.key in conflicts


@pytest.mark.parametrize("seed", range(3))
def test_one_key_written_by_turns(seed: int) -> None:
    """2,000 histories with values that come back, read in any order."""
    chance = random.Random(seed)
    for _ in range(2000):
        writers = [Writer(name) for name in "xyz"]
        value = None
        for _ in range(chance.randint(1, 7)):
            value = chance.choice([other for other in VALUES if other != value])
            writer = chance.choice(writers)
            writer.look(writers)
            writer.append(Change("a/c/0", value))
        found = [one for writer in writers for one in writer.records]
        chance.shuffle(found)
        assert join({}, found) == ({"a/c/0": value}, [])


def test_two_at_once_are_a_conflict_unless_they_are_the_same() -> None:
    one, two = Writer("x"), Writer("y")
    one.append(Change("a/c/0", VALUES[0]))
    two.append(Change("a/c/0", VALUES[1]))
    assert join({}, one.records + two.records)[1] == ["a/c/0"]
    same = Writer("y")
    same.append(Change("a/c/0", VALUES[0]))
    assert join({}, one.records + same.records) == ({"a/c/0": VALUES[0]}, [])


def test_a_value_that_two_wrote_alike_is_taken_back_by_who_knew_of_both() -> None:
    """Values before and after would not tell this from a value that was set, unset and set."""
    one, two = Writer("x"), Writer("y")
    one.append(Change("a/c/0", VALUES[0]))
    two.append(Change("a/c/0", VALUES[0]))
    one.look([one, two])
    one.append(Change("a/c/0", VALUES[1]))
    assert join({"a/c/0": VALUES[1]}, two.records + one.records) == ({"a/c/0": VALUES[1]}, [])


def test_writing_again_settles_a_conflict() -> None:
    one, two = Writer("x"), Writer("y")
    one.append(Change("a/c/0", VALUES[0]))
    two.append(Change("a/c/0", VALUES[1]))
    one.look([one, two])
    one.append(Change("a/c/0", VALUES[2]))
    assert join({}, two.records + one.records) == ({"a/c/0": VALUES[2]}, [])


def test_a_directory_deleted_beside_a_change_below_it() -> None:
    one, two = Writer("x"), Writer("y")
    one.append(Removal("a"))
    two.append(Change("a/c/0", VALUES[1]))
    found = one.records + two.records
    assert join({"a/c/0": VALUES[0]}, found)[1] == ["a/c/0"]
    # there was nothing to delete, so that the value may have come after it
    assert join({}, found) == ({"a/c/0": VALUES[1]}, [])
