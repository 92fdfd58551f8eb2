"""What the processes of the soak do; see soak.py.

Arguments: what to do, and where. Each line that is printed is an event: a name and its details.
Hierarchies are known by a number, from which their values follow.
"""

import contextlib
import os
import random
import sys
import time

import ipldstore
from ipldstore import BackendError, CorruptBlockError, IPLDStore

SHARED = [random.Random(-number).randbytes(3000) for number in range(1, 51)]


def values_of(number):
    """Return the values of a hierarchy: some of its own, some that others have as well."""
    own = random.Random(number)
    values = {f"a/{i}": own.randbytes(own.randrange(100, 9000)) for i in range(4)}
    values |= {f"b/{i}": own.choice(SHARED) for i in range(3)}
    return values | {"a/.zarray": b'{"number":%d}' % number}


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def write_directory(folder, first):
    """Write one hierarchy after the other, some from where the last one stood; till killed."""
    number = int(first)
    store = None
    while True:
        with contextlib.suppress(BackendError):
            if store is None or number % 5 == 0:
                store = IPLDStore(ipldstore.DirectoryCAStore(folder, fsync=number % 2 == 0))
            store.clear()
            store.update(values_of(number))
            root = store.freeze()
            say("frozen", number, root)
            number += 1
            time.sleep(0.15)
            continue
        say("refused", 1)
        time.sleep(0.05)


def write_node(url, first):
    """Write one hierarchy after the other to a node and read an earlier one back."""
    number, roots = int(first), {}
    with ipldstore.IPFSStore(url) as blocks:
        while True:
            try:
                store = IPLDStore(blocks)
                store.update(values_of(number))
                roots[number] = store.freeze()
                say("node", number, roots[number])
                number += 1
                earlier = random.choice(list(roots))
                check_read(blocks, earlier, roots[earlier], "node-read")
            except BackendError as error:
                say("node-refused", 1)
                assert error.retryable, error
            time.sleep(0.05)


def read_gateway(url):
    """Read the roots that are named on the standard input from a gateway that fails."""
    for line in sys.stdin:
        number, root = line.split()
        try:
            with ipldstore.GatewayCAStore(url, timeout=3) as blocks:
                check_read(blocks, int(number), root, "gateway-read")
        except (BackendError, CorruptBlockError, ipldstore.BlockNotFoundError) as error:
            say("gateway-refused", 1, type(error).__name__)


def read_directory(folder):
    """Read the roots that are named on the standard input, and mend what is damaged."""
    for line in sys.stdin:
        number, root = line.split()
        blocks = ipldstore.DirectoryCAStore(folder)
        try:
            check_read(blocks, int(number), root, "read")
        except CorruptBlockError:
            mend(blocks, int(number), root)
        except BackendError:
            say("read-refused", 1)
        except ipldstore.BlockNotFoundError as error:
            say("lost", number, root, error)


def check_read(blocks, number, root, name):
    if dict(IPLDStore(blocks, root=root)) == values_of(number):
        say(name, 1)
    else:
        say("lost", number, root, "other values")


def mend(blocks, number, root):
    """Repair what is damaged from a second copy of the hierarchy."""
    copy = IPLDStore()
    copy.update(values_of(number))
    assert str(copy.freeze()) == str(root)
    try:
        report = ipldstore.verify(root, blocks, repair_from=copy.backend)
        say("mended", len(report.repaired))
    except BackendError:
        say("read-refused", 1)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
