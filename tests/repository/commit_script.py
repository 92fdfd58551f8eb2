"""Commits to a branch, chunk by chunk, and prints each commit once it is made."""

import json
import sys

from ipldstore import Repository


def main(place, options, index, count):
    with Repository(place, **options) as repo:
        for number in range(count):
            session = repo.writable("main")
            chunk = index * count + number
            session[f"x/c/{chunk}"] = b"%d" % chunk
            print(chunk, session.commit(f"chunk {chunk}"), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
