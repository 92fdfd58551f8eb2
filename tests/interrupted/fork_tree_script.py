"""Forks while other threads write, reads in the children, and exits with how many failed."""

import os
import signal
import sys
import threading
import time

from ipldstore import DirectoryCAStore, IPLDStore, MappingCAStore

FORKS, SECONDS = 12, 20


def write(store, stop):
    number = 0
    while not stop.is_set():
        store[f"b/{number % 500}"] = b"%d" % number
        store.pop(f"b/{(number + 250) % 500}", None)
        number += 1
        if number % 50 == 0:
            store.freeze()


def child(store, root, backend):
    """Read in a forked process, and write there what it may."""
    assert store["a/5"] == b"5"
    assert len(list(store)) >= 200
    assert dict(IPLDStore(backend, root=root))["a/7"] == b"7"
    assert store.read_only
    own = IPLDStore(backend)
    own["x"] = b"in the child"
    own.freeze()


def main(folder):
    backend = DirectoryCAStore(folder) if folder else MappingCAStore({})
    store = IPLDStore(backend)
    for index in range(200):
        store[f"a/{index}"] = b"%d" % index
    root = store.freeze()
    stop = threading.Event()
    threads = [threading.Thread(target=write, args=(store, stop)) for _ in range(2)]
    for thread in threads:
        thread.start()
    bad = 0
    try:
        for _ in range(FORKS):
            pid = os.fork()
            if pid == 0:
                try:
                    child(store, root, backend)
                except BaseException as error:
                    os.write(2, f"{error!r}\n".encode())
                    os._exit(1)
                os._exit(0)
            bad += not ends_well(pid)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    store.freeze()
    return bad


def ends_well(pid):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
