"""Draw what the benchmarks found over time: results.jsonl as a page of the documentation."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import log10
from pathlib import Path

from timing import HERE, RESULTS

PAGE = HERE.parents[1] / "docs/measured.md"
HEAD = """# Measured

<!-- made by `python tests/benchmarks/page.py`, from tests/benchmarks/results.jsonl -->

Each run of a benchmark appends its medians to a file, and this page draws them: our time over
that of a peer in the same run, below 1 where ipldstore is faster. The line in the middle is 1, the
edges are a tenth and ten times that; each dot is a run, the oldest on the left. What the rows mean
stands in [Performance](performance.md).
"""
COLUMNS = "| step | | at last | seconds | commit | |\n|---|---|---|---|---|---|\n"
WIDTH, HEIGHT, STEP = 160, 24, 12


@dataclass(frozen=True)
class Run:
    """One ratio, and what was measured."""

    commit: str
    seconds: float
    ratio: float


def read(lines: Iterable[str]) -> dict[str, dict[tuple[str, str], list[Run]]]:
    """Return the runs of each row of each title, in the order of the lines."""
    found: dict[str, dict[tuple[str, str], list[Run]]] = {}
    for line in map(json.loads, lines):
        versions = line["machine"]["versions"]
        title = f"{line['title']}, Python {versions['python']}, zarr {versions['zarr']}"
        for row in line["rows"]:
            key = (row["step"], f"{row['ours']} / {row['peer']}")
            run = Run(line["commit"], row["seconds"], row["ratio"])
            found.setdefault(title, {}).setdefault(key, []).append(run)
    return found


def draw(runs: list[Run]) -> str:
    """Return a picture of the last ratios, on a scale of logarithms."""
    shown = runs[-(WIDTH // STEP - 1) :]
    points = [
        (STEP * (number + 1), HEIGHT / 2 - log10(min(max(run.ratio, 0.1), 10)) * (HEIGHT / 2 - 3))
        for number, run in enumerate(shown)
    ]
    dots = "".join(
        f'<circle cx="{x}" cy="{y:.1f}" r="2.5">'
        f"<title>{run.commit}: {run.ratio:.2f}</title></circle>"
        for (x, y), run in zip(points, shown, strict=True)
    )
    path = " ".join(f"{x},{y:.1f}" for x, y in points)
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" fill="currentColor" stroke="none">'
        f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT / 2}" y2="{HEIGHT / 2}" stroke="currentColor" '
        f'opacity="0.4"/><polyline points="{path}" fill="none" stroke="currentColor"/>{dots}</svg>'
    )


def write(found: dict[str, dict[tuple[str, str], list[Run]]]) -> str:
    """Return the page."""
    parts = [HEAD]
    for title, rows in found.items():
        parts.append(f"\n## {title}\n\n{COLUMNS}")
        for (step, peers), runs in rows.items():
            last = runs[-1]
            parts.append(
                f"| {step} | {peers} | {last.ratio:.2f} | {last.seconds:.3g} | `{last.commit}` "
                f"| {draw(runs)} |\n"
            )
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with arguments.results.open(encoding="utf-8") as lines:
        PAGE.write_text(write(read(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
