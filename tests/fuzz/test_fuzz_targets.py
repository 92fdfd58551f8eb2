"""The fuzz targets on the seeds, on the corpora that fuzzing left, and on changed ones."""

import random

import pytest
from bundles import bundle_of, read_bundle
from corpus import load_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import hierarchies, seeds_of
from targets import TARGETS, run

from ipldstore.cid import as_link

pytestmark = pytest.mark.once


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_are_accepted(target):
    seeds = seeds_of(target)
    assert sum(run(target, seed) for seed in seeds) >= len(seeds) - 1


@pytest.mark.parametrize("target", TARGETS)
def test_corpus_raises_typed_errors_only(target):
    for data in load_corpus(target):
        run(target, data)


@pytest.mark.parametrize("target", TARGETS)
def test_every_truncation_of_a_seed(target):
    for seed in seeds_of(target):
        for size in range(min(len(seed), 400)):
            run(target, seed[:size])


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=40, deadline=None)
@given(chance=st.randoms(use_true_random=False), changes=st.integers(1, 4))
def test_changed_seeds(target, chance, changes):
    data = bytearray(chance.choice(_CHANGED[target]))
    for _ in range(changes):
        _change(data, chance)
    run(target, bytes(data))


_CHANGED = {target: [*seeds_of(target), *load_corpus(target)] for target in TARGETS}


def _change(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((0, 1, 1, 2, 9)))
    data[start:end] = chance.choice(
        (chance.randbytes(1), data[start:end] * 2, b"", b"\xff" * 8, b"\x5f", b"\x80")
    )


@pytest.mark.parametrize("number", range(6))
def test_bundles_hold_what_they_were_made_of(number):
    store = hierarchies()[number]
    root = as_link(store.freeze())
    blocks = read_bundle(bundle_of(root, store.backend.get_block))
    assert blocks[-1] == (root, store.backend.get_block(root))
    assert all(store.backend.get_block(link) == data for link, data in blocks)
