"""Verify what a root names, and repair it from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext

from ipldstore.blockstore.contract import ContentAddressableStore, require_block_store
from ipldstore.cid import DAG_CBOR, Link, codec_of, to_text
from ipldstore.errors import InvalidNodeError
from ipldstore.names.finding import Blocks, HierarchyLike, found_root
from ipldstore.store.deprecated import renamed
from ipldstore.transfer import Progress
from ipldstore.tree.decode import codec_fault
from ipldstore.verifying.blocks import MendedBlocks
from ipldstore.verifying.counts import count_chunks
from ipldstore.verifying.faults import find_problems
from ipldstore.verifying.journal import Journal
from ipldstore.verifying.report import ChunkCount, Problem, VerifyReport
from ipldstore.verifying.walk import Walk

__all__ = ["ChunkCount", "Problem", "VerifyReport", "verify"]


def verify(
    what: HierarchyLike,
    blocks: Blocks | None = None,
    *,
    repair_from: ContentAddressableStore | Sequence[ContentAddressableStore] | None = None,
    extra: bool = False,
    journal: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    backend: Blocks | None = None,
) -> VerifyReport:
    """Read every block under a root and check that it is what it has to be.

    Each block is hashed against its CID. Directories, pages and documents have to be in the one
    form that the format allows, and every link has to lead to what stands in its place: lists of
    pages to pages that begin and end where the list says, in order; files to blocks of the sizes
    that they announce. What is wrong is reported, with the keys that it concerns, and the rest is
    looked at all the same.

    Each block is read once; a page that stands in several directories between other pages may be
    read for each, and directories beyond 64 MiB in all once more to count the chunks of arrays.
    Several are read at once. In memory stay about 150 bytes for a block, about 1,000 for one that
    is missing, and those 64 MiB.

    Parameters
    ----------
    what
        The hierarchy: a store, which is frozen, or what `ipldstore.open` takes: a root, a
        revision, a CAR file.
    blocks
        Where the blocks of a root are, as in `ipldstore.open`; a store has its own. What
        it returns counts: a cache is asked before its source, and of several stores any that has
        the block.
    repair_from
        A block store, or several, from which blocks that are missing or corrupt are fetched. They
        are verified, put, and read back. What lies below a repaired directory is looked at too.
    extra
        Whether to list the blocks in the store that are not under the root, compared by multihash.
        Those of other roots are among them, such as of earlier versions.
    journal
        A file in which blocks of values that were found sound are noted, so that a run that was
        stopped, however hard, goes on where it was: it reads the directories again, and of the
        values only the others. It goes with one root and one block store, told by its ``repr``. It
        is removed when everything was found sound, so that the next run reads everything again;
        when problems are left, it stays, and the next run looks at what was not sound.
    progress
        Called, in the caller's thread, with the number of blocks that were read so far and their
        bytes. What it raises stops the verification.
    backend
        The former name of `blocks`.

    Returns
    -------
    VerifyReport
        What was found.

    Raises
    ------
    InvalidNodeError
        If the root has another codec than dag-cbor, so that it cannot be that of a hierarchy; a
        UnixFS directory becomes one by `IPLDStore.from_unixfs`.
    InvalidCIDError
        If the root is malformed.
    JournalError
        If the journal is that of another root or block store, or cannot be used.
    BackendError
        If `extra` is asked of a store that cannot list its blocks.

    Examples
    --------
    >>> from ipldstore import IPLDStore, MappingCAStore, verify
    >>> blocks = {}
    >>> store = IPLDStore(MappingCAStore(blocks))
    >>> store["a/0"] = b"chunk"
    >>> archive = store.to_car()
    >>> blocks["bafkreidmq73ig4nsrfkha7v3skx647gp7n2mn5y6zd7krkmm6yiefckylm"] = b"chonk"
    >>> [(problem.kind, problem.keys) for problem in verify(store).problems]
    [('corrupt', ('a/0',))]
    >>> copy = IPLDStore.from_car(archive)
    >>> verify(store, repair_from=copy.blocks).ok
    True
    """
    sources = _sources(repair_from)
    with found_root(what, renamed(blocks, backend), leads=False) as (root, found):
        if codec_of(root) != DAG_CBOR:
            fault = codec_fault(root)
            raise InvalidNodeError(f"{to_text(root)} is not the root of a hierarchy: {fault}")
        return _verify(root, found, sources, extra, journal, progress)


def verify_history(
    state: Link,
    blocks: ContentAddressableStore,
    *,
    repair_from: ContentAddressableStore | Sequence[ContentAddressableStore] | None = None,
    extra: bool = False,
    journal: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Verify all versions that the state of a repository leads to; see `Repository.verify`."""
    return _verify(state, blocks, _sources(repair_from), extra, journal, progress, is_history=True)


def _sources(
    given: ContentAddressableStore | Sequence[ContentAddressableStore] | None,
) -> Sequence[ContentAddressableStore]:
    if given is None:
        return ()
    sources = (given,) if isinstance(given, ContentAddressableStore) else given
    for source in sources:
        require_block_store(source)
    return sources


def _verify(
    root: Link,
    blocks: ContentAddressableStore,
    sources: Sequence[ContentAddressableStore],
    extra: bool,
    journal: str | os.PathLike[str] | None,
    progress: Progress | None,
    *,
    is_history: bool = False,
) -> VerifyReport:
    read = MendedBlocks(blocks, sources)
    with Journal(journal, root, blocks) if journal is not None else nullcontext() as noted:
        walk = Walk(read, noted, progress)
        problems = find_problems(walk.run_history(root) if is_history else walk.run(root))
        others = _find_extra(blocks, walk) if extra and walk.is_whole else None
        if noted is not None and not problems:
            noted.finish()
    broken = {problem.cid for problem in problems}
    return VerifyReport(
        root=to_text(root),
        blocks=walk.blocks_read,
        bytes=walk.bytes_read,
        skipped=walk.skipped,
        problems=tuple(problems),
        repaired=tuple(sorted(map(to_text, set(read.repaired)))),
        extra=others,
        arrays=None if is_history else count_chunks(root, blocks, walk.kept, broken),
    )


def _find_extra(blocks: ContentAddressableStore, walk: Walk) -> tuple[str, ...]:
    found = {block.cid for block in blocks.iter_blocks() if not walk.is_under(block.cid)}
    return tuple(sorted(map(to_text, found)))
