"""The state machines that zarr-python gives to authors of stores, on two backends."""

from collections.abc import Callable, Iterator
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zarr", minversion="3", reason="zarr.testing came with zarr-python 3")

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule, run_state_machine_as_test
from zarr.testing.stateful import (
    MAX_BINARY_SIZE,
    ZarrHierarchyStateMachine,
    ZarrStoreStateMachine,
)
from zarr.testing.strategies import node_names, np_array_and_chunks

from ipldstore import ContentAddressableStore, DirectoryCAStore, IPLDStore, MappingCAStore
from ipldstore.tree.keys import METADATA_NAMES

MODEST = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


# zarr itself excludes only one of the metadata names
ordinary_names = node_names.filter(lambda name: name not in METADATA_NAMES)

# zarr 3.1 draws the array with the rule, zarr 3.4 in it
further_array_arguments = (
    {"array_and_chunks": np_array_and_chunks()}
    if "array_and_chunks" in signature(ZarrHierarchyStateMachine.add_array).parameters
    else {}
)


@st.composite
def prefix_free_keys(draw: st.DrawFn) -> str:
    """Draw a key as zarr does, but none that is, or leads through, another or a metadata name.

    A value and a directory cannot have the same name in this format: directories drawn here begin
    with ``d`` and values with ``v``.
    """
    directories = draw(st.lists(node_names.map("d".__add__), max_size=4))
    return "/".join([*directories, draw(node_names.map("v".__add__))])


class StoreMachine(ZarrStoreStateMachine):
    """Zarr's machine; the rules differ from zarr's in the strategy that draws the keys only."""

    @rule(key=prefix_free_keys(), data=st.binary(max_size=MAX_BINARY_SIZE))
    def set(self, key: str, data: bytes) -> None:
        super().set(key, data)

    @rule(key=prefix_free_keys(), data=st.data())
    def get_invalid_zarr_keys(self, key: str, data: st.DataObject) -> None:
        super().get_invalid_zarr_keys(key, data)

    @rule(key=prefix_free_keys())
    def exists(self, key: str) -> None:
        super().exists(key)


class HierarchyMachine(ZarrHierarchyStateMachine):
    """Zarr's machine; the rules differ from zarr's in the strategy that draws the names only."""

    @rule(name=ordinary_names, data=st.data())
    def add_group(self, name: str, data: st.DataObject) -> None:
        super().add_group(name, data)

    @rule(name=ordinary_names, data=st.data(), **further_array_arguments)
    def add_array(self, **drawn: Any) -> None:
        super().add_array(**drawn)


class FreezingStoreMachine(StoreMachine):
    """The same, where the hierarchy is frozen and opened again by its root now and then."""

    @rule()
    def freeze_and_reopen(self) -> None:
        store = self.store.store
        store.set_root(store.freeze())


@pytest.fixture(params=["mapping", "directory"])
def new_backend(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], ContentAddressableStore]]:
    if request.param == "mapping":
        return MappingCAStore
    return partial(DirectoryCAStore, tmp_path)


@pytest.mark.parametrize("machine", [StoreMachine, FreezingStoreMachine])
def test_store_state_machine(machine, new_backend):
    run_state_machine_as_test(lambda: machine(IPLDStore(new_backend())), settings=MODEST)


# zarr says so of dtypes that its own strategy draws
@pytest.mark.filterwarnings("ignore:The data type:FutureWarning")
def test_hierarchy_state_machine(new_backend):
    run_state_machine_as_test(lambda: HierarchyMachine(IPLDStore(new_backend())), settings=MODEST)
