"""The state machines that zarr-python gives to authors of stores, on two backends."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zarr", minversion="3", reason="zarr.testing came with zarr-python 3")

import hypothesis.strategies as st
import zarr
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule, run_state_machine_as_test
from zarr.core.buffer import cpu
from zarr.testing.stateful import (
    MAX_BINARY_SIZE,
    ZarrHierarchyStateMachine,
    ZarrStoreStateMachine,
)
from zarr.testing.strategies import keys as zarr_keys
from zarr.testing.strategies import node_names, np_array_and_chunks

from ipldstore import (
    ContentAddressableStore,
    DirectoryCAStore,
    InvalidKeyError,
    IPLDStore,
    MappingCAStore,
)
from ipldstore.tree.keys import METADATA_NAMES

MODEST = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


# zarr 3.1 draws the array with the rule, zarr 3.4 in it
further_array_arguments = (
    {"array_and_chunks": np_array_and_chunks()}
    if "array_and_chunks" in signature(ZarrHierarchyStateMachine.add_array).parameters
    else {}
)


def can_be_set(key: str, others: Iterable[str]) -> bool:
    """Whether the format has a place for a key that zarr's strategy draws, beside others.

    It has none for a name that would be a value and a directory at once, none below a metadata
    document, and none for names that are very long or nested very deep.
    """
    *above, name = key.split("/")
    return (
        METADATA_NAMES.isdisjoint(above)
        and max(map(len, [*above, name])) <= 1024
        and len(above) < 128
        and not any(other.startswith(f"{key}/") or key.startswith(f"{other}/") for other in others)
    )


class StoreMachine(ZarrStoreStateMachine):
    """Zarr's machine with the keys that zarr draws.

    To set one that the format has no place for is refused and changes nothing; all else that the
    machine does with such a key is as zarr has it.
    """

    @rule(key=zarr_keys(), data=st.binary(max_size=MAX_BINARY_SIZE))
    def set(self, key: str, data: bytes) -> None:
        if can_be_set(key, self.model):
            super().set(key, data)
        else:
            with pytest.raises(InvalidKeyError):
                self.store.set(key, cpu.Buffer.from_bytes(data))


class HierarchyMachine(ZarrHierarchyStateMachine):
    """Zarr's machine with the names that zarr draws.

    It adds no nodes below an array, so that only a metadata name is refused, as that of a node.
    """

    @rule(name=node_names, data=st.data())
    def add_group(self, name: str, data: st.DataObject) -> None:
        if name in METADATA_NAMES:
            with pytest.raises(InvalidKeyError):
                zarr.group(store=self.store, path=name)
        else:
            super().add_group(name, data)

    @rule(name=node_names, data=st.data(), **further_array_arguments)
    def add_array(self, name: str, **drawn: Any) -> None:
        if name in METADATA_NAMES:
            with pytest.raises(InvalidKeyError):
                zarr.create_array(self.store, name=name, shape=1, dtype="i1")
        else:
            super().add_array(name=name, **drawn)


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
