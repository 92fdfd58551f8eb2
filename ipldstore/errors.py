"""Every error the package raises on purpose.

Messages say what was expected and what came, and name the CID, the key or the byte offset.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

TAKE_A_PART = "this limit cannot be raised: take a part instead, such as ROOT/GROUP"
"""What to do about hierarchies that stand for too much to be looked at as a whole."""


class IPLDStoreError(Exception):
    """Root of the errors of this package."""


class BlockNotFoundError(IPLDStoreError, LookupError):
    """A block is not in the block store.

    It is deliberately no ``KeyError``: Zarr reads a ``KeyError`` as "this chunk was never
    written" and would fill in zeros for data that exists and is merely out of reach.
    """


class CorruptBlockError(IPLDStoreError):
    """The bytes that a block store returned do not hash to the CID they were asked by."""


class InvalidCIDError(IPLDStoreError, ValueError):
    """Text or bytes are not a CID, or its hash function is not one that can be verified."""


class CodecError(IPLDStoreError, ValueError):
    """Bytes are not canonical in their codec, or a value has no form in it.

    Attributes
    ----------
    offset : int or None
        Where in the block the fault is, in bytes; None when a value was being encoded.
    """

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class InvalidNodeError(IPLDStoreError):
    """A block is sound, but no part of a hierarchy, or of its history, in this package's format."""


class LimitExceededError(IPLDStoreError):
    """Something is larger, deeper or more than the caller or `ipldstore.limits` allows."""


class CarFormatError(IPLDStoreError, ValueError):
    """A CAR archive is malformed, truncated or lies about its blocks.

    Attributes
    ----------
    offset : int or None
        Where in the archive the fault is, in bytes from its start, as far as it is known.
    """

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class InvalidKeyError(IPLDStoreError, ValueError):
    """A key is malformed, or stands in the way of a key that is already there."""


class InvalidNameError(IPLDStoreError, ValueError):
    """Text that cannot be the name of a branch, a tag, a repository or a pointer."""


class ReadOnlyStoreError(IPLDStoreError, ValueError):
    """A write to a store, or through a view of one, that only reads.

    It is a ``ValueError`` because zarr-python raises and expects one for this.
    """


class DetachedStoreError(ReadOnlyStoreError, NotImplementedError):
    """A write through a copy of a store in another process, where what is written would be lost.

    It is a ``NotImplementedError`` because zarr-python asks any store for a view to write through,
    and expects one where there is none.
    """


class SessionEndedError(ReadOnlyStoreError):
    """A write in a session that was committed or abandoned meanwhile, or is being committed."""


def raise_alone(error: BaseException) -> NoReturn:
    """Raise an error without the one that is being handled, which may hold passwords."""
    try:
        raise error from None
    finally:
        error.__context__ = None


class MergeConflictError(IPLDStoreError):
    """Forks, or a fork and the store it is merged into, changed the same keys in different ways.

    Attributes
    ----------
    keys : tuple of str
        The keys, sorted.
    """

    def __init__(self, message: str, *, keys: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


class CommitConflictError(MergeConflictError):
    """Two versions changed the same things in different ways; neither is changed by that.

    Attributes
    ----------
    conflicts : tuple of Conflict
        What was changed in different ways: chunks, attributes, documents, or whole nodes.
    """

    def __init__(
        self, message: str, *, conflicts: Iterable[Any] = (), keys: Iterable[str] = ()
    ) -> None:
        super().__init__(message, keys=keys)
        self.conflicts = tuple(conflicts)


class NoChangesError(IPLDStoreError, ValueError):
    """A commit would have the root of the commit before it."""


class RevisionError(IPLDStoreError, LookupError):
    """Text names no commit of a repository, or several.

    It is not a ``KeyError``, as `BlockNotFoundError` is none.
    """


class RefError(IPLDStoreError, ValueError):
    """A branch or tag is there already, or moved meanwhile, or cannot be let go."""


class RepositoryNotFoundError(IPLDStoreError, LookupError):
    """A block store has no repository of a name."""


class RepositoryExistsError(IPLDStoreError, ValueError):
    """A block store has a repository of a name already."""


class BackendError(IPLDStoreError):
    """A block store cannot do its work: disk, network or server.

    Attributes
    ----------
    retryable : bool
        Whether the same call may succeed later.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class BlockStoreURLError(IPLDStoreError, ValueError):
    """Text does not name a block store."""


class BlockStoreNotFoundError(BackendError):
    """A folder or file of blocks is not there, and was not to be made."""


class JournalError(IPLDStoreError, ValueError):
    """A journal is that of another verification, or cannot be read or written."""


class ReentrantCallError(IPLDStoreError, RuntimeError):
    """A signal handler or finalizer called a store that its own thread was in the middle of."""


class UnfrozenChangesError(IPLDStoreError, ValueError):
    """Changes that are not frozen would be lost by opening another root."""


class UnfrozenChangesWarning(UserWarning):
    """Changes that were never frozen are lost with their store."""
