"""The command line on nodes and gateways: blocks there, publishing, pins and names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from node import Node
from typer.testing import CliRunner

from ipldstore import IPFSStore
from ipldstore.backends.directory.store import DirectoryCAStore
from ipldstore.cli.app import app
from ipldstore.cli.tools.blocks import open_blocks

# the classic example of the format's documentation, whose root is fixed there
ROOT = "bafyreidn66mk3fktszrfwayonvpq6y3agtnb5e5o22ivof5tgikbxt7k6u"
FILES = {
    ".zgroup": b'{"zarr_format": 2}',
    ".zattrs": b"{}",
    "a/.zarray": b'{"shape": [3], "chunks": [3], "dtype": "<i8", "fill_value": null, '
    b'"order": "C", "filters": null, "compressor": null, '
    b'"zarr_format": 2}',
    "a/.zattrs": b'{"_ARRAY_DIMENSIONS": ["a"]}',
    "a/0": b"".join(number.to_bytes(8, "little") for number in (1, 2, 3)),
}
ABSENT = "bafyreieyzoqqgs3l3tinb3llbqke53v2i52plrc67tdqih2ddciwjaqrh4"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A node of these tests that is offline."""
    with Node(tmp_path_factory.mktemp("cli") / "target", offline=True) as node:
        yield node


@pytest.fixture(autouse=True)
def workplace(tmp_path, target, monkeypatch):
    """An empty folder but for a Zarr folder, from where the local node is `target`."""
    place = tmp_path / "place"
    for name, data in FILES.items():
        path = place / "data.zarr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    monkeypatch.chdir(place)
    monkeypatch.delenv("IPLDSTORE_BLOCKS", raising=False)
    monkeypatch.delenv("IPFS_API", raising=False)
    monkeypatch.setenv("IPFS_PATH", str(target.path))
    return place


@pytest.fixture
def call():
    """Call a command and return its result, whose exit code has to be as expected."""

    def call(*arguments, code=0, **options):
        result = CliRunner().invoke(app, list(map(str, arguments)), **options)
        assert result.exit_code == code, result.stderr
        return result

    return call


def stores(node):
    """The ways to say that blocks are in a node."""
    return ["ipfs:", f"ipfs:{node.api}", f"ipfs+{node.url}", f"ipfs:{node.url}"]


def pinned(node):
    return node.run("pin", "ls", "--type=recursive", "--names").decode()


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_put_to_a_node_and_read_from_it(call, target, workplace):
    for number, store in enumerate(stores(target)):
        put = call("put", "data.zarr", "--blocks", store)
        assert put.stdout == f"{ROOT}\n"
        assert put.stderr.endswith(f"of 'data.zarr' into IPFSStore('{target.url}')\n")
        listing = call("ls", "-R", f"ipfs://{ROOT}/a", "--blocks", store).stdout
        assert "chunk               24 0\n" in listing
        got = call("get", ROOT, f"back{number}", "--blocks", store)
        assert f"IPFSStore('{target.url}'), in 'back{number}'" in got.stderr
        assert (workplace / f"back{number}/a/0").read_bytes() == FILES["a/0"]
        assert tree(workplace / f"back{number}").keys() == FILES.keys()
    assert target.run("dag", "get", ROOT).startswith(b'{".zattrs":{}')


def test_archives_go_to_a_node_and_come_from_it(call, target):
    call("put", "data.zarr")
    archive = call("export", ROOT).stdout_bytes
    assert len(archive) == 356
    imported = call("import", "--blocks", "ipfs:", input=archive)
    assert imported.stdout == f"{ROOT}\n"
    exported = call("export", f"/ipfs/{ROOT}", "-", "--blocks", "ipfs:")
    assert exported.stdout_bytes == archive
    assert target.run("dag", "export", ROOT)[-100:] == archive[-100:]


def test_reading_through_gateways(call, target, workplace):
    call("put", "data.zarr", "--blocks", "ipfs:")
    store = f"gateway+{target.gateway}"
    assert " .zgroup\n" in call("ls", ROOT, "--blocks", store).stdout
    call("get", ROOT, "back", "--blocks", f"{store},http://127.0.0.1:9")
    assert (workplace / "back/a/0").read_bytes() == FILES["a/0"]
    assert len(call("export", ROOT, "--blocks", store).stdout_bytes) == 356
    refused = call("put", "data.zarr", "--blocks", store, code=1)
    assert refused.stdout == ""


def test_what_is_no_hierarchy_is_not_published(call, target, workplace):
    folder = str(workplace / "data.zarr")
    plain = target.run("add", "-Qr", "--cid-version=1", folder).decode().strip()
    (workplace / "plain.car").write_bytes(target.run("dag", "export", plain))
    refused = call("publish", "plain.car", code=4)
    assert "a UnixFS directory of Zarr files becomes a hierarchy by" in refused.stderr
    assert refused.stdout == ""


