"""What a block store can do beyond the contract, those around it can do too."""

import inspect
import pickle
import pkgutil
from importlib import import_module

import pytest

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CachingCAStore,
    CARStore,
    ContentAddressableStore,
    DirectoryCAStore,
    IPFSStore,
    MappingCAStore,
    ObjectCAStore,
    SQLiteCAStore,
    UnionCAStore,
)
from ipldstore.backends import layers
from ipldstore.blockstore import abilities
from ipldstore.cid import make_link

CID = make_link(b"hello")

ABILITIES = [
    ability
    for _, ability in inspect.getmembers(abilities, inspect.isclass)
    if ability.__module__ == abilities.__name__
]

STORES = {
    "mapping": lambda folder: MappingCAStore(),
    "folder": lambda folder: DirectoryCAStore(folder / "blocks"),
    "database": lambda folder: SQLiteCAStore(folder / "blocks.sqlite"),
    "archive": lambda folder: CARStore(folder / "blocks.car"),
    "node": lambda folder: IPFSStore("http://127.0.0.1:9"),
    "objects": lambda folder: ObjectCAStore(f"s3://bucket/{folder.name}"),
}

WRAPPERS = {
    "union of one": lambda blocks, folder: UnionCAStore(blocks),
    "union": lambda blocks, folder: UnionCAStore(blocks, MappingCAStore()),
    "cache": lambda blocks, folder: CachingCAStore(blocks, MappingCAStore()),
    "bounded cache": lambda blocks, folder: CachingCAStore(
        blocks, DirectoryCAStore(folder / "cache"), max_bytes=1 << 20
    ),
    "cache of a union": lambda blocks, folder: CachingCAStore(
        UnionCAStore(blocks), MappingCAStore()
    ),
}


@pytest.fixture(params=STORES)
def blocks(request, tmp_path):
    store = STORES[request.param](tmp_path)
    yield store
    store.close()


@pytest.fixture(params=WRAPPERS)
def wrapper(request, blocks, tmp_path):
    return WRAPPERS[request.param](blocks, tmp_path)


def test_all_wrappers_are_here(tmp_path):
    names = [module.name for module in pkgutil.iter_modules(layers.__path__)]
    modules = [import_module(f"{layers.__name__}.{name}") for name in names]
    kinds = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, ContentAddressableStore) and kind.__module__ == module.__name__
    }
    assert kinds == {type(wrap(MappingCAStore(), tmp_path)) for wrap in WRAPPERS.values()}


@pytest.mark.parametrize("ability", ABILITIES)
def test_some_stores_have_it_and_some_have_not(ability, tmp_path):
    assert {isinstance(make(tmp_path), ability) for make in STORES.values()} == {True, False}


@pytest.mark.parametrize("ability", ABILITIES)
def test_a_wrapper_says_what_the_wrapped_store_says(ability, blocks, wrapper):
    assert isinstance(wrapper, ability) == isinstance(blocks, ability)
    copy = pickle.loads(pickle.dumps(wrapper))
    assert isinstance(copy, ability) == isinstance(blocks, ability)


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_removed_block_is_gone(wrap, tmp_path):
    blocks = DirectoryCAStore(tmp_path / "blocks")
    wrapper = wrap(blocks, tmp_path)
    wrapper.put_block(CID, b"hello")
    wrapper.remove_block(CID)
    assert CID not in blocks
    assert CID not in wrapper


def test_a_removed_block_is_gone_from_a_cache_that_removes_blocks(tmp_path):
    cache = DirectoryCAStore(tmp_path / "cache")
    wrapper = CachingCAStore(DirectoryCAStore(tmp_path / "blocks"), cache)
    wrapper.put_block(CID, b"hello")
    assert CID in cache
    wrapper.remove_block(CID)
    with pytest.raises(BlockNotFoundError):
        wrapper.get_block(CID)


def test_only_the_first_of_a_union_is_written_to(tmp_path):
    first, second = (DirectoryCAStore(tmp_path / name) for name in ("first", "second"))
    second.put_block(CID, b"hello")
    UnionCAStore(first, second).remove_block(CID)
    assert CID in second


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_roots_and_blocks_are_those_of_the_archive(wrap, tmp_path):
    with CARStore(tmp_path / "blocks.car") as archive:
        wrapper = wrap(archive, tmp_path)
        wrapper.put_block(CID, b"hello")
        wrapper.note_root(CID)
        assert wrapper.noted_root == archive.noted_root == CID
        assert wrapper.read_roots() == [CID]
        assert list(wrapper.iter_blocks()) == list(archive.iter_blocks())


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_pointers_are_those_of_the_wrapped_store(wrap, tmp_path):
    blocks = SQLiteCAStore(tmp_path / "blocks.sqlite")
    wrapper = wrap(blocks, tmp_path)
    wrapper.put_block(CID, b"hello")
    assert wrapper.swap_pointer("default", None, CID)
    with SQLiteCAStore(tmp_path / "blocks.sqlite") as other:
        assert other.read_pointer("default") == wrapper.read_pointer("default") == CID
        assert CID in other
    assert list(wrapper.iter_pointers()) == ["default"]
    wrapper.close()


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_journals_are_those_of_the_wrapped_store(wrap, tmp_path):
    blocks = SQLiteCAStore(tmp_path / "blocks.sqlite")
    wrapper = wrap(blocks, tmp_path)
    wrapper.put_block(CID, b"hello")
    wrapper.append_journal("g", "a", 0, b"first")
    assert wrapper.make_journal("g", "b", b"whole")
    with SQLiteCAStore(tmp_path / "blocks.sqlite") as other:
        assert other.read_journal("g", "a") == wrapper.read_journal("g", "a") == b"first"
        assert other.list_journals("g") == wrapper.list_journals("g") == {"a": 5, "b": 5}
        assert CID in other
    assert wrapper.find_journals("g", ["a", "c"]) == [True, False]
    assert list(wrapper.iter_journal_groups()) == ["g"]
    wrapper.remove_journal("g", "a")
    assert blocks.read_journal("g", "a") is None
    wrapper.close()


def test_pointers_of_the_first_of_a_union_only(tmp_path):
    first, second = IPFSStore("http://127.0.0.1:9"), MappingCAStore()
    assert not isinstance(UnionCAStore(first, second), abilities.KeepsPointers)
    journals = DirectoryCAStore(tmp_path / "blocks")
    assert not isinstance(UnionCAStore(second, journals), abilities.KeepsJournals)
    second.swap_pointer("default", None, CID)
    assert UnionCAStore(MappingCAStore(), second).read_pointer("default") is None


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_what_cannot_list_its_blocks_does_not_do_so_within_others(wrap, tmp_path):
    with pytest.raises(BackendError, match="cannot list its blocks"):
        list(wrap(IPFSStore("http://127.0.0.1:9"), tmp_path).iter_blocks())
