"""One file against a dict, whatever is put, frozen, closed and opened again in whatever order."""

import shutil
import tempfile
from pathlib import Path

from examples import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ipldstore import IPLDStore
from ipldstore.backends.carfile.store import CARStore
from ipldstore.backends.sqlite.store import SQLiteCAStore
from ipldstore.cid import make_link

keys = st.sampled_from(["a/0", "a/1", "b/c/0", "zarr.json", "b/zarr.json"])
values = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 9).map(lambda n: b"%d" % n * 70_000),
    st.just(b'{"x":1}'),
)


class OneFile(RuleBasedStateMachine):
    """A hierarchy and loose blocks on one file, with dicts of what they should hold."""

    @initialize(hash_name=st.sampled_from(["sha2-256", "blake2b-256"]))
    def begin(self, hash_name):
        self.hash_name = hash_name
        self.folder = Path(tempfile.mkdtemp())
        self.model, self.frozen, self.blocks = {}, {}, {}
        self.root = None
        self.backend = self.make()
        self.store = IPLDStore(self.backend)

    def make(self):
        raise NotImplementedError

    def open_root(self):
        """Open what was frozen last as a user of this kind of store does."""
        return IPLDStore(self.backend, root=self.root)

    def teardown(self):
        self.backend.close()
        shutil.rmtree(self.folder)

    @rule(key=keys, value=values)
    def set(self, key, value):
        self.store[key] = value
        self.model[key] = value

    @rule(key=keys)
    def delete(self, key):
        if self.model.pop(key, None) is not None:
            del self.store[key]

    @rule(value=values, codec=st.sampled_from(["raw", "dag-pb"]))
    def put(self, value, codec):
        cid = self.backend.put_raw(value, codec)
        assert cid == make_link(value, codec, self.hash_name)
        self.blocks[cid] = value

    @rule()
    def freeze(self):
        self.root = self.store.freeze()
        self.frozen = dict(self.model)

    @precondition(lambda self: self.root is not None)
    @rule()
    def reopen(self):
        self.backend.close()
        self.backend = self.make()
        self.store = self.open_root()
        assert self.store.root_cid == self.root
        self.model = dict(self.frozen)

    @rule()
    def close(self):
        self.backend.close()

    @invariant()
    def holds_what_was_put(self):
        assert dict(self.store) == self.model
        for cid, data in self.blocks.items():
            assert self.backend.get_block(cid) == data
            assert self.backend.size_of(cid) == len(data)


class SQLiteFile(OneFile):
    def make(self):
        return SQLiteCAStore(self.folder / "blocks.sqlite", default_hash=self.hash_name)


class CARFile(OneFile):
    def make(self):
        return CARStore(self.folder / "data.car", default_hash=self.hash_name)

    def open_root(self):
        return IPLDStore(self.backend)

    @invariant()
    def is_an_archive_of_what_was_frozen(self):
        if (self.folder / "data.car").exists():
            assert dict(IPLDStore.from_car(self.folder / "data.car")) == self.frozen


SQLiteFile.TestCase.settings = settings(
    max_examples=examples(25), stateful_step_count=20, deadline=None
)
CARFile.TestCase.settings = settings(
    max_examples=examples(25), stateful_step_count=20, deadline=None
)
TestSQLiteFile = SQLiteFile.TestCase
TestCARFile = CARFile.TestCase
