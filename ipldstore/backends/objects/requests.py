"""Requests for the few objects of a store that are no blocks, tried again as those for blocks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ipldstore.backends.objects.address import Untried
from ipldstore.backends.objects.faults import backend_error
from ipldstore.backends.objects.patience import Patience
from ipldstore.errors import BackendError, ReentrantCallError, raise_alone


class Requests:
    """Sends requests for objects at paths below the prefix of a store.

    `place` returns the whole path of one. `answer` gets an object, and raises `FileNotFoundError`
    if there is none; `fault` tells why that may not be true, or None. All errors are of this
    package, without `secrets`.
    """

    def __init__(
        self,
        untried: Untried,
        patience: Patience,
        *,
        place: Callable[[str], str],
        answer: Callable[[str], Any],
        fault: Callable[[str, Exception], Exception | None],
        attributes: Any,
        secrets: tuple[str, ...],
    ) -> None:
        self._untried = untried
        self._patience = patience
        self._attributes = attributes
        self._secrets = secrets
        self._answer = answer
        self._fault = fault
        self.place = place

    def get(self, path: str, most: int) -> bytes | None:
        """Return an object of so many bytes at most, None if it is not there."""
        whole = self.place(path)
        what = f"cannot read {whole!r}"
        try:
            return self._patience.run(lambda: _read(self._answer(whole), most))
        except FileNotFoundError as error:
            if (fault := self._fault(whole, error)) is not None:
                raise_alone(self._error(what, fault))
            return None
        except Exception as error:
            raise_alone(self._error(what, error))

    def create(self, path: str, data: bytes) -> bool:
        """Make an object if there is none; return False if there is one, which may be this one.

        That is so if the answer to making it was lost.
        """
        from obstore.exceptions import AlreadyExistsError

        def send() -> bool:
            try:
                self._untried.writer.put(
                    whole, data, mode="create", attributes=self._attributes, use_multipart=False
                )
            except AlreadyExistsError:
                return False
            return True

        whole = self.place(path)
        try:
            return self._patience.run(send)
        except Exception as error:
            raise_alone(self._error(f"cannot put {whole!r}", error))

    def delete(self, path: str) -> None:
        """Delete an object as far as that can be done."""
        with suppress(Exception):
            self._untried.writer.delete(self.place(path))

    def list(self, path: str) -> list[str]:
        """Return the names right below a path, of objects and of what is like a folder."""
        whole = self.place(path)
        try:
            found = self._patience.run(lambda: self._untried.reader.list_with_delimiter(whole))
        except Exception as error:
            raise_alone(self._error(f"cannot list {whole!r}", error))
        paths = [*(meta["path"] for meta in found["objects"]), *found["common_prefixes"]]
        return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def _error(self, what: str, error: Exception) -> Exception:
        if isinstance(error, BackendError | ReentrantCallError):
            return error
        return backend_error(what, error, self._secrets)


def _read(answer: Any, most: int) -> bytes:
    meta = answer.meta
    if meta["size"] > most:
        raise BackendError(f"{meta['path']!r} has {meta['size']} bytes, at most {most}")
    return bytes(answer.bytes())
