"""A root CID says what the content is, not how, when, where or in what order it was written."""

import json
import pickle
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from format_model import METADATA_NAMES, expected_root
from hypothesis import given, settings
from hypothesis import strategies as st
from watched import CountingStore
from writers import PARTS, value_of, write_keys

from ipldstore import DirectoryCAStore, InvalidKeyError, IPLDStore

pytestmark = pytest.mark.once

SEGMENTS = st.sampled_from(["a", "b", "0", "1", "2", "10", "é", "a0"])
KEYS = st.tuples(
    st.lists(SEGMENTS, max_size=2), SEGMENTS | st.sampled_from([".zattrs", "zarr.json"])
).map(lambda parts: "/".join([*parts[0], parts[1]]))
DOCUMENTS = st.sampled_from(
    [{}, {"b": [1, None], "a": {"é": -0.0}}, {"x": "y" * 8_180}, {"x": "y" * 8_200}]
)


def value_for(key, number, document):
    name = key.rpartition("/")[2]
    return json.dumps(document).encode() if name in METADATA_NAMES else b"%d" % number


def fill(folder, count):
    """A step that writes so many keys in a directory, of which about 180 make it a block."""
    return "fill", {f"{folder}/{index}": b"%d" % (index % 7) for index in range(count)}


STEPS = st.one_of(
    st.builds(
        lambda key, number, document: ("fill", {key: value_for(key, number, document)}),
        KEYS,
        st.integers(0, 3),
        DOCUMENTS,
    ),
    st.builds(fill, st.sampled_from(["a", "b/c"]), st.sampled_from([5, 170, 190, 400])),
    st.tuples(st.just("delete"), st.integers(0, 1_000)),
    st.tuples(st.just("delete directory"), st.integers(0, 1_000)),
    st.tuples(st.sampled_from(["freeze", "reload", "reopen", "pickle", "normalize"]), st.none()),
    st.tuples(st.just("read"), st.integers(0, 1_000)),
)


def written(content):
    store = IPLDStore()
    store.update(content)
    return str(store.freeze())


def fill_where_there_is_room(store, content, new):
    for key, value in new.items():
        try:
            store[key] = value
        except InvalidKeyError:
            continue
        content[key] = value


def keys_to_delete(content, key, *, whole_directory):
    folder = key.rpartition("/")[0] + "/"
    gone = [other for other in content if other.startswith(folder)] if whole_directory else []
    return gone or [key]


def take_step(store, content, step, argument):
    """Take a step on a store and the dict it has to equal; return the store to go on with."""
    if step == "fill":
        fill_where_there_is_room(store, content, argument)
    elif step in ("freeze", "normalize"):
        assert str(getattr(store, step)()) == expected_root(content)
    elif step == "reload":
        store.set_root(store.freeze())
    elif step == "reopen":
        return IPLDStore(store.backend, root=store.freeze())
    elif step == "pickle":
        return pickle.loads(pickle.dumps(store))
    elif content:
        key = sorted(content)[argument % len(content)]
        assert key in store
        if step != "read":
            whole = step == "delete directory"
            for gone in keys_to_delete(content, key, whole_directory=whole):
                del store[gone], content[gone]
    return store


@given(st.lists(STEPS, max_size=12))
@settings(deadline=None, max_examples=150)
def test_any_history_ends_in_the_root_of_its_content(steps):
    store, content = IPLDStore(), {}
    for step, argument in steps:
        store = take_step(store, content, step, argument)
    assert set(store) == set(content)
    root = str(store.freeze())
    assert root == expected_root(content) == written(content)


PAGED_ROOT = "bafyreiblkigplajzjhftyyhdxrj7dqa46673ikdkwccy5lrbyehwgpcgwq"


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_a_paged_directory(seed):
    """Written, overwritten, deleted and written anew, frozen and reopened in between."""
    chooser = random.Random(seed)
    content = {f"c/{index // 80}/{index % 80}": b"c" for index in range(400)}
    content |= {f"v/{index // 80}.{index % 80}": b"v" for index in range(6_000)}
    keys = chooser.sample(sorted(content), len(content))
    extra = [f"v/x{index}" for index in range(900)] + ["v/.zattrs"]
    store = IPLDStore(CountingStore())
    for key in [*keys[:4_000], *extra]:
        store[key] = b"old"
    store = IPLDStore(store.backend, root=store.freeze())
    for key in chooser.sample(extra, len(extra)):
        del store[key]
    store.set_root(store.freeze())
    for key in keys[3_000:]:
        store[key] = content[key]
    store = IPLDStore(store.backend, root=store.freeze())
    for key in keys[:3_000]:
        store[key] = content[key]
    assert str(store.freeze()) == PAGED_ROOT
    if not seed:
        assert expected_root(content) == PAGED_ROOT


def test_processes_that_write_into_one_folder(tmp_path):
    """Each writes all keys in an order of its own, and one that it takes away again."""
    context = get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=context) as pool:
        roots = set(pool.map(write_keys, [str(tmp_path)] * 3, range(3)))
    content = {key: value_of(key) for key in PARTS}
    assert roots == {expected_root(content)}
    store = IPLDStore(DirectoryCAStore(tmp_path), root=roots.pop())
    assert dict(store.items()) == content
