"""Journals in object stores: their objects, lost answers, lists of before, what may be wrong."""

import pytest
from faulty_store import CUT, LOST, FaultyStore, s3_error
from obstore.store import LocalStore, MemoryStore

from ipldstore import BackendError, LimitExceededError, ObjectCAStore
from ipldstore.backends.objects import journals as journals_module
from ipldstore.blockstore import journals as checks_module

QUICK = {"retry_config": {"max_retries": 0}}
PIECE = 64 << 10
FAULTS = [CUT, LOST, (503, s3_error("SlowDown"))]


def objects(store):
    """Return what is in a store, by path."""
    paths = [found["path"] for page in store.store.list() for found in page]
    return {path: bytes(store.store.get(path).bytes()) for path in sorted(paths)}


def pieces(*begun):
    return [f"ipldstore/journals-g/a/{begin:010}" for begin in begun]


@pytest.fixture
def store():
    return ObjectCAStore(MemoryStore())


@pytest.fixture
def faulty(s3):
    with FaultyStore(s3.port) as front:
        yield front


@pytest.fixture
def fragile(s3, faulty):
    """A store behind the faulty one, with a journal."""
    store = ObjectCAStore(s3.make_bucket(), **s3.make_options(endpoint=faulty.endpoint))
    store.append_journal("g", "a", 0, b"first")
    faulty.requests.clear()
    return store


def test_golden_objects(server):
    store = ObjectCAStore(server.make_bucket(), prefix="some/where", **server.make_options())
    store.append_journal("session-1", "writer-1", 0, b"first")
    store.append_journal("session-1", "writer-1", 5, b", second")
    assert store.make_journal("session-1", "seal", b"sealed")
    assert objects(store) == {
        "some/where/ipldstore/journals-session-1/seal/0000000000": b"sealed",
        "some/where/ipldstore/journals-session-1/writer-1/0000000000": b"first, second",
    }
    store.remove_journal("session-1", "writer-1")
    assert list(store.iter_journal_groups()) == ["session-1"]
    store.remove_journal("session-1", "seal")
    assert objects(store) == {}


def test_an_object_is_put_again_until_it_has_64_kib(store):
    size = 0
    for count in (1, PIECE - 2, 5, 3, PIECE, 100_000, 7):
        store.append_journal("g", "a", size, b"x" * count)
        size += count
    begun = [0, PIECE + 4, PIECE + 7 + PIECE, PIECE + 7 + PIECE + 100_000]
    assert list(objects(store)) == pieces(*begun)


def test_an_append_is_one_request_and_a_look_another(fragile, faulty):
    fragile.append_journal("g", "a", 5, b"second")
    assert [method for method, _ in faulty.requests] == ["PUT"]
    faulty.requests.clear()
    assert fragile.find_journals("g", ["a"]) == [True]
    assert [method for method, _ in faulty.requests] == ["HEAD"]
    faulty.requests.clear()
    assert fragile.list_journals("g") == {"a": 11}
    assert [method for method, _ in faulty.requests] == ["GET"]


@pytest.mark.parametrize("fault", FAULTS)
def test_lost_answer_to_an_append(fragile, faulty, fault):
    """What had to be sent twice is not put again: the first one may come late."""
    faulty.faults.append(fault)
    fragile.append_journal("g", "a", 5, b"second")
    assert len(faulty.requests) == 2
    fragile.append_journal("g", "a", 11, b"third")
    fragile.append_journal("g", "a", 16, b"fourth")
    assert objects(fragile) == dict(
        zip(pieces(0, 11), (b"firstsecond", b"thirdfourth"), strict=True)
    )
    fragile.store.put(*pieces(0), b"firstsecond")
    assert fragile.read_journal("g", "a") == b"firstsecondthirdfourth"


@pytest.mark.parametrize("fault", FAULTS)
def test_lost_answer_to_the_first_append(fragile, faulty, fault):
    faulty.faults.append(fault)
    fragile.append_journal("g", "b", 0, b"first")
    assert fragile.read_journal("g", "b") == b"first"
    fragile.append_journal("g", "b", 5, b"second")
    assert fragile.read_journal("g", "b") == b"firstsecond"


