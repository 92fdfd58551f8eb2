"""Block stores by URL: every kind, what is wrong with one, secrets, and plug-ins."""

import os
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

import pytest
from plugin_stores import kept

import ipldstore
from ipldstore import (
    BackendError,
    BlockNotFoundError,
    ContentAddressableStore,
    DirectoryCAStore,
    GatewayCAStore,
    InvalidCIDError,
    InvalidKeyError,
    IPFSStore,
    IPLDStore,
    MappingCAStore,
    ReadOnlyStoreError,
    backends,
    registry,
)
from ipldstore.basics.urls import show_url
from ipldstore.errors import BlockStoreNotFoundError, BlockStoreURLError
from ipldstore.opening import open as open_hierarchy
from ipldstore.registry import absolute, open_block_store

HELLO = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IPFS_API", raising=False)
    monkeypatch.setenv("IPFS_PATH", str(tmp_path / "none"))
    return tmp_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("blocks", "blocks"),
        (Path("blocks"), "blocks"),
        ("./s3:x", "s3:x"),
        ("a%20b", "a%20b"),
        ("A+B:c", "A+B:c"),
        ("file:{}/blocks", "blocks"),
        ("file://{}/a%20b", "a b"),
        ("file://localhost{}/blocks", "blocks"),
        ("FILE://{}/blocks", "blocks"),
    ],
)
def test_folders(url, path, workplace):
    url = url.format(workplace) if isinstance(url, str) else url
    store = open_block_store(url, fsync=True)
    assert isinstance(store, DirectoryCAStore)
    assert (store.path, store.fsync) == (workplace / path, True)


@pytest.mark.skipif(os.name == "nt", reason="a drive letter is one of Windows")
def test_a_drive_letter_is_a_path(workplace):
    assert open_block_store("C:\\blocks").path.parent == workplace
    assert open_block_store("c:blocks").path.name == "c:blocks"


@pytest.mark.parametrize(
    "url", ["x.car", "car:x.car", "car:x", "car://{}/x.car", "file://{}/x.car"]
)
def test_archives(url, workplace):
    url = url.format(workplace)
    with open_block_store(url) as store:
        assert type(store).__name__ == "CARStore"
        store.put(b"hello")
    with open_block_store(url, create=False) as store:
        assert store.get(HELLO) == b"hello"
        assert store.path.parent == workplace


def test_a_folder_named_like_an_archive():
    DirectoryCAStore("x.car")
    assert isinstance(open_block_store("x.car"), DirectoryCAStore)


@pytest.mark.parametrize("url", ["sqlite:x.db", "sqlite://{}/x.db"])
def test_databases(url, workplace):
    with open_block_store(url.format(workplace)) as store:
        store.put(b"hello")
        assert type(store).__name__ == "SQLiteCAStore"
        assert store.path == workplace / "x.db"


def test_nodes_and_gateways():
    nodes = {
        "ipfs:": "http://127.0.0.1:5001",
        "ipfs:/ip4/10.0.0.1/tcp/5002": "http://10.0.0.1:5002",
        "ipfs+https://example.org/x": "https://example.org/x",
        "ipfs+http://user:secret@[::1]:5001": "http://[::1]:5001",
    }
    for url, address in nodes.items():
        store = open_block_store(url, timeout=7)
        assert isinstance(store, IPFSStore)
        assert store.url == address
        assert "secret" not in repr(store)
    gateways = {
        "gateway:": ("https://trustless-gateway.link",),
        "gateway+http://a.org:8080": ("http://a.org:8080",),
        "gateway+https://u:secret@a.org,http://b.org": ("https://a.org", "http://b.org"),
    }
    for url, addresses in gateways.items():
        store = open_block_store(url)
        assert isinstance(store, GatewayCAStore)
        assert store.gateways == addresses


