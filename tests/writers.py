"""What the processes of a test run; they import it by its name."""

import random

from ipldstore import DirectoryCAStore, IPLDStore

PARTS = [f"part/{index // 20}/{index % 20}" for index in range(400)] + ["part/.zattrs", "x"]


def value_of(key):
    return b'{"part":1}' if key.endswith(".zattrs") else key.encode()


def write_keys(folder, seed):
    """Write all keys into a store on a folder, in an order that the seed says; return its root."""
    store = IPLDStore(DirectoryCAStore(folder))
    chooser = random.Random(seed)
    for key in chooser.sample(PARTS, len(PARTS)):
        store[key] = value_of(key)
    temporary = f"temporary/{seed}"
    store[temporary] = b""
    store.freeze()
    del store[temporary]
    return str(store.freeze())


def use_copy(connection, store):
    """Read a store in another process, try to write to it, and send what happened."""
    tries = {
        "set": lambda: store.__setitem__("new", b""),
        "delete": lambda: store.__delitem__("a/0"),
        "clear": store.clear,
        "set_root": lambda: store.set_root(store.root_cid),
        "import_car": lambda: store.import_car(store.to_car()),
        "normalize": store.normalize,
        "writable view": lambda: store.with_read_only(False),
    }
    connection.send((dict(store.items()), {name: outcome(use) for name, use in tries.items()}))
    connection.send((store.read_only, str(store.freeze()), dict(store.items())))
    connection.close()


def outcome(use):
    try:
        use()
    except Exception as error:
        return type(error).__name__, str(error)
    return None
