"""Publishing from a block store that fails at any of its calls: all or nothing, and done again."""

import pytest

from ipldstore import BackendError, CorruptBlockError, IPFSStore, IPLDStore, MappingCAStore, verify
from ipldstore.testing import Fail, FaultyStore, FlipBit, at

FAULTS = {"failing": Fail(BackendError("busy", retryable=True)), "lying": FlipBit(3)}


def publish(inner, root, node, schedule):
    source = FaultyStore(inner, schedule)
    with IPFSStore(node.url, offline=True) as target:
        IPLDStore(source, root=root).publish(target, announce=False)
    return [call for call in source.calls if call.operation == "get"]


def is_pinned(node, root):
    return str(root) in node.run("pin", "ls", "--type=recursive").decode()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_source_that_fails_publishes_nothing(node, fault):
    number = gets = 0
    while number <= gets:
        number += 1
        # other content each time, as what has arrived is not sent again
        store = IPLDStore()
        for index in range(3):
            store[f"a/{index}"] = f"{fault} {number} {index}".encode()
        store["large/0"] = f"{fault} {number} ".encode() * (1 << 17)
        root, inner = store.freeze(), MappingCAStore(store.backend.mapping)
        if number <= gets or number == 1:
            with pytest.raises((BackendError, CorruptBlockError)):
                publish(inner, root, node, at(number, FAULTS[fault], on=["get"]))
            assert not is_pinned(node, root)
        gets = max(gets, len(publish(inner, root, node, None)))
        assert is_pinned(node, root)
        with IPFSStore(node.url, offline=True) as target:
            assert verify(root, target).ok
    assert number > 6
