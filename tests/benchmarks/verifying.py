"""What verifying costs: reads with hashing against without, and `verify` against sha256sum."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from timing import Table, seconds

from ipldstore import DirectoryCAStore, IPLDStore, verify
from ipldstore.cid import Link

SIZES = {"4 KiB": (4 << 10, 20_000), "64 KiB": (64 << 10, 4_000), "1 MiB": (1 << 20, 400)}
COMPARISONS = [
    ("verified reads", "plain reads"),
    ("verify", "plain reads"),
    ("verify", "verified reads"),
    ("verify", "sha256sum"),
]


def write(folder: Path, size: int, count: int) -> tuple[DirectoryCAStore, Link, list[Link]]:
    """Write values that do not repeat; return the store, the root and the values' CIDs."""
    blocks = DirectoryCAStore(folder / "blocks")
    store = IPLDStore(blocks)
    rng = np.random.default_rng(0)
    for index in range(count):
        store[f"a/{index}"] = rng.bytes(size)
    root = blocks.resolve(store.freeze())
    return blocks, root, [entry for _, entry in store.reader.tree.iter_entries()]  # type: ignore[misc]


def peers(
    blocks: DirectoryCAStore, root: Link, cids: list[Link]
) -> dict[str, Callable[[], object]]:
    files = [blocks._file_name(cid) for cid in cids]

    def sum_files() -> None:
        subprocess.run(
            ["xargs", "-0", "sha256sum"],
            input="\0".join(files).encode(),
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def check() -> None:
        assert verify(root, blocks).ok

    return {
        "plain reads": lambda: [blocks.get_raw(cid) and None for cid in cids],
        "verified reads": lambda: [blocks.get_block(cid) and None for cid in cids],
        "verify": check,
        "sha256sum": sum_files,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    for title, (size, count) in SIZES.items():
        with tempfile.TemporaryDirectory() as path:
            steps = peers(*write(Path(path), size, count))
            table = Table()
            for run in range(arguments.runs + 1):
                for name, step in steps.items():
                    taken = seconds(step)
                    if run:
                        table.add("read", name, taken)
        table.show(f"{count:,} values of {title}, files in memory", COMPARISONS)


if __name__ == "__main__":
    main()