@pytest.mark.parametrize("fault", FAULTS)
def test_lost_answer_to_making(fragile, faulty, fault):
    fragile.make_journal("g", "b", b"before")
    faulty.faults.append(fault)
    assert fragile.make_journal("g", "c", b"whole") is True
    assert fragile.read_journal("g", "c") == b"whole"


def test_who_was_slower_after_a_lost_answer(s3, fragile, faulty):
    """The put did not arrive, and another store made the journal before it was sent again."""
    other = ObjectCAStore(f"s3://{fragile.store.config['bucket']}", **s3.make_options())
    fragile.make_journal("g", "b", b"before")
    puts = []

    def before_put():
        if not puts:
            faulty.faults.append(CUT)
        elif len(puts) == 1:
            assert other.make_journal("g", "c", b"other")
        puts.append(None)

    faulty.before_put = before_put
    assert fragile.make_journal("g", "c", b"whole") is False
    assert fragile.read_journal("g", "c") == b"other"


def test_nothing_comes_next_after_a_failure(fragile, faulty):
    faulty.faults.append((403, s3_error("AccessDenied")))
    with pytest.raises(BackendError, match="AccessDenied"):
        fragile.append_journal("g", "a", 5, b"second")
    with pytest.raises(BackendError, match="at byte 5"):
        fragile.append_journal("g", "a", 5, b"second")
    assert fragile.read_journal("g", "a") == b"first"
    fragile.append_journal("g", "b", 0, b"another")


def test_no_record_before_the_blocks_have_arrived(fragile, faulty):
    def refuse_blocks():
        if faulty.requests[-1][1].endswith(".data"):
            faulty.faults.append((403, s3_error("AccessDenied")))

    faulty.before_put = refuse_blocks
    fragile.put_raw(b"hello", "raw")
    for use in (
        lambda: fragile.append_journal("g", "a", 5, b"second"),
        lambda: fragile.make_journal("g", "b", b"whole"),
    ):
        with pytest.raises(BackendError, match="AccessDenied"):
            use()
    assert fragile.list_journals("g") == {"a": 5}
    faulty.before_put = lambda: None
    fragile.append_journal("g", "a", 5, b"second")
    assert fragile.read_journal("g", "a") == b"firstsecond"


class Heedless(MemoryStore):
    """Replaces what is there, whatever it is asked for."""

    def put(self, path, data, *, mode, **options):
        return super().put(path, data, **options)


def test_store_that_replaces_what_is_there_makes_no_journals():
    store = ObjectCAStore(Heedless())
    with pytest.raises(BackendError, match="only if there is none"):
        store.make_journal("g", "a", b"whole")
    assert objects(store) == {}


def test_a_missing_bucket_is_no_missing_journal(server):
    url = f"{server.scheme}://no-such-bucket"
    store = ObjectCAStore(url, patience=0, **server.make_options(), **QUICK)
    for use in (
        lambda: store.append_journal("g", "a", 0, b"first"),
        lambda: store.make_journal("g", "a", b"first"),
        lambda: store.read_journal("g", "a"),
        lambda: store.list_journals("g"),
        lambda: store.find_journals("g", ["a"]),
        lambda: store.remove_journal("g", "a"),
        lambda: list(store.iter_journal_groups()),
    ):
        with pytest.raises(BackendError):
            use()


@pytest.fixture
def three(store):
    """A store with a journal of three objects."""
    for number in range(3):
        store.append_journal("g", "a", number * PIECE, b"%d" % number * PIECE)
    return store


@pytest.mark.parametrize("lost", [0, 1])
def test_lost_object_is_damage(three, lost):
    three.store.delete(*pieces(lost * PIECE))
    for start in (0, PIECE - 1) if lost else (0, PIECE, 3 * PIECE - 1):
        with pytest.raises(BackendError, match=f"is damaged.* byte {lost * PIECE}$"):
            three.read_journal("g", "a", start)


def test_short_object_is_damage(three):
    three.store.put(*pieces(PIECE), b"short")
    with pytest.raises(BackendError, match=f"is damaged.* byte {PIECE + 5}$"):
        three.read_journal("g", "a")
    assert three.read_journal("g", "a", 2 * PIECE) == b"2" * PIECE


