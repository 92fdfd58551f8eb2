"""Places in a grid as few boxes: all of them, and nothing else unless it is said."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipldstore.model import boxes as boxes_module
from ipldstore.model.boxes import MAX_BOXES, Places, elements_of, join_boxes


def gather(places):
    gathered = Places()
    for place in places:
        gathered.add(place)
    return gathered.boxes()


def within(boxes):
    return {place for box in boxes for place in product(*(range(*side) for side in box))}


@given(st.integers(0, 3).flatmap(lambda n: st.sets(st.tuples(*[st.integers(0, 4)] * n))), st.data())
def test_boxes_hold_what_was_added(places, data):
    boxes, is_exact = gather(data.draw(st.permutations(sorted(places))))
    assert len(boxes) <= MAX_BOXES
    assert within(boxes) >= places
    assert not is_exact or within(boxes) == places


@pytest.mark.parametrize(
    ("places", "boxes"),
    [
        ([], []),
        ([()], [()]),
        ([(3,), (4,), (7,)], [((3, 5),), ((7, 8),)]),
        (list(product(range(2, 5), range(6))), [((2, 5), (0, 6))]),
        (list(product(range(3), range(2), range(1, 4))), [((0, 3), (0, 2), (1, 4))]),
        ([(0, 0), (0, 1), (1, 0)], [((0, 1), (0, 2)), ((1, 2), (0, 1))]),
        ([(1, 1), (1, 1)], [((1, 2), (1, 2))]),
    ],
)
def test_by_hand(places, boxes):
    assert gather(places) == (boxes, True)


def test_many_boxes_become_one():
    assert gather([(2 * index,) for index in range(MAX_BOXES)])[1]
    assert gather([(2 * index,) for index in range(MAX_BOXES + 1)]) == ([((0, 41),)], False)


def test_what_is_held_is_bounded(monkeypatch):
    monkeypatch.setattr(boxes_module, "MAX_HELD_BOXES", 10)
    column = [(row, 5) for row in range(1000)]
    assert gather(column) == ([((0, 1000), (5, 6))], True)
    scattered = Places()
    for index in range(1000):
        scattered.add((index, 2 * index))
    assert scattered._boxes is None
    assert scattered.boxes() == ([((0, 1000), (0, 1999))], False)


def test_places_of_another_grid_are_left_out():
    assert gather([(1, 1), (4,), (1, 2)]) == ([((1, 2), (1, 3))], True)


@pytest.mark.parametrize(
    ("box", "cells", "shape", "elements"),
    [
        ((), (), (), ()),
        (((1, 3),), (4,), (20,), ((4, 12),)),
        (((1, 3),), (4,), (10,), ((4, 10),)),
        (((5, 6),), (4,), (10,), None),
        (((10**300, 10**301),), (4,), (10,), None),
        (((0, 2), (1, 2)), (2, 3), (4, 6), ((0, 4), (3, 6))),
        (((1, 3),), (((2, 1), (5, 2), (1, 1)),), (13,), ((2, 12),)),
        (((3, 9),), (((2, 1), (5, 2), (1, 1)),), (13,), ((12, 13),)),
    ],
)
def test_elements(box, cells, shape, elements):
    assert elements_of(box, cells, shape) == elements


def test_joining_takes_boxes_that_overlap():
    assert join_boxes([((0, 3),), ((2, 5),), ((1, 2),)]) == [((0, 5),)]
