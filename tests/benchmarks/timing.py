"""Time steps of several peers in turn, and print them side by side."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable


def seconds(function: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Table:
    """Medians of repeated steps, and each peer's ratio to a reference pair by pair."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], list[float]] = {}

    def add(self, step: str, peer: str, value: float) -> None:
        self._runs.setdefault((step, peer), []).append(value)

    def show(self, title: str, comparisons: list[tuple[str, str]]) -> None:
        print(f"\n{title}")
        print(f"  {'step':<8} {'':<36} {'median s':>10} {'peer s':>10} {'ratio':>7}")
        steps = dict.fromkeys(step for step, _ in self._runs)
        for step in steps:
            for ours, peer in comparisons:
                if (step, ours) in self._runs and (step, peer) in self._runs:
                    self._row(step, ours, peer)

    def _row(self, step: str, ours: str, peer: str) -> None:
        mine, theirs = self._runs[step, ours], self._runs[step, peer]
        ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
        print(
            f"  {step:<8} {ours + ' / ' + peer:<36} {statistics.median(mine):>10.4f} "
            f"{statistics.median(theirs):>10.4f} {ratio:>7.2f}"
        )
