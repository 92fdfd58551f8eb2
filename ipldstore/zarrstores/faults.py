"""What stores of other libraries raise, as errors that say which key of which store it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ipldstore.backends.objects.faults import backend_error
from ipldstore.basics.urls import secrets_in, without_secrets
from ipldstore.errors import BackendError, IPLDStoreError, raise_alone
from ipldstore.zarrstores.plain import PlainStore

_KEPT = (IPLDStoreError, MemoryError)
_NOTED = (OSError, TypeError)


@contextmanager
def explained(what: str, url: str = "") -> Iterator[None]:
    """Have errors say what could not be done: `what`, which is ``"cannot ..."``.

    The store's URL may hold secrets: errors of libraries are then not shown, and their text without
    these. What is neither of this package nor of the system becomes a `BackendError`.
    """
    try:
        yield
    except _KEPT:
        raise
    except FileNotFoundError as error:
        if url:
            raise_alone(FileNotFoundError(without_secrets(str(error), secrets_in(url))))
        error.add_note(what)
        raise
    except ImportError as error:
        raise BackendError(
            f"{what}: a package is not installed: {error}; fsspec itself comes with: pip install "
            "'ipldstore[fsspec]'"
        ) from None
    except Exception as error:
        if url:
            raise_alone(backend_error(what, error, secrets_in(url)))
        if isinstance(error, _NOTED):
            error.add_note(what)
            raise
        raise backend_error(what, error) from error


def guarded(plain: PlainStore, shown: str, url: str = "") -> PlainStore:
    """Return a store whose errors are those of `explained`, and call it `shown`."""

    def get(key: str) -> bytes | None:
        with explained(f"cannot read {key!r} of {shown}", url):
            return plain.get(key)

    def put(key: str, data: bytes) -> None:
        with explained(f"cannot write {key!r} to {shown}", url):
            plain.put(key, data)

    def has_value(key: str, data: bytes) -> bool:
        with explained(f"cannot compare {key!r} of {shown}", url):
            return plain.has_value(key, data)

    return replace(plain, get=get, put=put, compare=has_value)
