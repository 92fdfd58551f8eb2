"""A store of keys and values, whatever library it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self


@dataclass(frozen=True)
class PlainStore:
    """A store of keys and values, told what to do without an event loop.

    Attributes
    ----------
    list_keys : callable
        Returns the keys, which may be iterated several times.
    get : callable
        Returns the value of a key, None if there is none.
    put : callable
        Sets a value.
    compare : callable or None
        Tells whether a key has exactly a value, where that takes no reading.
    """

    list_keys: Callable[[], Iterable[str]]
    get: Callable[[str], bytes | None]
    put: Callable[[str, bytes], None]
    compare: Callable[[str, bytes], bool] | None = None

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


def as_bytes(value: Any) -> bytes | None:
    """Return a value as bytes, None if there is none."""
    return None if value is None else memoryview(value).tobytes()
