"""The mapping behaves as a dict does, whatever is frozen and reopened in between."""

import pytest
from examples import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ipldstore import IPLDStore

# No value of these stands where a directory has to be; a dict knows no such thing.
PLAIN_KEYS = ["a", "b/0", "b/1", "b/10", "b/2", "b/c/d/0", "x/y", "z z", "é/é"]
METADATA_KEYS = [".zattrs", "b/.zarray", "b/c/zarr.json"]
FILL_KEYS = [f"fill/{index}" for index in range(250)]

PLAIN = st.tuples(st.sampled_from(PLAIN_KEYS), st.binary(max_size=4) | st.just(b"v" * 9_000))
METADATA = st.tuples(
    st.sampled_from(METADATA_KEYS),
    st.sampled_from([b"{}", b'{"a":1,"bb":[0.5]}', b'{"a":"' + b"x" * 9_000 + b'"}', b"not JSON"]),
)
ITEMS = PLAIN | METADATA
KEYS = st.sampled_from(PLAIN_KEYS + METADATA_KEYS)
ABSENT = object()


class MappingMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.store = IPLDStore()
        self.model = {}

    @rule(item=ITEMS)
    def set(self, item):
        key, value = item
        self.store[key] = value
        self.model[key] = value

    @rule(items=st.lists(ITEMS, max_size=4).map(dict))
    def update(self, items):
        self.store.update(items)
        self.model.update(items)

    @rule(count=st.integers(1, len(FILL_KEYS)))
    def fill(self, count):
        items = dict.fromkeys(FILL_KEYS[:count], b"f")
        self.store.update(items)
        self.model.update(items)

    @rule(key=KEYS)
    def delete(self, key):
        if key in self.model:
            del self.store[key], self.model[key]
        else:
            with pytest.raises(KeyError, match=key):
                del self.store[key]

    @rule(key=KEYS)
    def look_up(self, key):
        assert (key in self.store) == (key in self.model)
        assert self.store.get(key) == self.model.get(key)
        assert self.store.get(key, ABSENT) == self.model.get(key, ABSENT)
        if key in self.model:
            assert self.store[key] == self.model[key]
            assert type(self.store[key]) is bytes
        else:
            with pytest.raises(KeyError, match=key):
                self.store[key]

    @rule(key=KEYS)
    def pop(self, key):
        assert self.store.pop(key, ABSENT) == self.model.pop(key, ABSENT)
        with pytest.raises(KeyError):
            self.store.pop(key)

    @rule()
    def popitem(self):
        if self.model:
            key, value = self.store.popitem()
            assert self.model.pop(key) == value
        else:
            with pytest.raises(KeyError):
                self.store.popitem()

    @rule(item=ITEMS)
    def setdefault(self, item):
        assert self.store.setdefault(*item) == self.model.setdefault(*item)

    @rule()
    def clear(self):
        self.store.clear()
        self.model.clear()

    @rule()
    def freeze(self):
        assert self.store.freeze() == self.store.root_cid

    @rule()
    def reopen(self):
        self.store = IPLDStore(self.store.backend, root=self.store.freeze())

    @rule()
    def delete_while_iterating_a_list(self):
        for key in list(self.store):
            if key.startswith("fill/"):
                del self.store[key], self.model[key]

    @rule()
    def compare_all(self):
        assert dict(self.store.items()) == self.model
        assert sorted(self.store.values()) == sorted(self.model.values())
        assert set(self.store.keys()) == self.model.keys()
        copy = IPLDStore(self.store.backend)
        copy.update(self.model)
        assert copy == self.store
        copy["another"] = b""
        assert copy != self.store

    @invariant()
    def has_the_same_keys(self):
        keys = list(self.store)
        assert set(keys) == self.model.keys()
        assert len(keys) == len(self.store) == len(self.model)
        assert bool(self.store) == bool(self.model)


TestMapping = MappingMachine.TestCase
TestMapping.settings = settings(deadline=None, max_examples=examples(80), stateful_step_count=30)
