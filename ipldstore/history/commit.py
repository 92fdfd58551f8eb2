"""Commits: a root, what came before it, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ipldstore.cid import Link
from ipldstore.errors import InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.history.fields import (
    VERSION,
    check_count,
    check_integer,
    check_names,
    check_node,
    check_size,
    check_text,
    check_time,
    check_type,
    check_version,
    decode_map,
    reading,
)
from ipldstore.history.kinds import COMMIT
from ipldstore.limits import (
    MAX_AUTHOR_BYTES,
    MAX_COMMIT_BYTES,
    MAX_COMMIT_METADATA_BYTES,
    MAX_COUNT,
    MAX_MESSAGE_BYTES,
    MAX_PARENTS,
    MAX_SIGNATURE_BYTES,
)

_REQUIRED = (COMMIT, "root", "parents", "generation", "time", "author", "message")
_OPTIONAL = ("metadata", "signature")


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A version of a hierarchy.

    One that breaks a rule of the format is not made. Two are equal if their blocks are.

    Parameters
    ----------
    root
        The hierarchy.
    parents
        The commits before it; the first is the earlier tip of its branch.
    generation
        1 without parents, else 1 more than the highest generation of them.
    time
        When it was made, in microseconds since 1970, UTC.
    author, message
        Any text.
    metadata
        IPLD values without links, of which a copy is kept.
    signature
        Reserved: kept, and not looked into.

    Raises
    ------
    InvalidNodeError
        If a field is of another type, or beyond its limits.
    CodecError
        If DAG-CBOR has no form for the metadata.
    """

    root: Link
    parents: tuple[Link, ...] = ()
    generation: int
    time: int
    author: str
    message: str
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)
    signature: bytes | None = None
    _encoded: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parents", tuple(self.parents))
        object.__setattr__(self, "metadata", MappingProxyType(_copy(self.metadata)))
        check_node("root", self.root)
        _check_parents(self.parents, self.generation)
        check_time("time", self.time)
        check_text("author", self.author, MAX_AUTHOR_BYTES)
        check_text("message", self.message, MAX_MESSAGE_BYTES)
        if self.signature is not None:
            check_type("signature", self.signature, bytes)
            check_size("signature", len(self.signature), MAX_SIGNATURE_BYTES, 1)
        object.__setattr__(self, "_encoded", dagcbor.encode(self._value()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode, (self._encoded,)

    def _value(self) -> dict[str, Any]:
        value = {name: getattr(self, name) for name in _REQUIRED[1:]} | {COMMIT: VERSION}
        if self.metadata:
            value["metadata"] = dict(self.metadata)
        if self.signature is not None:
            value["signature"] = self.signature
        return value

    def encode(self) -> bytes:
        """Return the block."""
        return self._encoded


def _copy(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Copy metadata, which may hold no links."""
    if not isinstance(metadata, Mapping):
        check_type("metadata", metadata, dict)
    encoded = dagcbor.encode(dict(metadata))
    check_size("metadata", len(encoded), MAX_COMMIT_METADATA_BYTES)
    value: dict[str, Any] = dagcbor.decode(encoded)
    for link in dagcbor.iter_links(value):
        raise InvalidNodeError(f"metadata holds a link, {link}")
    return value


def _check_parents(parents: tuple[Link, ...], generation: int) -> None:
    check_count("parents", len(parents), MAX_PARENTS)
    for parent in parents:
        check_node("a parent", parent)
        if parents.count(parent) > 1:
            raise InvalidNodeError(f"parent {parent} is repeated")
    check_integer("generation", generation, 2 if parents else 1, MAX_COUNT if parents else 1)


def decode_commit(link: Link, data: bytes) -> Commit:
    """Read the commit that a block holds; `InvalidNodeError` if it holds none."""
    with reading(link, "commit"):
        return _read(decode_map(link, data, MAX_COMMIT_BYTES))


def _decode(data: bytes) -> Commit:
    """Read a commit that was encoded here."""
    return _read(dagcbor.decode(data))


def _read(value: dict[str, Any]) -> Commit:
    check_version(COMMIT, value)
    check_names(value, _REQUIRED, _OPTIONAL)
    check_type("parents", value["parents"], list)
    if "metadata" in value:
        check_type("metadata", value["metadata"], dict)
        if not value["metadata"]:
            raise InvalidNodeError("metadata is empty, expected to be absent then")
    del value[COMMIT]
    return Commit(**value)
