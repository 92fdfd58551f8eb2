"""Opens a database of blocks on a word from its parent, puts blocks and reads them back.

Arguments: the file, and the number of this process. With the number `forever` it goes on and says
after each flush how many of its blocks are kept.
"""

import sys
from itertools import count

from ipldstore.backends.sqlite.store import SQLiteCAStore


def main(path: str, number: str) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    backend = SQLiteCAStore(path)
    if number == "forever":
        for i in count(1):
            backend.put_raw(b"%d" % i * 1000, "raw")
            backend.put(b"%d and" % i)
            sys.stdout.write(f"{i}\n")
            sys.stdout.flush()
    shared = [b"shared %d " % i * 5000 for i in range(40)]
    own = [b"process %s block %d" % (number.encode(), i) for i in range(20)]
    for data in shared + own:
        cid = backend.put_raw(data, "raw")
        assert backend.get_block(cid) == data
        if len(data) % 3 == 0:
            backend.flush()
    backend.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
