"""What a verification found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """A block that is not as it should be.

    Attributes
    ----------
    kind : str
        * ``"missing"``: the block store says that it has no such block.
        * ``"corrupt"``: the bytes that it has do not hash to the CID.
        * ``"malformed"``: the hash is right, the content is not what stands in its place.
        * ``"limit"``: the hierarchy nests deeper than this package reads.
        * ``"unreachable"``: the block store cannot tell: disk, network or server.
    cid : str
        The block.
    keys : tuple of str
        The keys that cannot be read for it, at most ten of them. A directory stands for all keys
        below it, with a slash at its end; the root is the empty text.
    key_count : int
        How many there are, in all versions.
    message : str
        What was expected and what came.
    commits : tuple of str
        Of a repository the commits that it concerns, at most ten of them, each with the first line
        of its message: those whose hierarchy has the keys, and those that come after one that is
        missing or malformed itself, which concerns no keys.
    """

    kind: str
    cid: str
    keys: tuple[str, ...]
    key_count: int
    message: str
    commits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkCount:
    """How many chunks of an array the hierarchy names.

    Attributes
    ----------
    chunks : int or None
        Its chunks, or shards, that were written, whether their blocks are there or not. None if a
        directory of them could not be read.
    chunks_possible : int or None
        How many there can be. None where the metadata does not tell. Chunks of fill values need not
        be written.
    """

    chunks: int | None
    chunks_possible: int | None


@dataclass(frozen=True)
class VerifyReport:
    """What a verification found.

    Attributes
    ----------
    root : str
        The root that was verified, or the state of a repository.
    blocks, bytes : int
        Distinct blocks under it that were read in this run and hash to their CIDs, and their bytes.
    skipped : int
        Blocks that an earlier run noted in the journal as sound and that were not read again.
    problems : tuple of Problem
        What is wrong still, sorted by keys.
    repaired : tuple of str
        CIDs of the blocks that were fetched from elsewhere and put; they count as read.
    extra : tuple of str or None
        CIDs of blocks in the store that are not under the root. None if that was not asked for,
        or cannot be told because a directory could not be read.
    arrays : dict of str to ChunkCount, or None
        By the paths of the arrays whose metadata could be read. None if the root could not be read,
        there are more than ten million keys, or they stand for far more than their blocks hold; and
        of a repository.
    """

    root: str
    blocks: int
    bytes: int
    skipped: int
    problems: tuple[Problem, ...]
    repaired: tuple[str, ...]
    extra: tuple[str, ...] | None
    arrays: dict[str, ChunkCount] | None = None

    @property
    def ok(self) -> bool:
        """Whether everything under the root is there and sound; blocks beside it do no harm."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON data.

        Returns
        -------
        dict
            The attributes by their names, tuples as lists, and ``ok``. Each of the problems, and
            each count of chunks, is a dict of its own attributes.
        """
        problems = [
            {**asdict(problem), "keys": list(problem.keys), "commits": list(problem.commits)}
            for problem in self.problems
        ]
        return {
            "root": self.root,
            "ok": self.ok,
            "blocks": self.blocks,
            "bytes": self.bytes,
            "skipped": self.skipped,
            "problems": problems,
            "repaired": list(self.repaired),
            "extra": None if self.extra is None else list(self.extra),
            "arrays": self.arrays and {path: asdict(array) for path, array in self.arrays.items()},
        }
