"""What names a hierarchy, and what is named in its place by mistake."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ipldstore.backends.paths import BLOCKS_OPTION, describe
from ipldstore.basics.urls import show_url
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import CIDLike, as_link, parse_text
from ipldstore.errors import InvalidCIDError, RevisionError
from ipldstore.formats.cidtext import looks_like_cid
from ipldstore.history.revisions import parse_revision
from ipldstore.registry import is_archive, local_place
from ipldstore.store.hierarchy import Hierarchy

IPLD = "ipld://"

_ROOTS = (IPLD, "ipfs://", "/ipfs/")
_NAMES = ("ipns://", "/ipns/")
_SHOWN = 200
_END_OF_FILE = re.compile(r"\.car(?=/|\Z)", re.IGNORECASE)


class Name(NamedTuple):
    """What text names.

    `root` is a root, or a name for one; `place` the URL or path of a block store, if it is no root;
    `path` the group, array or key below. Of ``ipld:///REVISION``, `revision` is set, and `blocks`
    is the block store that it names.
    """

    root: CIDLike | None
    place: str = ""
    path: str = ""
    revision: str = ""
    blocks: str | None = None

    @property
    def is_archive(self) -> bool:
        """Whether it is a CAR file, by its name."""
        return bool(self.place) and is_archive(self.place)

    @property
    def is_in_blocks(self) -> bool:
        """Whether it is something in a block store, for certain: a root, or a revision by URL."""
        return self.root is not None or bool(self.revision)

    @property
    def has_blocks(self) -> bool:
        """Whether it says by itself where its blocks are."""
        return self.is_archive or self.blocks is not None


def read_name(what: CIDLike | os.PathLike[str]) -> Name:
    """Read what names a hierarchy.

    White space around a root is left out; in the name of a file it counts. `what` is a root in any
    form, ``ipld://CID``, ``ipfs://CID``, ``/ipfs/CID``, ``ipns://NAME``, ``ipld:///REVISION`` or
    ``FILE.car``, each also with a path after a slash; or the URL or path of a block store. Raises
    `InvalidCIDError` if a root is malformed, `RevisionError` if there is none after three slashes,
    and `TypeError` if it is of no type that names anything.
    """
    if isinstance(what, os.PathLike):
        return _read_place(os.fspath(what))
    if not isinstance(what, str):
        _check_type(what)
        return Name(as_link(what))
    text = what.strip()
    for prefix in _ROOTS:
        if text.lower().startswith(prefix):
            return _read_root(text[len(prefix) :], takes_revisions=prefix == IPLD)
    for prefix in _NAMES:
        if text.lower().startswith(prefix):
            name, _, path = text[len(prefix) :].partition("/")
            return Name(prefix + name, path=path)
    _check_slashes(text)
    try:
        cid, _, path = text.partition("/")
        return Name(parse_text(cid), path=path)
    except InvalidCIDError:
        if "\0" in text:  # which no path holds either
            raise
        return _read_place(what)


def _read_root(rest: str, *, takes_revisions: bool) -> Name:
    """Read what follows the slashes of a URL."""
    if takes_revisions and rest.startswith("/"):
        rest, blocks = split_blocks(rest)
        first, _, path = rest[1:].partition("/")
        try:
            return Name(parse_text(first), path=path, blocks=blocks)
        except InvalidCIDError:
            return Name(None, path=path, revision=unquote_revision(first), blocks=blocks)
    cid, _, path = rest.partition("/")
    try:
        return Name(parse_text(cid), path=path)
    except InvalidCIDError as error:
        hint = revision_hint(cid) if takes_revisions else ""
        raise InvalidCIDError(f"{error}{hint}") from None


def split_blocks(text: str) -> tuple[str, str | None]:
    """Take a URL, or its end, apart from the block store that it names, percent-encoded."""
    rest, found, blocks = text.partition("?blocks=")
    return rest, unquote(blocks) if found else None


def unquote_revision(text: str) -> str:
    """Read a revision from a segment of a URL; `RevisionError` if it is none."""
    try:
        revision = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise RevisionError(f"{text[:_SHOWN]!r} is not UTF-8, percent-encoded") from None
    if not revision:
        raise RevisionError("'ipld:///' names no revision: expected ipld:///REVISION?blocks=STORE")
    parse_revision(revision)
    return revision


def revision_hint(text: str) -> str:
    """Say how a revision is written that stands where a URL has a CID; nothing of other text."""
    if not text or is_root(text):
        return ""
    try:
        parse_revision(text)
    except RevisionError:
        return ""
    return f"; a revision has three slashes before it, ipld:///{text}?blocks=STORE"


def is_revision(what: object) -> bool:
    """Whether what is no root can be meant as a revision, and not as a mistyped root or a place."""
    if not isinstance(what, str) or not (text := what.strip()):
        return False
    if looks_like_cid(text.partition("/")[0]):
        return _begins_like_a_commit(text)
    return ":" not in text.partition("@")[0] and root_within(text) is None


def _begins_like_a_commit(text: str) -> bool:
    try:
        return parse_revision(text).is_prefix
    except RevisionError:
        return False


def _check_type(what: object) -> None:
    if isinstance(what, Hierarchy):
        raise TypeError(f"expected a root, not {what!r}, which is open already")
    if isinstance(what, ContentAddressableStore):
        raise TypeError(
            f"expected a root, not {what!r}: open(ROOT, BLOCKS) opens one that is in there, "
            "IPLDStore(BLOCKS) begins an empty hierarchy"
        )
    if not is_root(what):
        hint = "; its to_zarr(store) writes it" if hasattr(what, "to_zarr") else ""
        raise TypeError(
            "expected a root, as a CID, text or bytes, or the path or URL of a CAR file, not "
            f"{type(what).__name__}{hint}"
        )


def _check_slashes(text: str) -> None:
    scheme, colon, rest = text.partition(":")
    if scheme.lower() in ("ipld", "ipfs") and colon and looks_like_cid(rest.partition("/")[0]):
        raise InvalidCIDError(f"{text!r} lacks two slashes, expected {scheme.lower()}://{rest}")


def _read_place(text: str) -> Name:
    """Split the name of a CAR file and the path in it."""
    found = local_place(text) if text else None
    if found is None:
        return Name(None, text)
    _, path = found
    ends = [match.end() for match in _END_OF_FILE.finditer(path)]
    files = [end for end in ends if os.path.isfile(path[:end])]
    end = next(iter(files or [end for end in ends if not os.path.isdir(path[:end])]), len(path))
    return Name(None, f"car:{path[:end]}" if path[end:] else text, path[end + 1 :])


def fault_of(what: str | os.PathLike[str]) -> str:
    """Say what something is that was named where a root is expected, and what to do with it."""
    text = os.fspath(what)
    shown = repr(show_url(text)[:_SHOWN])
    first = text.strip().partition("/")[0]
    if looks_like_cid(first):
        return _cid_fault(first)
    if (found := describe(text)) is not None:
        return f"{shown} is {found}"
    if (root := root_within(text)) is not None:
        where = _gateway_of(text) or "what has its blocks"
        return f"{shown} is no root, but {root} is: name that, and {where} as {BLOCKS_OPTION}"
    if ":" in first:
        return f"{shown} is no root: a block store is named as {BLOCKS_OPTION}, beside a root in it"
    return f"{_cid_fault(first)}, and there is no file or folder {shown}"


def _cid_fault(text: str) -> str:
    try:
        parse_text(text)
    except InvalidCIDError as error:
        return str(error)
    raise AssertionError(text)


def root_within(text: str) -> str | None:
    """Return the first root that is a part of a path, or of a gateway's URL."""
    parts = r"[/.]" if _gateway_of(text) else r"/"
    for part in re.split(rf"{parts}|[\s'\"`<>()\[\]{{}},;]", text):
        if looks_like_cid(part):
            try:
                parse_text(part)
            except InvalidCIDError:
                continue
            return part
    return None


def _gateway_of(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    return f"gateway+{parts.scheme}://{host.partition('.ipfs.')[2] or host}"


def is_root(what: object) -> bool:
    """Whether something can hardly be meant as anything but a root."""
    if isinstance(what, str):
        return looks_like_cid(what.strip())
    return isinstance(what, bytes) or type(what).__name__ == "CID"
