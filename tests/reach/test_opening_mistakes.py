"""Mistakes of those who begin: what they gave is named, and what to give instead."""

import os
import re
from pathlib import Path

import pytest

import ipldstore
from ipldstore import (
    BackendError,
    BlockStoreNotFoundError,
    BlockStoreURLError,
    DirectoryCAStore,
    InvalidCIDError,
    InvalidKeyError,
    IPLDStore,
    MappingCAStore,
    open_block_store,
)
from ipldstore import open as open_hierarchy

V0 = "QmY7Yh4UquoXHLPFo2XbhXkhBvFoPwmQUSa92pxnxjQuPU"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root in the folder ``blocks`` and in ``x.car``, with a group ``a``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IPLDSTORE_BLOCKS", raising=False)
    store = IPLDStore(DirectoryCAStore("blocks"))
    store["a/0"] = b"chunk"
    root = store.freeze()
    store.to_car("x.car")
    return str(root)


@pytest.fixture(autouse=True)
def nothing_is_made(root):
    yield
    assert set(os.listdir()) <= {"blocks", "x.car", "given"}


def told(error, call):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("blocks", ["blocks", None])
@pytest.mark.parametrize("form", ["{}", "{}/a", " {}\n", "ipld://{}", "ipfs://{}/a", "/ipfs/{}/"])
def test_a_mistyped_root(root, form, blocks, read_only):
    typo = form.format(root[:20] + "0" + root[21:])
    said = told(InvalidCIDError, lambda: open_hierarchy(typo, blocks, read_only=read_only))
    assert "'0' at character 21: base32 has only a to z and 2 to 7" in said
    short = form.format(V0[:-1])
    assert "45 characters, expected 46" in told(InvalidCIDError, lambda: open_hierarchy(short))


@pytest.mark.parametrize(
    "form", [" {}", "{}\n", "\t{}\r\n", "ipld://{} ", " ipfs://{}", "IPLD://{}"]
)
def test_white_space_around_a_root(root, form):
    text = form.format(root)
    assert open_hierarchy(text, "blocks")["a/0"] == b"chunk"
    if "IPLD" not in text:
        assert IPLDStore(DirectoryCAStore("blocks"), root=text)["a/0"] == b"chunk"


def test_a_root_among_other_text(root):
    for text in (f"blocks/{root}", f"'{root}'", f"({root})"):
        for given in (None, "blocks"):
            said = told(InvalidCIDError, lambda: open_hierarchy(text, given))  # noqa: B023
            assert f"is no root, but {root} is: name that, and what has its blocks as" in said
    for url in (f"https://example.org/ipfs/{root}/a", f"https://{root}.ipfs.example.org/"):
        said = told(InvalidCIDError, lambda: open_hierarchy(url))  # noqa: B023
        assert f"but {root} is: name that, and gateway+https://example.org as" in said
    assert f"expected ipld://{root}" in told(
        InvalidCIDError, lambda: open_hierarchy(f"ipld:{root}")
    )


def test_the_wrong_way_round(root):
    for blocks in (root, ipldstore.CID(root), bytes(ipldstore.CID(root))):
        said = told(TypeError, lambda: open_hierarchy("blocks", blocks))  # noqa: B023
        assert said.startswith("expected open(ROOT, BLOCKS), not open('blocks', ")
    backend = DirectoryCAStore("blocks")
    for call in (
        lambda: open_hierarchy(backend),
        lambda: open_hierarchy(backend, root),
    ):
        assert "expected a root, not DirectoryCAStore(" in told(TypeError, call)
    for call in (
        lambda: ipldstore.info(backend, root),
        lambda: ipldstore.verify(backend, root),
        lambda: ipldstore.check_compression(backend, root),
    ):
        assert told(TypeError, call).startswith("expected a root, not DirectoryCAStore(")


def test_what_is_no_block_store(root):
    store = open_hierarchy("x.car")
    for wrong, hint in {
        "IPLDStore": (store, "is its attribute blocks"),
        "dict": ({}, r"MappingCAStore\(mapping\) makes one"),
        "CID": (ipldstore.CID(root), r"ipldstore.open\(ROOT, BLOCKS\) opens a root"),
        "ABCMeta": (DirectoryCAStore, r"DirectoryCAStore\(...\) makes an object"),
    }.items():
        given, advice = hint
        for call in (
            lambda: open_hierarchy(root, given),  # noqa: B023
            lambda: open_block_store(given),  # noqa: B023
            lambda: IPLDStore(given),  # noqa: B023
        ):
            said = told(TypeError, call)
            assert f"not {wrong}" in said
            assert re.search(advice, said)
    assert "which is open already" in told(TypeError, lambda: open_hierarchy(store))
    assert f"{root!r} is a root, which" in told(TypeError, lambda: IPLDStore(root))
    for given in ("blocks", b"blocks", Path("blocks"), [b"block"]):
        assert "expected a mapping" in told(TypeError, lambda: MappingCAStore(given))  # noqa: B023
    assert "not NoneType" in told(TypeError, lambda: open_block_store(None))


