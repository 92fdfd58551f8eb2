"""Archives that version 0.1 wrote, with every kind of entry, read and written again."""

from __future__ import annotations

import pytest

from ipldstore.store.hierarchy import Hierarchy
from tests.tree.golden import ROOTS, content, load
from tests.tree.reference import root_of


@pytest.mark.parametrize("name", ROOTS)
def test_archives_of_version_0_1(name: str) -> None:
    store = Hierarchy.from_car(load(name))
    assert str(store.root_cid) == ROOTS[name]
    assert dict(store) == content(name)
    assert store.to_car() == load(name)
    assert str(store.normalize()) == ROOTS[name]


@pytest.mark.parametrize("name", ROOTS)
def test_roots_are_still_the_same(name: str) -> None:
    store = Hierarchy()
    store.update(content(name))
    assert str(store.freeze()) == ROOTS[name]


@pytest.mark.parametrize("name", ["pages", "linked-list"])
def test_roots_by_the_rules_alone(name: str) -> None:
    chunks = {key.removeprefix("a/"): value for key, value in content(name).items()}
    assert root_of(chunks)[0] == ROOTS[name]
