"""A store of keys and values, whatever library it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, replace
from typing import Any, Self


@dataclass(frozen=True)
class PlainStore:
    """A store of keys and values, told what to do without an event loop.

    Keys may be iterated several times; the value of a key is None if there is none. `compare` tells
    whether a key has exactly a value, where that takes no reading. `is_exact` says whether each key
    that is listed has a value. Where it is not, the keys are those that can be there, and one that
    has no value is none.
    """

    list_keys: Callable[[], Iterable[str]]
    get: Callable[[str], bytes | None]
    put: Callable[[str, bytes], None]
    compare: Callable[[str, bytes], bool] | None = None
    is_exact: bool = True

    def has_value(self, key: str, data: bytes) -> bool:
        """Whether a key has exactly a value."""
        return self.get(key) == data if self.compare is None else self.compare(key, data)

    def below(self, path: str) -> Self:
        """Return what is below a path, the keys shortened by it."""
        if not path:
            return self
        prefix = f"{path}/"
        return replace(
            self,
            list_keys=lambda: [
                key.removeprefix(prefix) for key in self.list_keys() if key.startswith(prefix)
            ],
            get=lambda key: self.get(prefix + key),
            put=lambda key, data: self.put(prefix + key, data),
            compare=lambda key, data: self.has_value(prefix + key, data),
        )


def of_mapping(mapping: MutableMapping[str, Any]) -> PlainStore:
    """Open a mapping of keys to bytes."""
    return PlainStore(
        list_keys=lambda: list(mapping),
        get=lambda key: as_bytes(mapping.get(key)),
        put=mapping.__setitem__,
    )


def as_bytes(value: Any) -> bytes | None:
    """Return a value as bytes, None if there is none."""
    if value is None:
        return None
    if hasattr(value, "to_bytes") and not isinstance(value, int):
        value = value.to_bytes()
    try:
        return memoryview(value).tobytes()
    except TypeError:
        raise TypeError(
            f"expected bytes, or a buffer of them, not {type(value).__name__}"
        ) from None


def distinct_keys(keys: Iterable[str]) -> list[str]:
    """Leave out what zip files, and some object stores, list of folders; and what is there twice.

    A zip file lists a key once for each value that it was ever given; the last one counts.
    """
    return list(dict.fromkeys(key for key in keys if not str(key).endswith("/")))
