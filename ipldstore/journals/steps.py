"""The steps of a session: when it is open to be written to, by whom it is committed, from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ipldstore.cid import Link
from ipldstore.errors import CodecError, InvalidNodeError, IPLDStoreError
from ipldstore.formats import dagcbor
from ipldstore.history.fields import (
    check_count,
    check_integer,
    check_names,
    check_size,
    check_text,
    check_time,
    check_type,
    check_version,
)
from ipldstore.limits import (
    MAX_JOURNAL_BYTES,
    MAX_JOURNALS,
    MAX_MESSAGE_BYTES,
    MAX_POINTER_NAME_LENGTH,
    MAX_REF_NAME_BYTES,
)

OPEN, CLOSED, ENDED = "open", "closed", "ended"
NONCE_BYTES = 16

_VERSION = "session"
_LINKS = ("commit", "base", "root")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a session.

    `after` is the nonce of the step before, nothing in the first one: by it, one that somebody made
    too late, when all was removed, is known. `kind` is ``"open"`` while processes write,
    ``"closed"`` once one of them commits what they wrote, and ``"ended"`` when it is committed. An
    open one says of which `branch` of which `repository` it is, of which `commit` and which
    hierarchy, `base`, what is written are changes (None if there is none), from which `root` that
    goes on, which may have some of them already, how many bytes of journals of earlier steps count
    in it, `carries`, and the `message` to commit with.
    """

    kind: str
    time: int
    nonce: bytes
    after: bytes = b""
    repository: str = ""
    branch: str = ""
    commit: Link | None = None
    base: Link | None = None
    root: Link | None = None
    carries: Mapping[str, int] = field(default_factory=dict)
    message: str = ""

    def encode(self) -> bytes:
        """Return it as it is kept."""
        value: dict[str, Any] = {
            _VERSION: 1,
            "kind": self.kind,
            "time": self.time,
            "nonce": self.nonce,
        }
        if self.after:
            value["after"] = self.after
        if self.kind == OPEN:
            value |= {
                "repository": self.repository,
                "branch": self.branch,
                "carries": dict(self.carries),
                "message": self.message,
            }
            links = {name: getattr(self, name) for name in _LINKS}
            value |= {name: link for name, link in links.items() if link is not None}
        return dagcbor.encode(value)


_ALL = frozenset((_VERSION, "kind", "time", "nonce"))
_OF_OPEN = _ALL | {"repository", "branch", "carries", "message"}


def decode_step(data: bytes, where: str) -> Step:
    """Read a step; `InvalidNodeError`, which says where it is, if it is none."""
    try:
        return _read(dagcbor.decode(data))
    except (CodecError, IPLDStoreError) as error:
        raise InvalidNodeError(f"{where} is no step of a session: {error}") from error


def _read(value: Any) -> Step:
    check_type("it", value, dict)
    check_version(_VERSION, value)
    kind = value.get("kind")
    if kind not in (OPEN, CLOSED, ENDED):
        raise InvalidNodeError(f"its kind is {kind!r}, expected {OPEN}, {CLOSED} or {ENDED}")
    if kind == OPEN:
        check_names(value, _OF_OPEN, (*_LINKS, "after"))
        _check_open(value)
    else:
        check_names(value, _ALL, ("after",))
    check_time("time", value["time"])
    for name in ("nonce", "after"):
        if name in value:
            check_type(name, value[name], bytes)
            check_size(name, len(value[name]), NONCE_BYTES, NONCE_BYTES)
    del value[_VERSION]
    return Step(**value)


def _check_open(value: dict[str, Any]) -> None:
    check_text("repository", value["repository"], MAX_POINTER_NAME_LENGTH, 1)
    check_text("branch", value["branch"], MAX_REF_NAME_BYTES, 1)
    check_text("message", value["message"], MAX_MESSAGE_BYTES)
    for name in _LINKS:
        if name in value:
            check_type(name, value[name], Link)
    carries = value["carries"]
    check_type("carries", carries, dict)
    check_count("journals", len(carries), MAX_JOURNALS)
    for name, size in carries.items():
        check_integer(f"size of journal {name!r}", size, 0, MAX_JOURNAL_BYTES)