@pytest.mark.parametrize("url", ["s3://bucket/x", "gs://bucket/x", "az://container/x"])
def test_object_stores(url):
    pytest.importorskip("obstore", reason="object stores need obstore")
    config = {
        "s3": {"access_key_id": "AKIA", "secret_access_key": "s3cr3t", "region": "eu-central-1"},
        "gs": {"skip_signature": True},
        "az": {"account_name": "account", "account_key": "c3Rvcnk="},
    }[url[:2]]
    store = open_block_store(url, config=config, timeout=3)
    assert type(store).__name__ == "ObjectCAStore"
    assert not {"s3cr3t", "c3Rvcnk="} & set(repr(store).split('"'))
    with pytest.raises(TypeError, match=r"takes no option 'region': expected .*config"):
        open_block_store(url, region="eu-central-1")


def test_memory():
    store = open_block_store("memory:", default_hash="blake2b-256")
    assert isinstance(store, MappingCAStore)
    assert store != open_block_store("memory:")
    assert store.default_hash == "blake2b-256"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "an empty text"),
        ("memory:x", "nothing after it"),
        ("memroy:", "did you mean 'memory:'?"),
        ("ss3://bucket", "did you mean 's3:'?"),
        ("S33://bucket", "s3:, gs:, az: need pip install 'ipldstore"),
        ("nothing-like-it:x", "There are a folder, file:, memory:, car:, sqlite:, ipfs:, gateway:"),
        ("nothing-like-it:x", "is written ./nothing-like-it:..."),
        ("https://example.org", "did you mean 'gateway+https:' or 'ipfs+https:'?"),
        ("ipfs://" + HELLO, "names a hierarchy, not where its blocks are"),
        ("ipfs+ftp://host", "names no IPFS node"),
        ("ipfs:/ip4/1.2.3.4", "malformed address of an IPFS node"),
        ("ipfs+http://host:x", "malformed address of an IPFS node"),
        ("gateway:example.org", "expected gateway: or gateway"),
        ("gateway+https://a.org,b.org", "malformed URL of a gateway"),
        ("file://host/blocks", "names a host"),
        ("file:blocks", "expected file:///PATH"),
        ("sqlite://x.db", "names a host: expected sqlite:PATH"),
        ("sqlite:", "without a path"),
        ("car:", "without a path"),
        ("a\0b", "without a path"),
        ("memory+x:", "names no block store"),
        ("s3:bucket", "names no bucket: expected s3://NAME"),
        ("gs://", "names no bucket"),
        ("az://account@container", "'az://container' names no bucket"),
        ("S3://bucket/x?X-Amz-Signature=1", "'s3://bucket/x' came with parameters (after '?')"),
        ("gs://bucket/x#part", "'gs://bucket/x' came with a fragment"),
    ],
)
def test_wrong_urls(url, message):
    with pytest.raises(BlockStoreURLError) as raised:
        open_block_store(url)
    assert message in str(raised.value)
    assert isinstance(raised.value, ValueError)
    assert os.listdir() == []


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "memory", "sqlite", "car", "what", "https"])
def test_passwords_are_refused_and_not_shown(scheme):
    with pytest.raises(BlockStoreURLError, match="came with a password") as raised:
        open_block_store(f"{scheme}://user:s3cr3t@bucket/x?sig=s3cr3t#s3cr3t")
    assert "s3cr3t" not in str(raised.value)
    assert f"{scheme}://bucket/x" in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "ipfs+http://u:s3cr3t@h:x",
        "gateway+https://u:s3cr3t@h?x",
        "what://s3cr3t@h?s3cr3t",
        "file://u:s3cr3t@h/x",
    ],
)
def test_other_errors_show_no_secrets(url):
    with pytest.raises(BlockStoreURLError) as raised:
        open_block_store(url)
    shown = f"{raised.value!r} {raised.value.__cause__}"
    assert "s3cr3t" not in shown
    assert show_url("blocks?#@") == "blocks?#@"


@pytest.mark.parametrize("url", ["blocks", "file:{}/blocks", "x.car", "car:x", "sqlite:x"])
def test_what_is_not_there_is_made_only_when_asked_for(url):
    with pytest.raises(BlockStoreNotFoundError, match=r"no .* '"):
        open_block_store(url.format(os.getcwd()), create=False)
    assert not issubclass(BlockStoreNotFoundError, FileNotFoundError)  # zarr's missing key
    assert os.listdir() == []


