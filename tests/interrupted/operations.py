"""What is done to a store and interrupted: its keys before, and what changes them."""

from ipldstore import IPLDStore, MappingCAStore

BEFORE = {
    ".zgroup": b'{"zarr_format":2}',
    "a/.zarray": b'{"shape":[40]}',
    "a/.zattrs": b'{"text":"' + b"x" * 120 + b'"}',
    **{f"a/{i}": b"chunk %d" % (i % 5) for i in range(40)},
    "b/c/d/0": b"deep",
    "single/one/only": b"alone",
    "flat": b"value",
}


def set_new(store):
    store["a/40"] = b"appended"


def set_again(store):
    store["a/7"] = b"changed"


def set_if_absent(store):
    store.setdefault("a/40", b"appended")
    store.setdefault("a/40", b"late")


def set_deep(store):
    store["new/group/array/0"] = b"new"


def set_document(store):
    store["a/.zattrs"] = b'{"long":"' + b"y" * 150 + b'"}'


def set_large(store):
    store["large"] = bytes((1 << 20) + 1)


def set_refused(store):
    try:
        store["a"] = b"where a directory stands"
    except ValueError:
        return


def delete(store):
    del store["a/7"]


def delete_first(store):
    del store["a/0"]


def delete_what_was_alone(store):
    del store["single/one/only"]


def delete_directory(store):
    store._remove_directory("b/c")


def delete_paged_directory(store):
    store._remove_directory("a")


def clear(store):
    store.clear()


CHANGES = [
    set_new,
    set_again,
    set_if_absent,
    set_deep,
    set_document,
    set_large,
    set_refused,
    delete,
    delete_first,
    delete_what_was_alone,
    delete_directory,
    delete_paged_directory,
    clear,
]
"""Each is done or not done, whatever happens in the middle of it."""


def change_much(store):
    for index in range(12, 34):
        del store[f"a/{index}"]
    store["a/5"] = b"changed"
    store["b/c/d/1"] = b"more"


def read(store):
    assert store["a/39"] == b"chunk 4"
    assert "b/c/d/0" in store
    assert "nothing" not in store


def iterate(store):
    assert len(list(store)) == len(store)
    store._list_directory("a")


def freeze(store):
    store.freeze()


def normalize(store):
    store.normalize()


def export(store):
    store.to_car()


def fork(store):
    store.fork()


STEADY = [read, iterate, freeze, normalize, export, fork]
"""They leave the keys as they are."""


def content_after(change, before):
    """Return the keys and values after a change, as a dict and the paths alone tell."""
    content = Mirror(before)
    change(content)
    return dict(content)


class Mirror(dict):
    """A dict with what a store has besides."""

    def __setitem__(self, key, value):
        if any(other.startswith(f"{key}/") for other in self):
            raise ValueError
        super().__setitem__(key, value)

    def _remove_directory(self, path):
        for key in [key for key in self if key.startswith(f"{path}/")]:
            del self[key]


_written = {}


def written_anew(content):
    """Return the root and the blocks of a hierarchy that is written in the order of its keys."""
    what = tuple(sorted(content.items()))
    if what not in _written:
        blocks = {}
        store = IPLDStore(MappingCAStore(blocks))
        store.update(what)
        root = store.freeze()
        assert dict(IPLDStore(MappingCAStore(dict(blocks)), root=root)) == content
        _written[what] = root, blocks
    return _written[what]


def fresh_root(content):
    return written_anew(content)[0]


def forget_roots():
    _written.clear()
