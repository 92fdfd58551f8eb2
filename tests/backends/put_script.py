"""Opens a folder of blocks on a word from its parent, puts blocks and reads them back.

Arguments: the folder, and the number of this process.
"""

import sys

from ipldstore.backends.directory.store import DirectoryCAStore


def main(folder: str, number: str) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    backend = DirectoryCAStore(folder)
    shared = [b"shared %d " % i * 5000 for i in range(40)]
    own = [b"process %s block %d" % (number.encode(), i) for i in range(20)]
    for data in shared + own:
        cid = backend.put_raw(data, "raw")
        assert backend.get_block(cid) == data


if __name__ == "__main__":
    main(*sys.argv[1:])