def test_wrong_options():
    with pytest.raises(TypeError, match=r"'gateway:' takes no option 'tiemout': expected auth, co"):
        open_block_store("gateway:", tiemout=3)
    with pytest.raises(TypeError, match="takes no option 'gateways'"):
        open_block_store("blocks", gateways=[])
    assert os.listdir() == []


def test_absolute(workplace):
    assert absolute("blocks") == str(workplace / "blocks")
    assert absolute(f"file:{workplace}/a%20b") == str(workplace / "a b")
    assert absolute("sqlite:x") == f"sqlite:{workplace}/x"
    assert absolute("x.car") == f"car:{workplace}/x.car"
    for url in ("ipfs:", "gateway+https://u:p@a.org", "s3://x/y", "plugged:x"):
        assert absolute(url) == url


PLUGINS = """[ipldstore.block_stores]
kept = plugin_stores:open_kept
text = plugin_stores:open_text
broken = plugin_stores:no_such_name
absent = no_such_module:open
twice = plugin_stores:open_kept
s3 = plugin_stores:open_kept
"""


@pytest.fixture
def plugins(tmp_path_factory, monkeypatch):
    """Two installed packages with entry points, as `importlib.metadata` finds them."""
    folder = tmp_path_factory.mktemp("site")
    second = "[ipldstore.block_stores]\ntwice = plugin_stores:open_text\n"
    for name, text in {"one": PLUGINS, "two": second}.items():
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(text)
    monkeypatch.syspath_prepend(str(folder))


def test_plugins(plugins):
    assert open_block_store("kept://anything") is kept
    assert open_block_store("kept+https://anything") is kept
    assert open_block_store("memory:") is not kept
    with pytest.raises(TypeError, match="no option"):
        open_block_store("kept:", what=1)
    with pytest.raises(BlockStoreURLError, match="did you mean 'kept:'"):
        open_block_store("kepd:")
    with pytest.raises(BlockStoreURLError, match="password"):
        open_block_store("kept://user:secret@host")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("broken:", "'broken:', plugin_stores:no_such_name of one, is broken: AttributeError"),
        ("absent:", "is broken: ModuleNotFoundError: No module named 'no_such_module'"),
        ("text:", "gave a str, expected a ContentAddressableStore"),
        ("twice:", "several plug-ins claim 'twice:'"),
    ],
)
def test_broken_plugins(plugins, url, message):
    with pytest.raises(BackendError) as raised:
        open_block_store(url)
    assert message in str(raised.value)
    assert isinstance(open_block_store("memory:"), MappingCAStore)


def test_opening_a_root(mixed, values, monkeypatch):
    names = [mixed.root, f"ipld://{mixed.root}", f"ipfs://{mixed.root}/", f"/ipfs/{mixed.root}"]
    for name in [*names, IPLDStore(DirectoryCAStore(mixed.blocks), root=mixed.root).root_cid]:
        for blocks in (mixed.blocks, mixed.car, DirectoryCAStore(mixed.blocks)):
            store = open_hierarchy(name, blocks)
            assert store.read_only and str(store.root_cid) == mixed.root
            assert store["large/0"] == values["large/0"]
    with pytest.raises(ReadOnlyStoreError):
        store["x"] = b""
    monkeypatch.setenv("IPLDSTORE_BLOCKS", mixed.blocks)
    assert open_hierarchy(mixed.root, read_only=False)["a/0"] == b"first"


def test_opening_a_group(mixed, values):
    alone = IPLDStore()
    alone.update({key[2:]: value for key, value in values.items() if key.startswith("a/")})
    for group in (
        open_hierarchy(f"ipld://{mixed.root}/a", mixed.blocks),
        open_hierarchy(mixed.root, mixed.blocks, path="a/"),
        open_hierarchy(mixed.car, path="a"),
    ):
        assert dict(group) == dict(alone)
        assert group.root_cid == alone.freeze()
    linked = open_hierarchy(f"{mixed.root}/many", mixed.blocks)
    assert linked["299"] == b"chunk 299"
    assert linked.backend == DirectoryCAStore(mixed.blocks)
    assert open_hierarchy(f"{mixed.root}/a/b c%20d", mixed.blocks)["2"] == b"third"
    with pytest.raises(InvalidKeyError, match="no group or array 'none' under bafy"):
        open_hierarchy(mixed.root, mixed.blocks, path="none")
    with pytest.raises(ValueError, match="read_only=True only"):
        open_hierarchy(mixed.root, mixed.blocks, path="a", read_only=False)


