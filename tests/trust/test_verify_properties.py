"""Verification of hierarchies by chance, with damage by chance, against a plain check of each."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore import IPLDStore, IPLDStoreError, MappingCAStore, info, verify
from ipldstore.cid import as_link

pytestmark = pytest.mark.once

SEGMENTS = st.sampled_from(["a", "b", "0", "1.2", "10", "x" * 900, "ü"])
KEYS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
VALUES = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"same", b"same" * 300_000, b"other" * 300_000])
)
DOCUMENTS = st.sampled_from([b"{}", b'{"a":[1,2,{"b":null}]}', b'{"long":"%s"}' % (b"x" * 9000)])
HARM = st.sampled_from(["remove", "flip", "cut", "swap"])


@st.composite
def hierarchies(draw):
    """Keys and values of which no key is below another."""
    content = {}
    for key in draw(st.lists(KEYS, max_size=25)):
        if not any(
            f"{other}/".startswith(f"{key}/") or f"{key}/".startswith(f"{other}/")
            for other in content
        ):
            content[key] = draw(VALUES)
    for key in list(content)[:3]:
        if "/" in key:
            content[key.rpartition("/")[0] + "/.zattrs"] = draw(DOCUMENTS)
    return content


def build(content):
    store = IPLDStore(MappingCAStore())
    store.update(content)
    store.freeze()
    return store


def harm(mapping, cid, kind):
    data = mapping[cid]
    if kind == "remove":
        del mapping[cid]
    elif kind == "flip":
        mapping[cid] = bytes([data[0] ^ 1]) + data[1:] if data else b"\1"
    elif kind == "cut":
        mapping[cid] = data[:-1] if data else b"\1"
    else:
        mapping[cid] = b"another block"


def is_sound(mapping, cid):
    return cid in mapping and sha256(mapping[cid]).digest() == as_link(cid)[4:]


@settings(max_examples=40, deadline=None)
@given(hierarchies())
def test_what_is_written_is_sound(content):
    store = build(content)
    reports = [verify(store, extra=True) for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0].ok
    assert reports[0].extra == ()
    found = info(store)
    assert (reports[0].blocks, reports[0].bytes) == (found.blocks, found.bytes)


@settings(max_examples=80, deadline=None)
@given(hierarchies(), st.data())
def test_what_is_damaged_is_found_and_repaired(content, data):
    store = build(content)
    mapping, whole = store.backend.mapping, dict(store.backend.mapping)
    for cid in data.draw(st.lists(st.sampled_from(sorted(whole)), unique=True, max_size=5)):
        harm(mapping, cid, data.draw(HARM))
    unsound = {cid for cid in whole if not is_sound(mapping, cid)}
    report = verify(store.root_cid, store.backend)
    assert report.ok == (not unsound)
    named = {problem.cid: problem for problem in report.problems}
    # what is below a block that cannot be read is not known
    assert named.keys() <= unsound
    for cid, problem in named.items():
        assert problem.kind == ("corrupt" if cid in mapping else "missing")
        check_keys(problem, content)
    check_unread(named.values(), content, store)
    repaired = verify(store.root_cid, store.backend, repair_from=MappingCAStore(whole))
    assert repaired.ok
    assert set(repaired.repaired) == unsound
    assert mapping == whole


def check_keys(problem, content):
    assert problem.key_count >= len(problem.keys) > 0
    for key in problem.keys:
        below = [other for other in content if other.startswith(key)]
        assert key in content or (below and (not key or key.endswith("/"))) or not content


def check_unread(problems, content, store):
    """Check that what cannot be read is what the report says."""
    concerned = set()
    for problem in problems:
        if problem.key_count > len(problem.keys):
            return
        for key in problem.keys:
            concerned |= {
                other
                for other in content
                if other == key or ((not key or key.endswith("/")) and other.startswith(key))
            }
    for key in content:
        fresh = None
        try:
            fresh = IPLDStore(store.backend, root=store.root_cid)
            fresh[key]
        except IPLDStoreError:
            assert key in concerned
        else:
            assert key not in concerned


@settings(max_examples=40, deadline=None)
@given(hierarchies(), st.data())
def test_a_journal_skips_only_what_was_read(tmp_path_factory, content, data):
    store = build(content)
    path = tmp_path_factory.mktemp("journal") / "journal"
    most, kept = data.draw(st.integers(0, 20)), data.draw(st.floats(0, 1))

    def stop(blocks, size):
        if blocks > most:
            raise InterruptedError

    try:
        verify(store, journal=path, progress=stop)
    except InterruptedError:
        lines = path.read_bytes()
        path.write_bytes(lines[: round(kept * len(lines))])
    read = []

    class Noting(MappingCAStore):
        __repr__ = MappingCAStore.__repr__

        def get_raw(self, cid):
            read.append(str(cid))
            return super().get_raw(cid)

    report = verify(store.root_cid, Noting(store.backend.mapping), journal=path)
    assert report.ok
    assert report.blocks == len(read) == len(set(read))
    assert report.blocks + report.skipped == len(store.backend.mapping)
    assert not path.exists()


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3), st.binary(max_size=3)
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["a", "", ".", ".zattrs", "0"]), inner, max_size=3),
        ),
    )
)
def test_any_value_as_a_root_is_judged_as_a_reader_judges_it(value):
    backend = MappingCAStore()
    root = backend.put({"a": value} if isinstance(value, dict | list) else value)
    report = verify(root, backend) if as_link(root)[1] == 0x71 else None
    if report is None:
        return
    try:
        store = IPLDStore(backend, root=root)
        readable = all(store[key] is not None for key in store)
    except IPLDStoreError:
        readable = False
    assert report.ok == readable


def test_the_largest_of_these_hierarchies_has_blocks_of_every_kind():
    """Else the properties would say little."""
    content = {f"a/{index:0>900}": b"same" * 300_000 for index in range(12)}
    content["a/.zattrs"] = b'{"long":"%s"}' % (b"x" * 9000)
    prefixes = {cid[:7] for cid in build(content).backend.mapping}
    assert prefixes == {"bafkrei", "bafybei", "bafyrei"}
