"""``ipldstore put``: files and Zarr stores become blocks, under one root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from ipldstore.basics.words import size_text
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, as_link, to_text
from ipldstore.cli.frame.interruption import KEPT, interruptible
from ipldstore.cli.frame.output import count_text, say
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.names import Named, name_source
from ipldstore.cli.sources.reading import Content, Opened, open_source
from ipldstore.cli.sources.writing import check_formats, write_contents
from ipldstore.cli.sources.zarrs import Values
from ipldstore.cli.tools.blocks import measure_local, open_blocks
from ipldstore.cli.tools.repositories import MADE_BY
from ipldstore.cli.work.noting import Noted, begin_noting, describe_put, resume_noting
from ipldstore.errors import NoChangesError, RevisionError
from ipldstore.history.revisions import suggest
from ipldstore.repository.repository import Repository
from ipldstore.tree.keys import split_key, split_path

_SHOWN = 3


class Onto(NamedTuple):
    """The branch that a root is committed to, and what the commit says of itself."""

    repository: str
    branch: str
    message: str | None
    author: str | None
    metadata: Mapping[str, str]
    resume: str | None = None

    def find(self, blocks: ContentAddressableStore) -> Repository:
        """Return the repository; `RevisionError` if there is no such branch to commit to."""
        repo = Repository(blocks, self.repository)
        if self.branch != repo.default and self.branch not in repo.branches:
            guess = suggest(self.branch, repo.branches)
            raise RevisionError(
                f"there is no branch {self.branch!r}{guess} `ipldstore branch {self.branch}` makes "
                "it"
            )
        return repo

    def noting(self, repo: Repository, what: str) -> Noted | None:
        """Return the session in which it is noted what is written, if journals are kept."""
        if self.resume is not None:
            return resume_noting(repo, self.branch, what, self.resume)
        return begin_noting(repo, self.branch, what)

    def commit(self, repo: Repository, root: Link, what: str) -> str:
        """Commit a root and return the commit, that which has the root if the branch is at it."""
        message = f"put {what}" if self.message is None else self.message
        try:
            made = repo.commit(
                root, self.branch, message=message, author=self.author, metadata=self.metadata
            )
        except NoChangesError:
            tip = repo.show(self.branch)
            say(f"branch {self.branch!r} has this root already")
            return str(tip.cid)
        say(f"committed to branch {self.branch!r}")
        return str(made)


def put_sources(
    sources: Sequence[str],
    where: str,
    *,
    concat: str | None = None,
    into: str = "",
    onto: Onto | None = None,
) -> dict[str, Any]:
    """Write datasets as blocks and return what was done.

    Of several sources each becomes a group of its name; with `concat` they are joined along that
    dimension instead. `into` is the group below which they are put; the root if empty. `onto` says
    what the root is committed to, if it is.
    """
    if concat is not None and (not concat.strip() or "/" in concat):
        raise CommandError(f"{concat!r} cannot be the name of a dimension")
    named = [name_source(source) for source in sources]
    groups = _groups_of(named, concat, into)
    with ExitStack() as stack:
        stack.enter_context(interruptible(KEPT))
        opened = [stack.enter_context(open_source(one)) for one in named]
        contents = [one.content for one in opened] if concat is None else [_join(opened, concat)]
        placed = dict(zip(groups, contents, strict=True))
        check_formats(placed)
        blocks = stack.enter_context(_open_blocks(where, onto))
        what = _text(named)
        repo = None if onto is None else onto.find(blocks)
        noted = None
        if onto is not None and repo is not None:
            noted = onto.noting(repo, describe_put([one.shown for one in named], concat, into))
        with _explained(noted):
            note = None if noted is None else noted.note
            mapping, counted = write_contents(placed, blocks, what, note)
            root = as_link(mapping.freeze())
            commit = None if onto is None or repo is None else onto.commit(repo, root, what)
            if noted is not None:
                noted.finish()
        extent = measure_local(blocks, root)
    size = counted + sum(one.size for one in opened)
    place = repr(blocks) if extent is None else str(extent)
    say(f"put {size_text(size)} of {what} into {place}")
    count, stored = (None, None) if extent is None else extent
    return {
        "sources": [one.shown for one in named],
        "root": to_text(root),
        "source_bytes": size,
        "blocks": count,
        "bytes": stored,
        "left_out": _tell("left out what systems leave behind", opened, "left_out"),
        "followed": _tell("followed links that lead elsewhere", opened, "followed"),
        "commit": commit,
    }


@contextmanager
def _explained(noted: Noted | None) -> Iterator[None]:
    """Have an interruption, or an error, say how to go on with what was noted."""
    if noted is None:
        yield
        return
    with interruptible(f"what was written stays, {noted.hint}"), noted.explained():
        yield


def _open_blocks(where: str, onto: Onto | None) -> ContentAddressableStore:
    """Open the blocks to write to; they are there already where a repository is in them."""
    if onto is None:
        return open_blocks(where, make=True)
    return open_blocks(where, named_by=MADE_BY)


def _groups_of(named: list[Named], concat: str | None, into: str) -> list[str]:
    """Return the groups that sources become, of which no two are the same."""
    top = split_path(into.strip("/"))
    if concat is not None or len(named) == 1:
        found = {"/".join(top): named[0]}
    else:
        found = {}
        for one in named:
            group = "/".join((*top, one.stem))
            if group in found:
                raise CommandError(
                    f"{found[group].shown!r} and {one.shown!r} would both be the group "
                    f"{group!r}: rename one, or put them one by one"
                )
            found[group] = one
    for group in filter(None, found):
        split_key(f"{group}/zarr.json")
    return list(found)


def _join(opened: list[Opened], dimension: str) -> Content:
    from ipldstore.cli.sources.joining import Part, join
    from ipldstore.cli.tools.netcdf import explained

    parts = []
    for one in opened:
        if isinstance(one.content, Values):
            raise CommandError(f"{one.named.shown!r} is a Zarr store, and --concat joins files")
        parts.append(Part(one.named.shown, one.content))
    with explained(f"these sources cannot be joined along {dimension!r}"):
        return join(parts, dimension)


def _text(named: list[Named]) -> str:
    if len(named) > 1:
        return count_text(len(named), "source")
    (one,) = named
    return repr(one.shown if one.path is None else one.path.name or str(one.path))


def _tell(what: str, opened: list[Opened], name: str) -> list[str]:
    """Say what is worth a word, and return all of it."""
    places = sorted(
        f"{one.named.shown.rstrip('/')}/{key}" for one in opened for key in getattr(one.notes, name)
    )
    if places:
        more = f" and {len(places) - _SHOWN:,} more" * (len(places) > _SHOWN)
        say(f"{what}: {', '.join(map(repr, places[:_SHOWN]))}{more}")
    return places
