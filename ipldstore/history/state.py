"""States: all that a repository is at one time, as one block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from ipldstore.cid import Link, parse_text, to_text
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
from ipldstore.history.kinds import STATE
from ipldstore.history.names import check_ref_name
from ipldstore.limits import (
    MAX_COUNT,
    MAX_LABEL_BYTES,
    MAX_REFS,
    MAX_SHALLOW,
    MAX_STATE_BYTES,
)

NONCE_BYTES = 16

_REQUIRED = (
    *(STATE, "branches", "tags", "default", "shallow"),
    *("operation", "nonce", "collected"),
)
_OPTIONAL = ("previous", "collecting")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What made a state of the one before.

    Parameters
    ----------
    kind
        A word for it.
    ref
        The branch or tag that it is about; None if it is about none, or several.
    before, after
        The commits that this led and leads to; None before it was made, and after it was removed.
    time
        When it was, in microseconds since 1970, UTC.

    Raises
    ------
    InvalidNodeError
        If a field is of another type, or beyond its limits.
    InvalidNameError
        If no branch or tag may have the name.
    """

    kind: str
    ref: str | None = None
    before: Link | None = None
    after: Link | None = None
    time: int

    def __post_init__(self) -> None:
        check_text("the operation's kind", self.kind, MAX_LABEL_BYTES, 1)
        check_time("the operation's time", self.time)
        if self.ref is not None:
            check_ref_name(self.ref)
        for name, link in (("from", self.before), ("to", self.after)):
            if link is not None:
                check_node(f"the operation's {name}", link)
                if self.ref is None:
                    raise InvalidNodeError(f"the operation has {name}, and no ref")

    def _value(self) -> dict[str, Any]:
        value = {
            "kind": self.kind,
            "ref": self.ref,
            "from": self.before,
            "to": self.after,
            "time": self.time,
        }
        return {name: item for name, item in value.items() if item is not None}


@dataclass(frozen=True, kw_only=True)
class State:
    """A repository at one time.

    One that breaks a rule of the format is not made. Two are equal if their blocks are.

    Parameters
    ----------
    branches, tags
        The commits that names lead to; no branch and tag have the same name.
    default
        The branch that is meant where none is named; there may be none of this name yet.
    shallow
        Commits whose parents are let go.
    operation
        What made this state.
    previous
        The state before; None for the first.
    nonce
        16 random bytes, so that no state comes twice.
    collecting
        The mark of a collector that is at work; None if there is none.
    collected
        How often blocks were collected.

    Raises
    ------
    InvalidNodeError
        If a field is of another type, or beyond its limits.
    InvalidNameError
        If no branch or tag may have one of the names.
    """

    branches: Mapping[str, Link] = field(compare=False)
    tags: Mapping[str, Link] = field(compare=False)
    default: str
    shallow: frozenset[Link] = frozenset()
    operation: Operation
    previous: Link | None = None
    nonce: bytes
    collecting: str | None = None
    collected: int = 0
    _encoded: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "branches", MappingProxyType(dict(self.branches)))
        object.__setattr__(self, "tags", MappingProxyType(dict(self.tags)))
        object.__setattr__(self, "shallow", frozenset(self.shallow))
        _check_refs(self.branches, self.tags)
        check_ref_name(self.default)
        check_count("shallow commits", len(self.shallow), MAX_SHALLOW)
        for link in self.shallow:
            check_node("a shallow commit", link)
        check_type("operation", self.operation, Operation)
        if self.previous is not None:
            check_node("previous", self.previous)
        check_type("nonce", self.nonce, bytes)
        check_size("nonce", len(self.nonce), NONCE_BYTES, NONCE_BYTES)
        if self.collecting is not None:
            check_text("collecting", self.collecting, MAX_LABEL_BYTES, 1)
        check_integer("collected", self.collected, 0, MAX_COUNT)
        object.__setattr__(self, "_encoded", dagcbor.encode(self._value()))
        check_size("the state", len(self._encoded), MAX_STATE_BYTES)

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode, (self._encoded,)

    def _value(self) -> dict[str, Any]:
        value = {
            STATE: VERSION,
            "branches": dict(self.branches),
            "tags": dict(self.tags),
            "default": self.default,
            "shallow": sorted(self.shallow),
            "operation": self.operation._value(),
            "nonce": self.nonce,
            "collected": self.collected,
        }
        if self.previous is not None:
            value["previous"] = to_text(self.previous)
        if self.collecting is not None:
            value["collecting"] = self.collecting
        return value

    def encode(self) -> bytes:
        """Return the block."""
        return self._encoded


def _check_refs(branches: Mapping[str, Link], tags: Mapping[str, Link]) -> None:
    check_count("branches and tags", len(branches) + len(tags), MAX_REFS)
    for kind, refs in (("branch", branches), ("tag", tags)):
        for name, link in refs.items():
            check_ref_name(name)
            check_node(f"{kind} {name!r}", link)
    for name in branches.keys() & tags.keys():
        raise InvalidNodeError(f"{name!r} is both a branch and a tag")


def decode_state(link: Link, data: bytes) -> State:
    """Read the state that a block holds; `InvalidNodeError` if it holds none."""
    with reading(link, "state"):
        return _read(decode_map(link, data, MAX_STATE_BYTES))


def _decode(data: bytes) -> State:
    """Read a state that was encoded here."""
    return _read(dagcbor.decode(data))


def _read(value: dict[str, Any]) -> State:
    check_version(STATE, value)
    check_names(value, _REQUIRED, _OPTIONAL)
    for name in ("branches", "tags"):
        check_type(name, value[name], dict)
    _check_ascending(value["shallow"])
    value["operation"] = _read_operation(value["operation"])
    if "previous" in value:
        value["previous"] = _read_text(value["previous"])
    del value[STATE]
    return State(**value)


def _check_ascending(shallow: object) -> None:
    check_type("shallow", shallow, list)
    assert isinstance(shallow, list)
    for link in shallow:
        check_node("a shallow commit", link)
    if any(before >= after for before, after in pairwise(shallow)):
        raise InvalidNodeError("shallow commits are repeated or out of order")


def _read_operation(value: Any) -> Operation:
    check_type("operation", value, dict)
    check_names(value, ("kind", "time"), ("ref", "from", "to"))
    before, after = value.pop("from", None), value.pop("to", None)
    return Operation(**value, before=before, after=after)


def _read_text(value: Any) -> Link:
    check_type("previous", value, str)
    link = parse_text(value)
    if to_text(link) != value:
        raise InvalidNodeError(f"previous is {value!r}, expected {to_text(link)}")
    return link
