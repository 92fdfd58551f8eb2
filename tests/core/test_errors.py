"""The tree of exceptions, which is part of the interface, and their way through a pickle."""

import pickle

import pytest

import ipldstore
from ipldstore import errors
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    BlockStoreNotFoundError,
    BlockStoreURLError,
    CarFormatError,
    CodecError,
    CommitConflictError,
    CorruptBlockError,
    DetachedStoreError,
    InvalidCIDError,
    InvalidKeyError,
    InvalidNameError,
    InvalidNodeError,
    IPLDStoreError,
    JournalError,
    LimitExceededError,
    MergeConflictError,
    NoChangesError,
    ReadOnlyStoreError,
    ReentrantCallError,
    RefError,
    RepositoryExistsError,
    RepositoryNotFoundError,
    RevisionError,
    SessionEndedError,
    UnfrozenChangesError,
    UnfrozenChangesWarning,
)

BASES = {
    IPLDStoreError: (Exception,),
    BlockNotFoundError: (IPLDStoreError, LookupError),
    CorruptBlockError: (IPLDStoreError,),
    InvalidCIDError: (IPLDStoreError, ValueError),
    CodecError: (IPLDStoreError, ValueError),
    InvalidNodeError: (IPLDStoreError,),
    CarFormatError: (IPLDStoreError, ValueError),
    InvalidKeyError: (IPLDStoreError, ValueError),
    InvalidNameError: (IPLDStoreError, ValueError),
    ReadOnlyStoreError: (IPLDStoreError, ValueError),
    BackendError: (IPLDStoreError,),
    BlockStoreNotFoundError: (BackendError,),
    BlockStoreURLError: (IPLDStoreError, ValueError),
    JournalError: (IPLDStoreError, ValueError),
    LimitExceededError: (IPLDStoreError,),
    MergeConflictError: (IPLDStoreError,),
    CommitConflictError: (MergeConflictError,),
    NoChangesError: (IPLDStoreError, ValueError),
    RevisionError: (IPLDStoreError, LookupError),
    RefError: (IPLDStoreError, ValueError),
    RepositoryNotFoundError: (IPLDStoreError, LookupError),
    RepositoryExistsError: (IPLDStoreError, ValueError),
    DetachedStoreError: (ReadOnlyStoreError, NotImplementedError),
    SessionEndedError: (ReadOnlyStoreError,),
    ReentrantCallError: (IPLDStoreError, RuntimeError),
    UnfrozenChangesError: (IPLDStoreError, ValueError),
    UnfrozenChangesWarning: (UserWarning,),
}


def test_the_tree():
    classes = [item for item in vars(errors).values() if isinstance(item, type)]
    found = {item for item in classes if item.__module__ == errors.__name__}
    assert found == set(BASES)
    for error, bases in BASES.items():
        assert error.__bases__ == bases


def test_none_is_a_key_error():
    """Zarr would read one as a chunk that was never written."""
    assert not any(issubclass(error, KeyError) for error in BASES)


def test_all_are_public():
    for error in BASES:
        assert getattr(ipldstore, error.__name__) is error
        assert error.__name__ in ipldstore.__all__
        assert error.__doc__


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        *((error("what came"), {}) for error in BASES),
        (CodecError("what came", offset=7), {"offset": 7}),
        (CommitConflictError("what came", conflicts=["a"]), {"conflicts": ("a",), "keys": ()}),
        (CodecError("what came"), {"offset": None}),
        (CarFormatError("what came", offset=2**40), {"offset": 2**40}),
        (CarFormatError("what came"), {"offset": None}),
        (BackendError("what came", retryable=True), {"retryable": True}),
        (BackendError("what came"), {"retryable": False}),
        (MergeConflictError("what came", keys=["a/0", "b"]), {"keys": ("a/0", "b")}),
        (MergeConflictError("what came"), {"keys": ()}),
    ],
    ids=repr,
)
def test_they_survive_pickling(error, attributes):
    error.add_note("while reading key 'a/0'")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is type(error)
        assert str(copy) == "what came"
        assert copy.__notes__ == ["while reading key 'a/0'"]
        for name, value in attributes.items():
            assert getattr(error, name) == getattr(copy, name) == value
