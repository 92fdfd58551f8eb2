"""Compare two commits: each program from both in turn, A B A B, in clones of their own.

A row's change is its time in the second commit over that in the first, the median over the rounds.
The peer's change stands beside it: the peer is the same in both, so that is the machine's noise.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

from timing import HERE, git

Key: TypeAlias = tuple[str, str, str, str]
Times: TypeAlias = dict[Key, list[tuple[float, float]]]

PROGRAMS = [
    "codec.py",
    "zarr_stores.py --runs 3",
    "versions.py --runs 3",
    "onefile.py",
    "verifying.py",
]


def checkout(commit: str, folder: Path) -> Path:
    """Clone the project at a commit, with today's way of recording what came out."""
    repository = git("rev-parse", "--show-toplevel")
    clone = ["git", "clone", "--quiet", "--shared", "--no-checkout", repository, str(folder)]
    subprocess.run(clone, check=True)
    subprocess.run(["git", "-C", str(folder), "checkout", "--quiet", commit], check=True)
    shutil.copy(HERE / "timing.py", folder / "tests/benchmarks")
    return folder


def run(tree: Path, program: str, times: Times) -> None:
    """Run a program of a clone, and add the seconds of ours and of the peer to each row's."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.jsonl")
        env = os.environ | {"PYTHONPATH": str(tree), "IPLDSTORE_RESULTS": str(results)}
        name, *options = program.split()
        command = [sys.executable, str(tree / "tests/benchmarks" / name), *options]
        subprocess.run(command, env=env, check=True, stdout=sys.stderr)
        for line in map(json.loads, results.read_text(encoding="utf-8").splitlines()):
            for row in line["rows"]:
                key = (line["title"], row["step"], row["ours"], row["peer"])
                times.setdefault(key, []).append((row["seconds"], row["peer_seconds"]))


def show(program: str, first: Times, second: Times) -> None:
    """Print a program's rows as a table of Markdown."""
    print(f"\n`{program}`\n")
    print(
        "| | step | | first, s | second, s | change | of the peer |\n|---|---|---|---|---|---|---|"
    )
    for (title, step, ours, peer), before in first.items():
        after = second[title, step, ours, peer]
        old, new = (statistics.median(ours for ours, _ in side) for side in (before, after))
        changes = [change(before, after, side) for side in (0, 1)]
        print(
            f"| {title} | {step} | {ours} / {peer} | {old:.4f} | {new:.4f} "
            f"| {changes[0]:.2f} | {changes[1]:.2f} |",
            flush=True,
        )


def change(before: Any, after: Any, side: int) -> float:
    pairs = zip(before, after, strict=True)
    return statistics.median(new[side] / old[side] for old, new in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", help="a commit")
    parser.add_argument("second", nargs="?", default="HEAD", help="a commit; HEAD if not given")
    parser.add_argument("--rounds", type=int, default=2, help="how often each commit runs")
    parser.add_argument("--program", action="append", help="one of this folder, with its options")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commits = (arguments.first, arguments.second)
        trees = [checkout(commit, Path(folder, str(i))) for i, commit in enumerate(commits)]
        for program in arguments.program or PROGRAMS:
            sides: list[Times] = [{}, {}]
            for _ in range(arguments.rounds):
                for tree, times in zip(trees, sides, strict=True):
                    run(tree, program, times)
            show(program, *sides)


if __name__ == "__main__":
    main()
