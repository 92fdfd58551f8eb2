"""Adds to copies of an archive in processes that die, one at each call to the system.

Arguments: the archive, which need not exist, the folder for the copies, and whether to fsync. Of
the bytes of a fatal write half are written, but all or none of those that go over the header, as
systems and disks do within one sector. Prints the calls that the process made which lived.
"""

import os
import shutil
import sys
from itertools import count
from pathlib import Path

from ipldstore import IPLDStore
from ipldstore.backends.carfile.store import CARStore

CALLS = ("open", "close", "stat", "pwrite", "ftruncate", "fsync", "dup2")
DIED = 42


def die_at(fatal: int) -> list[str]:
    made: list[str] = []

    def counted(name, function):
        def call(*arguments, **options):
            if len(made) == fatal:
                if name == "pwrite" and (arguments[2] or not os.fstat(arguments[0]).st_size):
                    function(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
                os._exit(DIED)
            made.append(name)
            return function(*arguments, **options)

        return call

    for name in CALLS:
        setattr(os, name, counted(name, getattr(os, name)))
    return made


def add(path: Path, fsync: bool, fatal: int) -> None:
    made = die_at(fatal)
    with CARStore(path, fsync=fsync) as backend:
        store = IPLDStore(backend)
        store["b/0"] = b"new" * 1000
        store["b/1"] = b"newer" * 1000
        store.freeze()
    sys.stdout.write(" ".join(made))
    sys.stdout.flush()
    os._exit(0)


def main(source: str, folder: str, fsync: str) -> None:
    for step in count():
        path = Path(folder) / f"{step}.car"
        if os.path.exists(source):
            shutil.copyfile(source, path)
        child = os.fork()
        if not child:
            add(path, fsync == "True", step)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            return
        assert code == DIED, code


if __name__ == "__main__":
    main(*sys.argv[1:])
