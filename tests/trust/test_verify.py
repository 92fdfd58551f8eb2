"""Verification: what it finds, under which keys, and how a run that was stopped goes on."""

import json
import threading

import pytest
from hierarchy_blocks import LARGE, CountingStore, Made, fill

from ipldstore import (
    BackendError,
    BlockStoreURLError,
    InvalidCIDError,
    InvalidNodeError,
    IPLDStore,
    MappingCAStore,
    VerifyReport,
    info,
    verify,
)
from ipldstore.testing import IDENTITY_HELLO, Fail, FaultyStore, Stall, at
from ipldstore.verifying import ChunkCount
from ipldstore.verifying.walk import Walk

pytestmark = pytest.mark.once

DEADLINE = 30
CHUNK = "bafkreidmq73ig4nsrfkha7v3skx647gp7n2mn5y6zd7krkmm6yiefckylm"
SEGMENTS = 128


@pytest.fixture
def store():
    store = IPLDStore(CountingStore())
    fill(store)
    return store


def only(report):
    (problem,) = report.problems
    return problem


def test_every_block_is_read_once(store):
    store.backend.reads.clear()
    told = []
    report = verify(store.root_cid, store.backend, progress=lambda *so_far: told.append(so_far))
    assert report.ok
    assert store.backend.reads == dict.fromkeys(store.backend.mapping, 1)
    assert report.blocks == len(store.backend.mapping) == info(store).blocks
    assert report.bytes == sum(map(len, store.backend.mapping.values()))
    assert told == sorted(told)
    assert told[-1] == (report.blocks, report.bytes)
    assert (report.skipped, report.problems, report.repaired, report.extra) == (0, (), (), None)


def test_directories_beyond_what_is_kept_are_read_once_more(store, monkeypatch):
    monkeypatch.setattr("ipldstore.verifying.walk._MAX_KEPT_BYTES", 0)
    kept = verify(store.root_cid, store.backend)
    store.backend.reads.clear()
    assert verify(store.root_cid, store.backend) == kept
    reads = store.backend.reads
    assert {reads[cid] for cid in reads if cid.startswith("bafyrei")} == {2}
    assert {reads[cid] for cid in reads if not cid.startswith("bafyrei")} == {1}


def test_a_store_is_frozen_first():
    store = IPLDStore()
    store["a/0"] = b"chunk"
    report = verify(store)
    assert report.root == str(store.root_cid)
    assert (report.blocks, report.bytes) == (2, 52)


def test_the_empty_hierarchy_is_one_block():
    assert verify(IPLDStore()).blocks == 1


def test_a_store_of_its_own_thread_at_a_time_is_read_by_several_at_once(store):
    gate = threading.Barrier(4, timeout=DEADLINE)
    met = threading.Event()

    class Slow(MappingCAStore):
        inline_limit = 0

        def get_raw(self, cid):
            if cid[1] == 0x55 and not met.is_set():
                gate.wait()
                met.set()
            return super().get_raw(cid)

    slow = Slow(store.backend.mapping)
    slow.inline_limit = 0
    assert verify(store.root_cid, slow).ok
    assert met.is_set()


def test_every_block_that_is_missing_is_found_with_its_keys(store):
    whole = dict(store.backend.mapping)
    for cid in list(whole)[::101] + [cid for cid in whole if not cid.startswith("bafkrei")]:
        mapping = {name: data for name, data in whole.items() if name != cid}
        problem = only(verify(store.root_cid, MappingCAStore(mapping)))
        assert (problem.kind, problem.cid) == ("missing", cid)
        assert problem.key_count >= len(problem.keys) == min(problem.key_count, 10)
        for key in problem.keys:
            assert key == "" or key.endswith("/") or key in store


