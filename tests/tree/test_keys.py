"""Keys: which are allowed, and what may not stand beside what."""

import pytest

from ipldstore import InvalidKeyError, IPLDStore

GOOD = [
    "a",
    "a/b/c",
    "0.0.0",
    "c/0/0",
    " ",
    "...",
    "..a",
    "a\\b",
    "\x01",
    "名前/値",
    "😀",
    "a" * 1024,
    "é" * 512,
    "a/" * 127 + "a",
    "é" * 512 + "/" + "a" * 1024,
    "zarr.json",
    ".zarray",
    ".zgroup",
    ".zattrs",
    ".zmetadata",
    "a/b/zarr.json",
    ".zarray2/a",
    "zarr/json",
]

BAD = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/.",
    "a/./b",
    "../a",
    "a/../b",
    "a" * 1025,
    "b/" + "é" * 512 + "x",
    "😀" * 257,
    "a/" * 128 + "a",
    "a\0",
    "\0",
    "a/\0/b",
    "\ud800",
    "a/\udfff",
    "zarr.json/a",
    ".zarray/0",
    "a/.zgroup/b",
    ".zattrs/.zattrs",
    ".zmetadata/a/b",
]


def short(key):
    return ascii(key)[:30]


@pytest.mark.parametrize("key", GOOD, ids=short)
def test_good_keys(key):
    store = IPLDStore()
    store[key] = b"value"
    assert store[key] == b"value"
    assert list(store) == [key]
    root = store.freeze()
    store = IPLDStore(store.backend, root=root)
    assert dict(store.items()) == {key: b"value"}
    del store[key]
    assert not store


@pytest.mark.parametrize("key", BAD, ids=short)
def test_bad_keys(key):
    store = IPLDStore()
    store["x"] = b"value"
    root = store.freeze()
    for use in (
        lambda: store.__setitem__(key, b""),
        lambda: store.setdefault(key, b""),
        lambda: store.update({key: b""}),
    ):
        with pytest.raises(InvalidKeyError):
            use()
    check_absent(store, key)
    assert store.root_cid == root
    assert dict(store.items()) == {"x": b"value"}


def check_absent(store, key):
    """Check that all that asks for a key, or deletes it, takes it as a dict takes one it lacks."""
    for use in store.__getitem__, store.__delitem__, store.pop:
        with pytest.raises(KeyError) as caught:
            use(key)
        assert caught.value.args == (key,)
    missing = object()
    assert store.get(key) is None
    assert store.get(key, missing) is missing
    assert store.pop(key, missing) is missing
    assert key not in store
    assert key not in store.keys()  # noqa: SIM118


@pytest.mark.parametrize("key", [None, 1, b"x", ("x",)])
def test_keys_are_text(key):
    store = IPLDStore()
    store["x"] = b"value"
    for use in lambda: store.__setitem__(key, b""), lambda: store.setdefault(key, b""):
        with pytest.raises(InvalidKeyError, match="not a str"):
            use()
    check_absent(store, key)
    assert dict(store) == {"x": b"value"}


@pytest.mark.parametrize("key", ["x/y", "x/.zarray", "a", "a/b"])
def test_what_is_blocked_by_others_is_absent_too(key):
    store = IPLDStore()
    store.update({"x": b"value", "a/b/c": b"value"})
    check_absent(store, key)
    assert dict(store) == {"x": b"value", "a/b/c": b"value"}


def test_messages_name_the_key_and_the_limit():
    store = IPLDStore()
    for key, message in [
        ("a//b", "'a//b'.*slash"),
        ("a" * 1025, "1025 bytes, at most 1024"),
        ("a/" * 128 + "a", "129 segments, at most 128"),
        ("a/.zattrs/b", "'a/.zattrs/b'.*last segment"),
        ("a\0b", "NUL"),
        ("\ud800", "surrogate"),
    ]:
        with pytest.raises(InvalidKeyError, match=message):
            store[key] = b""


@pytest.mark.parametrize("reload", [False, True])
@pytest.mark.parametrize(
    ("present", "refused"),
    [
        ("a", "a/b"),
        ("a", "a/b/c/d"),
        ("a", "a/.zattrs"),
        ("a/b", "a"),
        ("a/b/c/d", "a"),
        ("a/b/c/d", "a/b/c"),
        ("a/b/c", "a/b/c/zarr.json"),
    ],
)
def test_a_value_and_a_directory_cannot_share_a_name(present, refused, reload):
    store = IPLDStore()
    store[present] = b"value"
    if reload:
        store.set_root(store.freeze())
    root = store.root_cid
    with pytest.raises(InvalidKeyError, match=f"'{refused}'"):
        store[refused] = b"other"
    assert store.root_cid == root
    assert dict(store.items()) == {present: b"value"}
    assert refused not in store
    with pytest.raises(KeyError):
        del store[refused]
    del store[present]
    store[refused] = b"other"
    assert dict(store.items()) == {refused: b"other"}


def test_conflicts_with_a_subdirectory_that_is_not_loaded():
    store = IPLDStore()
    for index in range(300):
        store[f"big/{index}"] = b""
    store.set_root(store.freeze())
    with pytest.raises(InvalidKeyError, match="'big' is a directory"):
        store["big"] = b""
    with pytest.raises(InvalidKeyError, match="'big/7' is a value"):
        store["big/7/x"] = b""
    assert "big" not in store
    assert len(store) == 300


def test_a_directory_disappears_with_its_last_key():
    store = IPLDStore()
    store["a"] = b""
    root = store.freeze()
    store["b/c/d/e"] = b""
    store["b/c/x"] = b""
    del store["b/c/d/e"]
    assert list(store) == ["a", "b/c/x"]
    del store["b/c/x"]
    assert store.freeze() == root