def test_opening_places(mixed, tmp_path):
    assert str(open_hierarchy(mixed.car).root_cid) == mixed.root
    assert str(open_hierarchy(Path(mixed.car)).root_cid) == mixed.root
    with open_hierarchy("new.car", read_only=False).backend as archive:
        store = IPLDStore(archive)
        store["a"] = b"1"
        root = store.freeze()
    assert open_hierarchy("new.car").root_cid == root
    for place in ("blocks", "sqlite:x.db", "memory:"):
        store = open_hierarchy(place, read_only=False)
        assert dict(store) == {} and not store.read_only
        store.backend.close()
    with pytest.raises(BlockStoreURLError, match="'blocks' is a block store that notes no root"):
        open_hierarchy("blocks")


def test_opening_what_is_not_there(mixed):
    with pytest.raises(BlockStoreURLError, match="a root does not say where its blocks are"):
        open_hierarchy(mixed.root)
    with pytest.raises(BlockStoreNotFoundError, match="no folder of blocks 'bafynonsense'"):
        open_hierarchy("bafynonsense")
    with pytest.raises(BlockStoreNotFoundError):
        open_hierarchy(mixed.root, "none")
    with pytest.raises(InvalidCIDError):
        open_hierarchy("ipld://nonsense", mixed.blocks)
    with pytest.raises(InvalidCIDError):
        open_hierarchy("ipns://example.org", mixed.blocks)
    with pytest.raises(BlockNotFoundError):
        open_hierarchy(mixed.root, "memory:")
    with pytest.raises(InvalidCIDError, match="not a CID: 'blocks': expected text such as bafy"):
        open_hierarchy("blocks", "memory:")
    with pytest.raises(TypeError, match="takes no option"):
        open_hierarchy(mixed.root, mixed.blocks, timeuot=1)
    assert os.listdir() == []


def test_opening_imports_no_network_for_a_folder(mixed):
    import subprocess

    code = (
        "import sys; from ipldstore.registry import open_block_store; "
        f"open_block_store({mixed.blocks!r}); "
        "print({'aiohttp', 'requests', 'zarr', 'fsspec', 'sqlite3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_opening_one_kind_imports_no_other():
    import subprocess

    code = (
        "import sys; from ipldstore.registry import open_block_store; open_block_store('memory:'); "
        "print(*(name for name in sys.modules if name.startswith('ipldstore.backends.') "
        "and name.endswith('.store')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ipldstore.backends.memory.store"]


def test_every_kind_is_listed_and_has_a_class():
    folders = {path.parent.name for path in Path(backends.__path__[0]).glob("*/store.py")}
    assert len(folders) > 6
    said = {}
    for folder in folders:
        said |= import_module(f"ipldstore.backends.{folder}.kind").KINDS
    assert said == registry._KINDS
    for kind in said.values():
        assert issubclass(resolve_name(kind.home), ContentAddressableStore)


def test_url_is_no_block_store():
    store = ipldstore.IPLDStore()
    root = store.freeze()
    for call in (
        lambda: ipldstore.IPLDStore("memory:"),
        lambda: ipldstore.verify(store, repair_from="memory:"),
        lambda: ipldstore.copy_root(root, "memory:", store.backend),
        lambda: ipldstore.copy_root(root, store.backend, "memory:"),
        lambda: ipldstore.copy(store, "memory:"),
        lambda: ipldstore.copy("memory:", store, root=root),
        lambda: ipldstore.CachingCAStore("memory:", store.backend),
        lambda: ipldstore.UnionCAStore(store.backend, "memory:"),
    ):
        with pytest.raises(TypeError, match=r"not .*(str|blocks).* open_block_store\(URL\)"):
            call()