def test_every_block_that_is_corrupt_is_found(store):
    whole = dict(store.backend.mapping)
    for cid in list(whole)[::101] + [cid for cid in whole if not cid.startswith("bafkrei")]:
        data = bytearray(whole[cid])
        data[len(data) // 2] ^= 1
        problem = only(verify(store.root_cid, MappingCAStore({**whole, cid: bytes(data)})))
        assert (problem.kind, problem.cid) == ("corrupt", cid)
        assert cid in problem.message


def test_keys_of_what_is_missing():
    store = IPLDStore(MappingCAStore())
    fill(store)
    mapping = store.backend.mapping

    def keys_without(data):
        (cid,) = (cid for cid, block in mapping.items() if block == data)
        rest = {name: block for name, block in mapping.items() if name != cid}
        problem = only(verify(store.root_cid, MappingCAStore(rest)))
        return problem.keys, problem.key_count

    assert keys_without(b"single") == (("single/0",), 1)
    assert keys_without(b"499")[1] == 12
    assert keys_without(b"same") == (("other/0", "same/0", "same/1"), 3)
    assert keys_without(LARGE[1 << 20 : 2 << 20]) == (("large/0",), 1)
    (linked,) = (data for data in mapping.values() if b"\x63299\xd8" in data)
    assert keys_without(linked)[0] == ("linked/",)


def test_a_page_concerns_its_directory(store):
    pages = [
        cid
        for cid, data in store.backend.mapping.items()
        if cid.startswith("bafyrei") and b"9.3" in data and b"paged" not in data
    ]
    assert len(pages) > 1
    del store.backend.mapping[pages[0]]
    problem = only(verify(store.root_cid, store.backend))
    assert (problem.kind, problem.keys) == ("missing", ("paged/",))


def test_a_chunk_of_a_million_keys_names_ten_and_counts_all():
    made = Made()
    chunk = made.raw(b"chunk")
    part = made.cbor({f"{index}": chunk for index in range(1000)})
    root = made.cbor({f"{index}": part for index in range(1000)})
    assert verify(root, made).ok
    del made.mapping[str(chunk)]
    problem = only(verify(root, made))
    assert (problem.kind, problem.cid, problem.key_count) == ("missing", str(chunk), 1_000_000)
    assert str(chunk) == CHUNK
    assert len(problem.keys) == 10
    assert all(len(key.split("/")) == 2 for key in problem.keys)


def test_41_blocks_that_stand_for_2_to_the_40_keys_are_41_blocks():
    made = Made()
    below = made.raw(b"chunk")
    for _ in range(40):
        below = made.cbor({"a": below, "b": below})
    report = verify(below, made)
    assert (report.ok, report.blocks, report.arrays) == (True, 41, None)
    del made.mapping[CHUNK]
    assert only(verify(below, made)).key_count == 2**40


def test_what_is_wrong_at_several_places_is_all_found(store):
    mapping = store.backend.mapping
    raw = sorted(cid for cid in mapping if cid.startswith("bafkrei"))
    gone, bad = raw[:5], raw[5:10]
    for cid in gone:
        del mapping[cid]
    for cid in bad:
        mapping[cid] += b"!"
    report = verify(store)
    found = {problem.cid: problem.kind for problem in report.problems}
    assert found == {**dict.fromkeys(gone, "missing"), **dict.fromkeys(bad, "corrupt")}
    assert report.blocks == len(mapping) - 5
    assert [problem.keys for problem in report.problems] == sorted(
        problem.keys for problem in report.problems
    )


@pytest.mark.parametrize(
    "error", [BackendError("no route", retryable=True), OSError(5, "I/O error")]
)
def test_a_fault_of_the_network_or_disk_is_not_called_missing(store, error):
    chunk = store.backend.make_cid(b"single", "raw")
    faulty = FaultyStore(store.backend, lambda call: Fail(error) if call.cid == chunk else None)
    problem = only(verify(store.root_cid, faulty))
    assert (problem.kind, problem.keys) == ("unreachable", ("single/0",))
    assert str(error) in problem.message
    assert str(chunk) in problem.message


def test_a_root_that_cannot_be_had_is_reported(store):
    nothing = MappingCAStore()
    problem = only(verify(store.root_cid, nothing))
    assert (problem.kind, problem.keys, problem.cid) == ("missing", ("",), str(store.root_cid))
    down = FaultyStore(nothing, lambda call: Fail(BackendError("down")))
    assert only(verify(store.root_cid, down)).kind == "unreachable"


def test_an_error_of_another_kind_is_a_bug_and_not_swallowed(store):
    broken = FaultyStore(store.backend, at(5, Fail(ZeroDivisionError("a bug"))))
    with pytest.raises(ZeroDivisionError):
        verify(store.root_cid, broken)


def test_what_progress_raises_stops_the_run(store):
    def stop(blocks, size):
        if blocks > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(store, progress=stop)
    assert sum(store.backend.reads.values()) < len(store.backend.mapping)


class TestRoots:
    def test_a_backend_is_needed(self):
        with pytest.raises(BlockStoreURLError, match="does not say where its blocks are"):
            verify(CHUNK)

    def test_raw_and_unixfs_roots_are_refused(self):
        made = Made()
        with pytest.raises(InvalidNodeError, match=r"codec is 0x55, expected 0x71 \(dag-cbor\)"):
            verify(made.raw(b"chunk"), made)
        with pytest.raises(InvalidNodeError, match="from_unixfs"):
            verify(made.file([], []), made)
        with pytest.raises(InvalidNodeError, match="0x129"):
            verify("baguqeeraseyioodjf425soi6nj55i62tncjtwtf4w7ibxfhefnkccooqk4wa", made)

    def test_no_cid(self):
        with pytest.raises(InvalidCIDError):
            verify("../../etc/passwd", MappingCAStore())

    def test_every_spelling(self, store):
        root = store.root_cid
        for spelling in (
            root,
            str(root),
            bytes(root),
            f"ipfs://{root}",
            root.set(base="base58btc"),
        ):
            assert verify(spelling, store.backend).root == str(root)

    @pytest.mark.parametrize("value", [1, "text", None, [], [1], {"a": 1}, {"": {}}, {"a": {}}])
    def test_roots_that_are_no_directory(self, value):
        made = Made()
        root = made.cbor(value)
        problem = only(verify(root, made))
        assert (problem.kind, problem.keys, problem.cid) == ("malformed", ("",), str(root))


def test_identity_cids_are_followed_and_are_no_blocks():
    made = Made()
    root = made.cbor(
        {"x": dag_link(IDENTITY_HELLO), "y": made.file([dag_link(IDENTITY_HELLO)], [5])}
    )
    report = verify(root, made)
    assert (report.ok, report.blocks) == (True, 2)
    wrong = made.cbor({"y": made.file([dag_link(IDENTITY_HELLO)], [6])})
    assert only(verify(wrong, made)).kind == "malformed"


def dag_link(text):
    from multiformats import CID

    return CID.decode(text)


def test_an_older_root_of_one_block_is_sound():
    made = Made()
    chunk = made.raw(bytes(2 << 20))
    entries = {f"{index}": chunk for index in range(9000)}
    root = made.cbor({"a": entries, ".zgroup": {"zarr_format": 2}})
    assert len(made.mapping[str(root)]) > 256 << 10
    assert verify(root, made).ok


def test_the_report_is_json_data(store):
    del store.backend.mapping[str(store.backend.make_cid(b"single", "raw"))]
    store.backend.put(b"extra")
    report = verify(store, extra=True)
    found = json.loads(json.dumps(report.as_dict()))
    assert found == {
        "root": str(store.root_cid),
        "ok": False,
        "blocks": report.blocks,
        "bytes": report.bytes,
        "skipped": 0,
        "problems": [
            {
                "kind": "missing",
                "cid": str(store.backend.make_cid(b"single", "raw")),
                "keys": ["single/0"],
                "key_count": 1,
                "message": f"no block {store.backend.make_cid(b'single', 'raw')}",
                "commits": [],
            }
        ],
        "repaired": [],
        "extra": [str(store.backend.make_cid(b"extra", "raw"))],
        "arrays": {"paged": {"chunks": 6000, "chunks_possible": None}},
    }
    assert isinstance(report, VerifyReport)
    assert verify(store).as_dict()["extra"] is None


def test_a_stalled_block_holds_up_no_other(store):
    stall = Stall()
    chunk = store.backend.make_cid(b"single", "raw")
    faulty = FaultyStore(
        store.backend, lambda call: stall if call.cid == chunk else None, inline_limit=0
    )
    reports, read = [], threading.Event()

    def progress(blocks, size):
        if blocks == len(store.backend.mapping) - 1:
            read.set()

    def run():
        reports.append(verify(store.root_cid, faulty, progress=progress))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert stall.reached.wait(DEADLINE)
    assert read.wait(DEADLINE)
    stall.go.set()
    thread.join(DEADLINE)
    assert reports[0].ok


ARRAY = b'{"zarr_format": 2, "shape": [16], "chunks": [2]}'


def counted(store):
    """Two arrays of eight chunks: one without any, one whose chunks are in several blocks."""
    store["lost/.zarray"] = store["there/.zarray"] = ARRAY
    store["notes"] = b"#" * 9000
    for number in range(8):
        store[f"there/{number}"] = b"chunk %d" % number
    return store.freeze()


def test_chunks_are_counted_without_reading_them():
    store = IPLDStore(CountingStore())
    root = counted(store)
    report = verify(root, store.backend)
    assert report.ok
    assert report.arrays == {"lost": ChunkCount(0, 8), "there": ChunkCount(8, 8)}
    del store.backend.mapping[str(store.backend.make_cid(b"chunk 3", "raw"))]
    report = verify(root, store.backend)
    assert only(report).keys == ("there/3",)
    assert report.arrays["there"] == ChunkCount(8, 8), "its key is there"


@pytest.mark.parametrize("fault", ["missing", "corrupt", "malformed"])
def test_what_cannot_be_read_is_not_counted(fault):
    made = Made()
    document = {"zarr_format": 2, "shape": [16], "chunks": [2], "dimension_separator": "/"}
    chunks = made.cbor({"0": made.raw(b"chunk")})
    array = made.cbor({".zarray": document, "0": chunks})
    other = made.cbor({".zarray": document})
    group = made.cbor({"in": other})
    root = made.cbor({"a": array, "b": other, "g": group})
    assert verify(root, made).arrays["a"] == ChunkCount(0, 8), "0/0 is no chunk of one dimension"
    if fault == "malformed":
        chunks = group = made.cbor([1])
        array = made.cbor({".zarray": document, "0": chunks})
        root = made.cbor({"a": array, "b": other, "g": group})
    for cid in () if fault == "malformed" else (chunks, group):
        made.mapping[str(cid)] = b"other"
        if fault == "missing":
            del made.mapping[str(cid)]
    report = verify(root, made)
    assert {problem.kind for problem in report.problems} == {fault}
    assert report.arrays == {"a": ChunkCount(None, 8), "b": ChunkCount(0, 8)}
    del made.mapping[str(root)]
    assert verify(root, made).arrays is None


def test_counting_takes_no_longer_where_few_directories_stand_for_many():
    blocks = CountingStore()
    made = Made()
    document = {"zarr_format": 2, "shape": [16], "chunks": [2], "long": "x" * 5000}
    node = made.cbor({".zarray": document, "0": made.raw(b"chunk")})
    for _ in range(3):
        node = made.cbor({f"{number:03}": node for number in range(200)})
    blocks.mapping.update(made.mapping)
    report = verify(node, blocks)
    assert (report.ok, report.blocks, report.arrays) == (True, 5, None)
    assert sum(blocks.reads.values()) < 2000


def test_links_to_a_few_values_do_not_fill_the_memory():
    store = IPLDStore()
    for number in range(30_000):
        store[f"a/{number}"] = b"%d" % (number % 50)
    root = store.freeze()
    waiting = []

    class Noting(Walk):
        def _meet(self, want):
            super()._meet(want)
            waiting.append(self._waiting)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ipldstore.verifying.walk._MAX_WAITING", 1000)
        patch.setattr("ipldstore.verifying.Walk", Noting)
        report = verify(root, store.backend)
    assert report.ok
    assert max(waiting) < 15_000, "pages that are under way are met as a whole"


def test_a_store_that_fails_while_chunks_are_counted(store, monkeypatch):
    monkeypatch.setattr("ipldstore.verifying.walk._MAX_KEPT_BYTES", 0)
    walk_run = Walk.run

    def run(self, root):
        place = walk_run(self, root)
        self._blocks.store.get_raw = fail
        return place

    def fail(cid):
        raise OSError("the disk is gone")

    monkeypatch.setattr(Walk, "run", run)
    report = verify(store.root_cid, store.backend)
    assert report.ok
    assert report.arrays is None