def test_what_is_no_piece_is_left_alone(three):
    others = ("1", "00000000001", "000000000x", "\u0660" * 10, "a/0000000000")
    for name in others:
        three.store.put(f"ipldstore/journals-g/a/{name}", b"other")
    three.store.put("ipldstore/journals-g/A/0000000000", b"other")
    three.store.put("ipldstore/journals-g/0000000000", b"other")
    three.store.put("ipldstore/journals-file", b"other")
    assert three.list_journals("g") == {"a": 3 * PIECE}
    assert list(three.iter_journal_groups()) == ["g"]
    assert len(three.read_journal("g", "a")) == 3 * PIECE
    three.remove_journal("g", "a")
    assert three.list_journals("g") == {}


class Late(MemoryStore):
    """Lists what was there when `remember` was called, in part with the sizes of then."""

    before = None

    def list(self, prefix=None, **options):
        now = super().list(prefix, **options)
        if self.before is None:
            return now
        found = {meta["path"]: meta for page in now for meta in page}
        return iter([list((found | self.before).values())])

    def remember(self):
        self.before = {meta["path"]: meta for page in super().list() for meta in page}


def test_list_that_was_made_while_others_append():
    """Pages of a list are of different times: sizes may be of before, where later objects are."""
    store = ObjectCAStore(Late())
    store.append_journal("g", "a", 0, b"a" * 10)
    store.store.remember()
    store.append_journal("g", "a", 10, b"b" * PIECE)
    assert len(store.read_journal("g", "a")) == 10 + PIECE
    store.append_journal("g", "a", 10 + PIECE, b"c")
    assert store.list_journals("g") == {"a": 10 + PIECE + 1}
    assert store.read_journal("g", "a", 10 + PIECE) == b"c"
    assert store.read_journal("g", "a", 9) == b"a" + b"b" * PIECE + b"c"


def test_removal_that_stopped_leaves_what_can_be_read(three, monkeypatch):
    removed, real = [], three._journals._requests.remove

    def remove(path):
        if removed:
            raise BackendError("no connection")
        removed.append(path)
        real(path)

    monkeypatch.setattr(three._journals._requests, "remove", remove)
    with pytest.raises(BackendError, match="no connection"):
        three.remove_journal("g", "a")
    assert three.read_journal("g", "a") == b"0" * PIECE + b"1" * PIECE
    assert three.find_journals("g", ["a"]) == [True]
    monkeypatch.undo()
    three.remove_journal("g", "a")
    assert three.find_journals("g", ["a"]) == [False]
    with pytest.raises(BackendError):
        three.append_journal("g", "a", 3 * PIECE, b"more")


def test_journal_that_is_too_long(three, monkeypatch):
    for module in (checks_module, journals_module):
        monkeypatch.setattr(module, "MAX_JOURNAL_BYTES", 3 * PIECE - 1)
    for start in (0, 3 * PIECE):
        with pytest.raises(LimitExceededError, match="196608 bytes, at most 196607"):
            three.read_journal("g", "a", start)
    with pytest.raises(LimitExceededError, match="196609 bytes"):
        three.append_journal("g", "a", 3 * PIECE, b"x")


def test_memory_of_many_journals_is_bounded(store, monkeypatch):
    monkeypatch.setattr(journals_module, "_MOST_REMEMBERED", 3)
    for number in range(5):
        store.append_journal("g", f"w{number}", 0, b"first")
    for number in (2, 3, 4):
        store.append_journal("g", f"w{number}", 5, b"second")
    for number in (0, 1):
        with pytest.raises(BackendError, match="not written by this store"):
            store.append_journal("g", f"w{number}", 5, b"second")


def test_store_of_files(tmp_path):
    store = ObjectCAStore(LocalStore(tmp_path))
    store.append_journal("g", "a", 0, b"first")
    store.append_journal("g", "a", 5, b"second")
    files = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert files == pieces(0)
    store.remove_journal("g", "a")
    assert list(store.iter_journal_groups()) == []
