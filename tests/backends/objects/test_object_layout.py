"""The object that says how blocks are laid out under a prefix."""

import pytest

import ipldstore
from ipldstore import BackendError, ObjectCAStore, open_block_store
from ipldstore.backends.objects.layout import NAME

MARKER = b'{"layout": "object-per-block", "version": 1}\n'
UNKNOWN = [
    b'{"layout": "packs", "version": 1}',
    b'{"layout": "object-per-block", "version": 2}',
    b'{"layout": "\\u001b[31m' + b"x" * 1000 + b'"}',
    b"{}",
    b"[]",
    b"",
    b"\xff",
    b"[" * 3_000,
    MARKER + b" " * 4096,
]


def names(store):
    return {found["path"] for page in store.store.list() for found in page}


def test_a_prefix_is_marked_by_the_first_block(server):
    url = f"{server.make_bucket()}/deep/er"
    with open_block_store(url, **server.make_options()) as store:
        assert names(store) == set()
        cid = store.put(b"hello")
    assert bytes(store.store.get(NAME).bytes()) == MARKER
    assert [block.size for block in store.iter_blocks()] == [5]
    again = open_block_store(url, create=False, **server.make_options())
    assert again.get(cid) == b"hello"


def test_a_prefix_without_a_mark_stays_as_it_is(server):
    url = server.make_bucket()
    with ObjectCAStore(url, **server.make_options()) as store:
        cid = store.put(b"hello")
    assert NAME not in names(store)
    with open_block_store(url, create=False, **server.make_options()) as store:
        assert store.get(cid) == b"hello"
        store.put(b"more")
    assert NAME not in names(store)


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("marker", UNKNOWN)
def test_an_unknown_layout_is_refused(s3, marker, create):
    url = s3.make_bucket()
    store = open_block_store(url, create=create, buffer_bytes=0, **s3.make_options())
    store.store.put(NAME, marker)
    absent = store.make_cid(b"absent", "raw")
    for use in (
        lambda: store.put(b"hello"),
        lambda: store.get_block(absent),
        lambda: store.has(absent),
        lambda: ipldstore.open(absent, store),
    ):
        with pytest.raises(BackendError, match="laid out as") as caught:
            use()
        assert not caught.value.retryable
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()
    assert names(store) == {NAME}
