"""Pointers in object stores: lost answers, stores that heed no condition, and what may be wrong."""

import pytest
from faulty_store import CUT, LOST, FaultyStore, s3_error
from obstore.store import LocalStore, MemoryStore

from ipldstore import BackendError, DirectoryCAStore, ObjectCAStore
from ipldstore.cid import make_link

QUICK = {"retry_config": {"max_retries": 0}}
A, B, C = map(make_link, (b"a", b"b", b"c"))


def names(store):
    return sorted(found["path"] for page in store.store.list() for found in page)


def numbers(*values):
    return [f"ipldstore/pointer-default/{value:016}" for value in values]


@pytest.fixture
def faulty(s3):
    with FaultyStore(s3.port) as front:
        yield front


@pytest.fixture
def store(s3, faulty):
    """A store behind the faulty one, with a pointer that is at A."""
    store = ObjectCAStore(s3.make_bucket(), **s3.make_options(endpoint=faulty.endpoint))
    store.swap_pointer("default", None, A)
    faulty.requests.clear()
    return store


def test_objects_are_named_like_files(server):
    store = ObjectCAStore(server.make_bucket(), **server.make_options())
    assert store.swap_pointer("default", None, A)
    assert store.swap_pointer("default", A, B)
    assert names(store) == numbers(1, 2)


def test_folder_and_store_of_it_move_the_same_pointers(tmp_path):
    folder = DirectoryCAStore(tmp_path)
    store = ObjectCAStore(LocalStore(tmp_path))
    assert folder.swap_pointer("default", None, A)
    assert store.swap_pointer("default", A, B)
    assert folder.swap_pointer("default", B, C)
    assert store.read_pointer("default") == C


def test_last_hundred_objects_stay():
    store = ObjectCAStore(MemoryStore())
    at = None
    for index in range(110):
        assert store.swap_pointer("default", at, make_link(b"%d" % index))
        at = make_link(b"%d" % index)
    assert names(store) == numbers(*range(11, 111))


@pytest.mark.parametrize("fault", [CUT, LOST, (503, s3_error("SlowDown"))])
def test_lost_answer_is_no_failure(store, faulty, fault):
    puts = []

    def before_put():
        if not puts:
            faulty.faults.append(fault)
        puts.append(fault)

    faulty.before_put = before_put
    assert store.swap_pointer("default", A, B)
    assert store.read_pointer("default") == B
    assert names(store) == numbers(1, 2)
    assert len(puts) == 2
    assert store.swap_pointer("default", B, C)


def test_who_was_slower_after_a_lost_answer(s3, store, faulty):
    """The put did not arrive, and another store moved the pointer before it was sent again."""
    other = ObjectCAStore(f"s3://{store.store.config['bucket']}", **s3.make_options())
    puts = []

    def before_put():
        if not puts:
            faulty.faults.append(CUT)
        elif len(puts) == 1:
            assert other.swap_pointer("default", A, C)
        puts.append(None)

    faulty.before_put = before_put
    assert not store.swap_pointer("default", A, B)
    assert store.read_pointer("default") == C


def test_pointer_that_moved_on_after_a_lost_answer(s3, store, faulty):
    """It is found by its object, though it is not where it was to move any more."""
    other = ObjectCAStore(f"s3://{store.store.config['bucket']}", **s3.make_options())
    puts = []

    def before_put():
        if not puts:
            faulty.faults.append(LOST)
        elif len(puts) == 1:
            assert other.swap_pointer("default", B, C)
        puts.append(None)

    faulty.before_put = before_put
    assert store.swap_pointer("default", A, B)
    assert store.read_pointer("default") == C


class Heedless(MemoryStore):
    """Replaces what is there, whatever it is asked for."""

    def put(self, path, data, *, mode, **options):
        return super().put(path, data, **options)


def test_store_that_replaces_what_is_there_is_refused():
    store = ObjectCAStore(Heedless())
    for _ in range(2):
        with pytest.raises(BackendError, match="only if there is none") as caught:
            store.swap_pointer("default", None, A)
        assert not caught.value.retryable
    assert names(store) == []
    assert store.read_pointer("default") is None


def test_a_missing_bucket_is_no_missing_pointer(server):
    url = f"{server.scheme}://no-such-bucket"
    store = ObjectCAStore(url, patience=0, **server.make_options(), **QUICK)
    for use in (
        lambda: store.read_pointer("default"),
        lambda: store.swap_pointer("default", None, A),
        lambda: list(store.iter_pointers()),
    ):
        with pytest.raises(BackendError):
            use()


@pytest.mark.parametrize("content", [b"", b"damaged", b"x" * 513])
def test_damaged_object(content):
    store = ObjectCAStore(MemoryStore())
    store.swap_pointer("default", None, A)
    store.store.put(*numbers(2), content)
    for use in (store.read_pointer, lambda name: store.swap_pointer(name, A, B)):
        with pytest.raises(BackendError, match=r"is damaged|513 bytes, at most 512"):
            use("default")
    store.store.delete(*numbers(2))
    assert store.read_pointer("default") == A


def test_no_pointer_moves_before_the_blocks_have_arrived(store, faulty):
    def refuse_blocks():
        if faulty.requests[-1][1].endswith(".data"):
            faulty.faults.append((403, s3_error("AccessDenied")))

    faulty.before_put = refuse_blocks
    cid = store.put_raw(b"hello", "raw")
    with pytest.raises(BackendError, match="AccessDenied"):
        store.swap_pointer("default", A, cid)
    assert store.read_pointer("default") == A
    faulty.before_put = lambda: None
    assert store.swap_pointer("default", A, cid)
    assert names(store)[0].endswith(".data")
