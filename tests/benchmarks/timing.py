"""Time steps of several peers in turn, print them side by side, and append that to a file."""

from __future__ import annotations

import gc
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = Path(os.environ.get("IPLDSTORE_RESULTS", HERE / "results.jsonl"))
PACKAGES = ("zarr", "icechunk", "tensorstore", "zarrs", "py-hamt", "obstore", "s3fs", "dag-cbor")


def seconds(function: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Row:
    """One step of ours and of a peer: medians of seconds, and the median of the pairs' ratios."""

    step: str
    ours: str
    peer: str
    seconds: float
    peer_seconds: float
    ratio: float

    def __str__(self) -> str:
        names = f"{self.ours} / {self.peer}"
        return (
            f"  {self.step:<8} {names:<36} {self.seconds:>10.4f} {self.peer_seconds:>10.4f} "
            f"{self.ratio:>7.2f}"
        )


class Table:
    """Medians of repeated steps, and each peer's ratio to a reference pair by pair."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], list[float]] = {}

    def add(self, step: str, peer: str, value: float) -> None:
        self._runs.setdefault((step, peer), []).append(value)

    def rows(self, comparisons: list[tuple[str, str]]) -> list[Row]:
        """Return a row for each step and comparison of which both sides ran."""
        return [
            self._row(step, ours, peer)
            for step in dict.fromkeys(step for step, _ in self._runs)
            for ours, peer in comparisons
            if (step, ours) in self._runs and (step, peer) in self._runs
        ]

    def show(self, title: str, comparisons: list[tuple[str, str]]) -> None:
        """Print the rows, and append them to the results."""
        rows = self.rows(comparisons)
        print(f"\n{title}")
        print(f"  {'step':<8} {'':<36} {'median s':>10} {'peer s':>10} {'ratio':>7}")
        print(*rows, sep="\n", flush=True)
        append(title, rows)

    def _row(self, step: str, ours: str, peer: str) -> Row:
        mine, theirs = self._runs[step, ours], self._runs[step, peer]
        ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
        return Row(step, ours, peer, statistics.median(mine), statistics.median(theirs), ratio)


def append(title: str, rows: list[Row]) -> None:
    """Append a line of JSON to the results: what ran, where, and what came out."""
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "machine": machine(),
        "program": " ".join([Path(sys.argv[0]).stem, *sys.argv[1:]]),
        "title": title,
        "rows": [asdict(row) for row in rows],
    }
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def commit() -> str:
    """Return the commit that is measured, with a plus where the package differs from it.

    Where there is no git, as in a folder that another Python runs in, ``IPLDSTORE_COMMIT`` says it.
    """
    if shutil.which("git") is None:
        return os.environ["IPLDSTORE_COMMIT"]
    changed = git("status", "--porcelain", "--", "../../ipldstore")
    return git("rev-parse", "--short", "HEAD") + "+" * bool(changed)


def git(*arguments: str) -> str:
    command = ["git", "-C", str(HERE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def machine() -> dict[str, Any]:
    """Return what figures depend on: processors, and the versions of Python and the peers."""
    found = {name: installed(name) for name in ("python", *PACKAGES)}
    versions = {name: number for name, number in found.items() if number}
    return {"system": platform.machine(), "cores": os.cpu_count(), "versions": versions}


def installed(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return None