def test_netcdf_goes_to_a_node_and_comes_back(call, target):
    pytest.importorskip("netCDF4")
    import numpy as np
    import xarray as xr

    rain = xr.Dataset({"rain": (("day", "place"), np.arange(1000.0).reshape(100, 10))})
    rain.to_netcdf("rain.nc", engine="netcdf4")
    root = call("put", "rain.nc", "--blocks", "ipfs:").stdout.strip()
    published = call("publish", root, "--name", "rain", "--blocks", "ipfs:")
    assert "sent 0 blocks" in published.stderr
    for number, store in enumerate(["ipfs:", f"gateway+{target.gateway}"]):
        call("get", root, f"back{number}.nc", "--blocks", store)
        with xr.open_dataset(f"back{number}.nc", engine="netcdf4") as back:
            assert back.identical(rain)


def test_publish_from_a_folder(call, target):
    call("put", "data.zarr")
    first = call("publish", ROOT, "--name", "classic data", "--key", "cli")
    assert first.stdout == f"{ROOT}\n"
    lines = first.stderr.splitlines()
    assert lines[0].startswith("sent ")
    assert lines[1] == "pinned as 'classic data'"
    assert lines[2].startswith("not announced: ")
    name = lines[3].split()[0]
    assert lines[3] == f"{name} points at it"
    assert lines[5] == f"  ipldstore get {ROOT} dataset.nc --blocks ipfs:"
    assert f"{ROOT} recursive classic data" in pinned(target)
    assert target.run("name", "resolve", name.removeprefix("ipns://")).decode().strip() == (
        f"/ipfs/{ROOT}"
    )
    again = call("publish", ROOT, "--no-announce", "--node", target.url)
    assert "sent 0 blocks, 0 bytes; the node had 2 already" in again.stderr
    assert "announced" not in again.stderr
    assert "chunk" in call("ls", f"{name}/a", "--blocks", "ipfs:").stdout


def test_publish_in_the_place_of_another(call, target, workplace):
    call("put", "data.zarr", "--blocks", "ipfs:")
    call("publish", ROOT, "--name", "moving", "--blocks", "ipfs:")
    (workplace / "data.zarr/a/0").write_bytes(b"changed!" * 3)
    root = call("put", "data.zarr").stdout.strip()
    call("publish", root, "--replace", ROOT)
    assert f"{root} recursive moving" in pinned(target)
    assert ROOT not in pinned(target)
    failed = call("publish", root, "--replace", ROOT, code=5)
    assert "is not pinned" in failed.stderr


def test_pins(call, target, workplace):
    call("put", "data.zarr", "--blocks", "ipfs:")
    added = call("pin", "add", ROOT, "--name", "by hand")
    assert added.stderr == f"pinned {ROOT}\n"
    assert f"{ROOT} by hand\n" in call("pin", "ls").stdout
    assert call("pin", "ls", "--name", "by hand", "--node", target.api).stdout == (
        f"{ROOT} by hand\n"
    )
    (workplace / "data.zarr/a/0").write_bytes(b"another!" * 3)
    root = call("put", "data.zarr", "--blocks", "ipfs:").stdout.strip()
    call("pin", "update", ROOT, f"ipfs://{root}")
    assert call("pin", "ls", "--name", "by hand").stdout == f"{root} by hand\n"
    call("pin", "rm", root)
    assert call("pin", "ls", "--name", "by hand").stdout == ""
    assert "not pinned" in call("pin", "rm", root, code=5).stderr
    assert "could not find" in call("pin", "add", ABSENT, code=3).stderr


