"""Eight processes that write a hierarchy each, mostly of the same blocks, into one block store.

Arguments: the kind of the store and its folder. Prints the roots. An archive takes one writer at a
time, so that the others try again.
"""

import os
import sys
import time

PROCESSES = 8
DEADLINE = 100
SHARED = [b"shared %d " % i * 500 for i in range(40)]


def values_of(number):
    return {f"a/{i}": data for i, data in enumerate(SHARED)} | {"own": b"%d" % number}


def write(kind, folder, number):
    from power_script import open_blocks

    from ipldstore import BackendError, IPLDStore

    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            with open_blocks(kind, folder) as blocks:
                store = IPLDStore(blocks)
                store.clear()
                store.update(values_of(number))
                os.write(1, f"{store.freeze()}\n".encode())
                return
        except BackendError as error:
            assert kind == "car", error
            assert error.retryable, error
            assert time.monotonic() < deadline
            time.sleep(0.02)


def main(kind, folder):
    from power_script import make_archive

    # imports what writing needs once for all
    make_archive(values_of(0))
    wait, go = os.pipe()
    children = []
    for number in range(PROCESSES):
        child = os.fork()
        if not child:
            os.close(go)
            os.read(wait, 1)
            try:
                write(kind, folder, number)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(go)
    assert {os.waitpid(child, 0)[1] for child in children} == {0}


if __name__ == "__main__":
    main(*sys.argv[1:])
