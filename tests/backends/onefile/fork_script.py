"""Forks with a store open, reads and writes on both sides, and says what happened there.

Arguments: `sqlite` or `car`, and the file.
"""

import os
import sys

from ipldstore import BackendError
from ipldstore.backends.carfile.store import CARStore
from ipldstore.backends.sqlite.store import SQLiteCAStore
from ipldstore.cid import make_link

KINDS = {"car": CARStore, "sqlite": SQLiteCAStore}


def put(backend, data: bytes) -> str:
    try:
        backend.put(data)
    except BackendError as error:
        return f"refused, retryable: {error.retryable}"
    return "put"


def main(kind: str, path: str) -> None:
    backend = KINDS[kind](path)
    backend.put(b"before")
    pending = backend.put_raw(b"pending", "raw")
    from_child, to_parent = os.pipe()
    from_parent, to_child = os.pipe()
    child = os.fork()
    if not child:
        said = [backend.get(make_link(b"before")).decode(), backend.get(pending).decode()]
        os.write(to_parent, ", ".join([*said, put(backend, b"of the child")]).encode())
        os.read(from_parent, 1)
        os.write(to_parent, put(backend, b"of the child, later").encode())
        backend.close()
        os._exit(0)
    print(os.read(from_child, 1000).decode())
    print(put(backend, b"of the parent"))
    backend.close()
    with KINDS[kind](path) as other:
        print(put(other, b"of another store"))
    os.write(to_child, b"x")
    print(os.read(from_child, 1000).decode())
    print(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
