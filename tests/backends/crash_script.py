"""Puts a block and dies at the n-th call to the system; run by the crash tests.

Arguments: the folder, n, and whether to fsync; then two CIDs, if in place of that a pointer is to
be moved from the one to the other. Without the death it prints the calls it made. Of
the bytes of a fatal `write` half are written, as when a machine goes down.
"""

import builtins
import os
import sys

CALLS = ("mkdir", "listdir", "stat", "open", "write", "fsync", "close", "replace", "link", "unlink")
DIED = 42


def die_at(fatal: int) -> list[str]:
    made: list[str] = []

    def counted(name, function):
        def call(*arguments, **options):
            if len(made) == fatal:
                if name == "write":
                    function(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os._exit(DIED)
            made.append(name)
            return function(*arguments, **options)

        return call

    for name in CALLS:
        setattr(os, name, counted(name, getattr(os, name)))
    builtins.open = counted("open file", open)
    return made


def main(folder: str, fatal: str, fsync: str, *cids: str) -> None:
    from ipldstore.backends.directory.store import DirectoryCAStore

    made = die_at(int(fatal))
    store = DirectoryCAStore(folder, fsync=fsync == "True")
    if cids:
        from ipldstore.cid import as_link

        assert store.swap_pointer("default", *map(as_link, cids))
    else:
        store.put_raw(b"hello" * 1000, "raw")
    sys.stdout.write(" ".join(made))


if __name__ == "__main__":
    main(*sys.argv[1:])
