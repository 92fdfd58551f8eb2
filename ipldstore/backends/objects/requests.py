"""Requests for the few objects of a store that are no blocks, tried again as those for blocks."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from ipldstore.backends.objects.address import Untried
from ipldstore.backends.objects.faults import backend_error
from ipldstore.backends.objects.known import PAGE
from ipldstore.backends.objects.patience import Patience
from ipldstore.blockstore.pointers import FOLDER
from ipldstore.errors import BackendError, ReentrantCallError, raise_alone

T = TypeVar("T")


class Requests:
    """Sends requests for objects at paths below the prefix of a store.

    `place` returns the whole path of one. `answer` gets an object, and raises `FileNotFoundError`
    if there is none; `fault` tells why that may not be true, or None. All errors are of this
    package, without what is `hidden`.
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
        hidden: tuple[str, ...],
    ) -> None:
        self._untried = untried
        self._patience = patience
        self._attributes = attributes
        self._hidden = hidden
        self._answer = answer
        self._fault = fault
        self.place = place
        self._is_checked = False

    def get(self, path: str, most: int) -> bytes | None:
        """Return an object of so many bytes at most, None if it is not there."""
        return self._find(path, lambda whole: _read(self._answer(whole), most))

    def has(self, path: str) -> bool:
        """Whether there is an object."""
        return self._find(path, self._untried.reader.head) is not None

    def _find(self, path: str, ask: Callable[[str], T]) -> T | None:
        whole = self.place(path)
        what = f"cannot read {whole!r}"
        try:
            return self._patience.run(lambda: ask(whole))
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

        def send(whole: str) -> bool:
            try:
                self._put(whole, data, "create")
            except AlreadyExistsError:
                return False
            return True

        return self._run("put", path, send)

    def replace(self, path: str, data: bytes) -> bool:
        """Put an object in the place of what is there; return whether it was sent only once.

        One that was sent again may be put once more at any time, by the request that failed.
        """
        tries: list[None] = []

        def send(whole: str) -> None:
            tries.append(None)
            self._put(whole, data, "overwrite")

        self._run("put", path, send)
        return len(tries) == 1

    def remove(self, path: str) -> None:
        """Delete an object, if it is there."""

        def send(whole: str) -> None:
            with suppress(FileNotFoundError):
                self._untried.writer.delete(whole)

        self._run("delete", path, send)

    def check_creates(self) -> None:
        """Raise `BackendError` if the store makes an object in spite of another one.

        It is asked to by an object of its own, before there is anything that could be lost.
        """
        if self._is_checked:
            return
        path = f"{FOLDER}/trial-{secrets.token_hex(16)}"
        try:
            self.create(path, b"first")
            is_replaced = self.create(path, b"second")
        finally:
            self.delete(path)
        if is_replaced:
            raise BackendError(
                f"{self.place(FOLDER)!r}: this store replaced an object that was to be made only "
                "if there is none, so that pointers and journals would be lost: keep them elsewhere"
            )
        self._is_checked = True

    def delete(self, path: str) -> None:
        """Delete an object as far as that can be done."""
        with suppress(Exception):
            self._untried.writer.delete(self.place(path))

    def list(self, path: str) -> list[str]:
        """Return the names right below a path, of objects and of what is like a folder."""
        list_names = self._untried.reader.list_with_delimiter
        found = self._run("list", path, list_names)
        paths = [*(meta["path"] for meta in found["objects"]), *found["common_prefixes"]]
        return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def list_sizes(self, path: str) -> dict[str, int]:
        """Return all objects below a path, by their paths from there on, and how large each is."""

        def send(whole: str) -> dict[str, int]:
            pages = self._untried.reader.list(whole, chunk_size=PAGE)
            return {meta["path"]: meta["size"] for page in pages for meta in page}

        prefix = f"{self.place(path)}/"
        found = self._run("list", path, send)
        return {path.removeprefix(prefix): size for path, size in found.items()}

    def _put(self, whole: str, data: bytes, mode: Any) -> None:
        self._untried.writer.put(
            whole, data, mode=mode, attributes=self._attributes, use_multipart=False
        )

    def _run(self, verb: str, path: str, send: Callable[[str], T]) -> T:
        whole = self.place(path)
        try:
            return self._patience.run(lambda: send(whole))
        except Exception as error:
            raise_alone(self._error(f"cannot {verb} {whole!r}", error))

    def _error(self, what: str, error: Exception) -> Exception:
        if isinstance(error, BackendError | ReentrantCallError):
            return error
        return backend_error(what, error, self._hidden)


def _read(answer: Any, most: int) -> bytes:
    meta = answer.meta
    if meta["size"] > most:
        raise BackendError(f"{meta['path']!r} has {meta['size']} bytes, at most {most}")
    return bytes(answer.bytes())