def test_pins_of_a_service(call, target):
    from pinning_service import PinningService

    call("put", "data.zarr", "--blocks", "ipfs:")
    with PinningService("secret") as service, IPFSStore(target.url) as node:
        node.pins.add_service("cli", service.url, "secret")
        service.status = "queued"
        added = call("pin", "add", ROOT, "--service", "cli", "--name", "far")
        assert added.stderr == f"queued by 'cli': {ROOT}\n"
        assert call("pin", "ls", "--service", "cli").stdout == f"{ROOT} queued  far\n"
        call("pin", "rm", ROOT, "--service", "cli")
        assert service.pins() == []
        assert "service not known" in call("pin", "ls", "--service", "none", code=5).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", ABSENT, "--blocks", "ipfs:http://127.0.0.1:9"],
        ["put", "data.zarr", "--blocks", "ipfs+http://127.0.0.1:9"],
        ["ls", ABSENT, "--blocks", "gateway+http://127.0.0.1:9"],
        ["pin", "ls", "--node", "/ip4/127.0.0.1/tcp/9"],
        ["publish", ABSENT, "--blocks", "ipfs:127.0.0.1:9"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_nobody_there(call, arguments):
    result = call(*arguments, code=5)
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_a_root_that_is_not_there(call, target):
    for store in ("ipfs:", f"gateway+{target.gateway}"):
        assert call("ls", ABSENT, "--blocks", store, code=3).stdout == ""
    call("put", "data.zarr")
    assert "no block" in call("publish", ABSENT, code=3).stderr


def test_names_need_a_node(call):
    call("put", "data.zarr")
    refused = call("ls", "ipns://example.org", code=2).stderr
    assert "'ipns://example.org': names need blocks in an IPFS node" in refused
    unknown = "ipns://k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
    failed = call("ls", unknown, "--blocks", "ipfs:", code=5)
    assert "could not resolve name" in failed.stderr


@pytest.mark.parametrize(
    "place",
    [
        "s3:bucket",
        "http://127.0.0.1:5001",
        "ipfs://bafy",
        "ipfs+ftp://127.0.0.1",
        "gateway:example.org",
        "gateway+ipfs:",
        "file:blocks",
        "ipfs+:x",
    ],
)
def test_unknown_kinds_of_stores(call, place):
    for command in (["ls", ROOT], ["put", "data.zarr"]):
        result = call(*command, "--blocks", place, code=2)
        said = " ".join(result.stderr.replace("│", " ").split())
        assert "expected a folder, ipfs:" in said
        assert "gateway+https://HOST" in said


@pytest.mark.parametrize("place", ["ipfs:/ip4/nonsense", "ipfs+http://", "ipfs:/unix/socket"])
def test_malformed_addresses(call, place):
    assert "malformed address" in call("ls", ROOT, "--blocks", place, code=2).stderr
    assert "malformed" in call("pin", "ls", "--node", place[5:], code=2).stderr


def test_folders_with_odd_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("c:blocks", "C:\\blocks", "./s3:bucket", "plain", "sub/ipfs:", "A+B:c"):
        with open_blocks(place, make=True) as store:
            assert isinstance(store, DirectoryCAStore)
            assert store.path == (tmp_path / place).absolute()
    with pytest.raises(FileNotFoundError, match="no folder of blocks 'absent'"):
        open_blocks("absent")


def test_json(call, target, tmp_path, start_node):
    schemas = Path(__file__).parents[3] / "docs" / "reference" / "json"

    def facts(schema, *arguments):
        lines = call(*arguments, "--json").stdout.splitlines()
        validator = Draft202012Validator(json.loads((schemas / f"{schema}.json").read_text()))
        for line in lines:
            validator.validate(json.loads(line))
        return [json.loads(line) for line in lines]

    call("put", "data.zarr")
    (published,) = facts("publish", "publish", ROOT, "--name", "in JSON", "--key", "json")
    assert published["root"] == ROOT
    assert published["announced"] is False
    assert published["ipns"].startswith("k51")
    (pin,) = facts("pin-ls", "pin", "ls", "--name", "in JSON")
    assert pin == {"cid": ROOT, "name": "in JSON", "status": "pinned"}
    call("unixfs", ROOT, "--blocks", "ipfs:")
    (made,) = facts("unixfs", "unixfs", ROOT, "--blocks", "ipfs:")
    assert target.run("cat", f"{made['cid']}/a/0") == FILES["a/0"]
    assert facts("pin-add", "pin", "add", made["cid"])[0]["status"] == "pinned"
    (updated,) = facts("pin-update", "pin", "update", made["cid"], ROOT)
    assert updated == {"old": made["cid"], "new": ROOT, "name": None}
    assert facts("pin-rm", "pin", "rm", ROOT) == [{"cid": ROOT}]
    node = start_node("json", offline=True)
    node.stop()
    (attached,) = facts("node-attach", "node", "attach", node.path, "--blocks", "blocks")
    assert attached["copied"] > 0


def test_parts_and_archives_are_published(call, target):
    call("put", "data.zarr")
    call("export", ROOT, "x.car")
    part = call("publish", "x.car/a", "--name", "a part").stdout.strip()
    assert part != ROOT
    assert f"{part} recursive a part" in pinned(target)
    assert call("cat", f"{part}/0", "--blocks", "ipfs:").stdout_bytes == FILES["a/0"]
    assert call("publish", f"{ROOT}/a", "--name", "again").stdout.strip() == part
    assert call("pin", "rm", "x.car", code=5).stdout == ""
    assert call("publish", "x.car").stdout == f"{ROOT}\n"
    assert call("pin", "rm", "x.car").stderr == f"no longer pinned: {ROOT}\n"


def test_a_repository_is_attached(call, tmp_path, start_node):
    node = start_node("attached", offline=True)
    node.stop()
    call("put", "data.zarr")
    said = call("node", "attach", node.path, "--blocks", "blocks")
    assert "ipfs pin add CID" in said.stdout
    node.start()
    assert node.run("block", "get", ROOT)
    node.stop()


def test_help_is_light():
    code = (
        "import sys\nfrom ipldstore.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    for arguments in (["--help"], ["publish", "--help"], ["pin", "--help"], ["node", "--help"]):
        run = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert "Usage: ipldstore" in run.stdout
        heavy = {"requests", "aiohttp", "asyncio", "zarr", "numpy", "rich", "multiformats"}
        assert heavy.isdisjoint(run.stderr.split())
