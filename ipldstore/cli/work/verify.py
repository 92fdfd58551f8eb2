"""``ipldstore verify``: whether all under a root is there, sound and well-formed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import typer

from ipldstore.backends.carfile.store import CARStore
from ipldstore.basics.words import filled_text, printable
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cli.frame.interruption import AGAIN, interruptible
from ipldstore.cli.frame.output import count_text, say
from ipldstore.cli.frame.reporting import CORRUPT, NOT_FOUND, UNREACHABLE
from ipldstore.cli.tools.blocks import Extent, measure_history, measure_local, open_blocks
from ipldstore.cli.tools.progress import as_totals, is_watched, progress
from ipldstore.cli.tools.roots import located, opened
from ipldstore.errors import IPLDStoreError
from ipldstore.verifying import ChunkCount, Problem, VerifyReport, verify

_NAMED_ARRAYS = 10


class Wanted(NamedTuple):
    """What is asked of a verification: where to mend from, what is extra, and where to note it."""

    repair_from: str | None
    extra: bool
    journal: Path | None

    def verify_hierarchy(self, what: str, where: str) -> VerifyReport:
        """Verify a hierarchy, and say what was found."""
        with self._interruptible(), opened(what, where) as (blocks, root):
            if self.repair_from is not None or self.extra:
                _check_whole(what, where)
            return self._run(
                partial(verify, root, blocks), blocks, partial(measure_local, blocks, root)
            )

    def verify_repository(self, where: str, name: str) -> VerifyReport:
        """Verify all versions of a repository, and say what was found."""
        from ipldstore.cli.tools.repositories import opened_whole

        with self._interruptible(), opened_whole(where, name) as repo:
            return self._run(repo.verify, repo.blocks, partial(measure_history, repo))

    def _interruptible(self) -> AbstractContextManager[None]:
        hint = (
            "nothing is noted, --journal FILE would"
            if self.journal is None
            else "the journal stays"
        )
        return interruptible(f"{hint}; {AGAIN}")

    def _run(
        self,
        verify: Callable[..., VerifyReport],
        blocks: ContentAddressableStore,
        measure: Callable[[], Extent | None],
    ) -> VerifyReport:
        with ExitStack() as stack:
            place = self.repair_from
            source = None if place is None else stack.enter_context(open_blocks(place))
            advance = stack.enter_context(progress("verifying", _total(measure)))
            report = verify(
                repair_from=source,
                extra=self.extra,
                journal=self.journal,
                progress=as_totals(advance),
            )
            end = blocks.breaks_off_at if isinstance(blocks, CARStore) else None
        _tell(report)
        if end is not None:
            fault = "the archive is cut short, padded (--allow-padding) or no CAR"
            say(f"from byte {end:,} on, {fault}")
        return report


def _check_whole(what: str, where: str) -> None:
    with located(what, where) as place:
        if place.path:
            raise typer.BadParameter(
                f"{what!r} is a part of a hierarchy: --repair-from and --extra need the whole"
            )


def _total(measure: Callable[[], Extent | None]) -> int | None:
    """Return how many bytes there are if somebody watches and that can be told."""
    try:
        extent = measure() if is_watched() else None
    except IPLDStoreError:  # verifying says which
        return None
    return None if extent is None else extent.size


def _tell(report: VerifyReport) -> None:
    checked = Extent(report.blocks, report.bytes)
    say(f"verified {checked}" + f"; {report.skipped:,} before" * bool(report.skipped))
    for line in _chunk_lines(report.arrays or {}):
        say(line)
    if report.repaired:
        say(f"repaired {count_text(len(report.repaired), 'block')}")
    if report.problems:
        say(f"found {count_text(len(report.problems), 'problem')}")


def _chunk_lines(arrays: dict[str, ChunkCount]) -> list[str]:
    """Return a line for all arrays together, and one for each of some that lack chunks."""
    if not arrays:
        return []
    present = [array.chunks for array in arrays.values() if array.chunks is not None]
    possible = [array.chunks_possible for array in arrays.values()]
    known = [number for number in possible if number is not None]
    total = filled_text(
        sum(present) if len(present) == len(arrays) else None,
        sum(known) if len(known) == len(arrays) else None,
    )
    lines = [f"chunks {total} in {count_text(len(arrays), 'array')}"]
    lacking = {
        path: array for path, array in arrays.items() if array.chunks != array.chunks_possible
    }
    for path, array in islice(lacking.items(), _NAMED_ARRAYS):
        lines.append(
            f"  {filled_text(array.chunks, array.chunks_possible)} in {printable(path) or '.'}"
        )
    if len(lacking) > _NAMED_ARRAYS:
        lines.append(
            f"  and not all, or an unknown number, in {len(lacking) - _NAMED_ARRAYS:,} more"
        )
    return lines


def problem_lines(report: VerifyReport) -> list[str]:
    """Return the lines that show what is wrong, and what is extra."""
    lines = [_line(problem) for problem in report.problems]
    return lines + [f"extra       {cid}" for cid in report.extra or ()]


def _line(problem: Problem) -> str:
    keys = " ".join(printable(key) or "/" for key in problem.keys)
    more = f" and {problem.key_count - len(problem.keys):,} more"
    keys += more * (problem.key_count > len(problem.keys))
    message = problem.message.removeprefix(f"block {problem.cid}: ")
    where = "".join(f"; in {printable(commit)}" for commit in problem.commits)
    return f"{problem.kind:11} {problem.cid} {keys}: {printable(message)}{where}"


def exit_code_of(report: VerifyReport) -> int:
    """Return the exit code that stands for the worst of what was found."""
    kinds = {problem.kind for problem in report.problems}
    if kinds & {"corrupt", "malformed", "limit"}:
        return CORRUPT
    if "unreachable" in kinds:
        return UNREACHABLE
    return NOT_FOUND if kinds else 0