def test_places_that_are_meant_otherwise(root):
    said = told(BlockStoreURLError, lambda: open_block_store(root))
    assert said.startswith(f"{root!r} is a root, expected what has its blocks")
    said = told(BlockStoreURLError, lambda: open_block_store("/ip4/127.0.0.1/tcp/5001"))
    assert said.endswith("is written ipfs:/ip4/127.0.0.1/tcp/5001")
    said = told(BlockStoreURLError, lambda: open_block_store("localhost:5001"))
    assert "did you mean 'ipfs+http://localhost:5001'?" in said
    said = told(BlockStoreURLError, lambda: open_hierarchy("https://example.org/x.car"))
    assert "has to be fetched first" in said


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"SQLite format 3\0" + bytes(100), "an SQLite database: one of blocks is sqlite:"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "a NetCDF-4 or HDF5 file"),
        (b"hello", "text, which begins with 'hello'"),
        (b"", "an empty file"),
        (IPLDStore().to_car(), "a CAR archive: name it car:"),
    ],
)
def test_a_file_in_the_place_of_a_folder_of_blocks(root, content, kind):
    Path("given").write_bytes(content)
    for call in (
        lambda: open_hierarchy(root, "given"),
        lambda: open_hierarchy("given"),
        lambda: open_hierarchy("given", read_only=False),
        lambda: DirectoryCAStore("given"),
    ):
        assert f"given' is {kind}" in told(BackendError, call)
    assert f"'given' is {kind}" in told(InvalidCIDError, lambda: open_hierarchy("given", "blocks"))


def test_a_zarr_folder_in_the_place_of_a_folder_of_blocks(root):
    os.mkdir("given")
    Path("given/zarr.json").write_text("{}")
    for call in (lambda: open_hierarchy(root, "given"), lambda: open_hierarchy("given")):
        assert "it is a Zarr folder: `ipldstore put` makes a root" in told(BackendError, call)


@pytest.mark.parametrize(
    "form", ["x.car/a", "./x.car/a/", "car:x.car/a", "{}/x.car/a", "file://{}/x.car/a"]
)
def test_a_group_in_an_archive(root, form):
    place = form.format(os.getcwd())
    assert dict(open_hierarchy(place)) == {"0": b"chunk"}
    assert dict(open_hierarchy(place.rpartition("/a")[0], path="a")) == {"0": b"chunk"}
    if "://" not in place:
        assert dict(open_hierarchy(Path(place))) == {"0": b"chunk"}


def test_a_dataset_in_the_place_of_a_root(root):
    xarray = pytest.importorskip("xarray")
    for call in (open_hierarchy, ipldstore.verify, ipldstore.info):
        said = told(TypeError, lambda: call(xarray.Dataset()))  # noqa: B023
        assert said.endswith("of a CAR file, not Dataset; its to_zarr(store) writes it")
        said = told(TypeError, lambda: call(3))  # noqa: B023
        assert said.startswith("expected a root, as a CID, text or bytes, or the path or URL")


def test_a_root_beside_its_blocks(root):
    assert "a/0" in IPLDStore(DirectoryCAStore("blocks"), root)
    said = told(TypeError, lambda: IPLDStore(root, DirectoryCAStore("blocks")))
    assert "is a root, which ipldstore.open(ROOT, BLOCKS) opens" in said


def test_a_store_that_only_reads_says_how_it_writes(root):
    with pytest.raises(ipldstore.ReadOnlyStoreError, match="open it with read_only=False"):
        open_hierarchy(root, "blocks")["a/1"] = b""


@pytest.mark.parametrize("key", ["/a", "a/", "a//b", ""])
def test_slashes_in_keys(root, key):
    with pytest.raises(InvalidKeyError, match="neither begins nor ends with a slash"):
        IPLDStore()[key] = b""


@pytest.mark.parametrize("form", ["x.car/", "./x.car//", "car:x.car/", "file://{}/x.car/"])
def test_an_archive_with_a_slash_at_its_end(root, form):
    assert "a/0" in open_hierarchy(form.format(os.getcwd()))


@pytest.mark.parametrize("form", ["~/{}", "car:~/{}", "sqlite:~/{}"])
def test_home_is_found(root, form, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "given"))
    (tmp_path / "given").mkdir()
    name = "x.car" if form.startswith("car") else "blocks"
    with ipldstore.open_block_store(form.format(name)) as blocks:
        blocks.put(b"data")
    assert (tmp_path / "given" / name).exists()


def test_a_group_that_is_not_in_an_archive(root):
    assert "no group or array 'none'" in told(InvalidKeyError, lambda: open_hierarchy("x.car/none"))
    said = told(BlockStoreNotFoundError, lambda: open_hierarchy("y.car/a"))
    assert said == "no CAR file 'y.car'"
    said = told(ValueError, lambda: open_hierarchy("x.car/a", read_only=False))
    assert "opened with read_only=True only" in said
    said = told(TypeError, lambda: open_hierarchy("x.car", "blocks"))
    assert "'x.car' is a CAR file, which holds its own" in said


def test_folders_with_such_names(root):
    os.mkdir("given")
    os.rename("blocks", "given/y.car")
    assert open_hierarchy(root, "given/y.car")["a/0"] == b"chunk"
    IPLDStore(DirectoryCAStore("given/y.car")).to_car("given/z.car")
    assert list(open_hierarchy("given/z.car")) == []
    os.rename("given/y.car", "blocks")


@pytest.mark.parametrize(
    ("option", "meant"), [("mode", "read_only"), ("readonly", "read_only"), ("group", "path")]
)
def test_options_by_other_names(root, option, meant):
    said = told(TypeError, lambda: open_hierarchy(root, "blocks", **{option: "r"}))
    assert said == f"open() takes no option {option!r}: did you mean {meant}?"


def test_roots_by_name_and_by_part(root):
    store = IPLDStore(DirectoryCAStore("blocks"))
    for name in (f"ipld://{root}", f"ipfs://{root}/", f"/ipfs/{root}/"):
        store.set_root(name)
    for name in (f"{root}/a", f"ipld://{root}/a"):
        said = told(InvalidCIDError, lambda: store.set_root(name))  # noqa: B023
        assert "names a part of a hierarchy, expected its root" in said
    assert "before freeze()" in told(TypeError, lambda: store.set_root(None))
    assert "which is empty" in told(LookupError, lambda: IPLDStore(root=root))
    assert "of an IPFS node, not int" in told(TypeError, lambda: store.publish(3))
