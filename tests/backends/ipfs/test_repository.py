"""A real node on the folder of a `DirectoryCAStore`: serving, pinning, collecting, refusing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import xarray
from kubo import Repository
from node import Node

from ipldstore import BackendError, BlockNotFoundError, DirectoryCAStore, IPLDStore
from ipldstore.backends.ipfs.repository import attach_repository
from ipldstore.cid import as_link, make_link, to_text
from ipldstore.cli.commands.node import attach

CHUNKS = 1024 if os.environ.get("IPLDSTORE_LARGE") == "1" else 64
CHUNK = 1 << 20
ODD_NAME = 'tom & "ann" <blöcke>\u2028'


@pytest.fixture
def store(tmp_path):
    return DirectoryCAStore(tmp_path / "folder")


@pytest.fixture
def attached(tmp_path, store):
    """A node that is set up on the store's folder, and not started."""
    node = Node(tmp_path / "attached")
    attach_repository(node.path, store.path)
    return node


def write_dataset(store):
    mapper = IPLDStore(store)
    numbers = numpy.arange(4000, dtype="f8").reshape(40, 100)
    dataset = xarray.Dataset({"t": (("y", "x"), numbers)}, attrs={"title": "wärme"})
    dataset.to_zarr(mapper, encoding={"t": {"chunks": (7, 100)}})
    return dataset, str(mapper.freeze())


def write_large(store):
    mapper = IPLDStore(store)
    noise = os.urandom(CHUNK - 8)
    for number in range(CHUNKS):
        mapper[f"a/{number}"] = number.to_bytes(8, "big") + noise
    return str(mapper.freeze())


def sizes(folder):
    """Map the files in a folder, and the folders that are empty, to their bytes."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[str(path.relative_to(folder))] = path.stat().st_size
        elif not any(path.iterdir()):
            found[f"{path.relative_to(folder)}/"] = 0
    return found


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "repo.lock")
    return {path: path.read_bytes() for path in files}


def block_spec(node, file="config"):
    value = json.loads((node.path / file).read_text())
    value = value["Datastore"]["Spec"] if file == "config" else value
    return next(mount for mount in value["mounts"] if mount["mountpoint"] == "/blocks")


def test_a_node_serves_the_folder_without_a_copy(tmp_path, store, start_node):
    root = write_large(store)
    large = [size for name, size in sizes(store.path).items() if name.endswith(".data")]
    dataset, dataset_root = write_dataset(store)
    before = sizes(store.path)
    node = Node(tmp_path / "attached")
    own_blocks = {name for name in sizes(node.blocks) if name.endswith(".data")}
    assert attach_repository(node.path, store.path) == len(own_blocks)
    other = start_node("other")
    with node:
        node.run("pin", "add", root)
        node.run("pin", "add", dataset_root)
        other.connect(node)
        other.run("pin", "add", root)
        archive = other.run("dag", "export", dataset_root)
        stat = json.loads(other.run("dag", "stat", "--progress=false", "--enc=json", root))
    assert xarray.open_zarr(IPLDStore.from_car(archive)).identical(dataset)
    assert (stat["UniqueBlocks"], stat["TotalSize"]) == (len(large), sum(large))
    assert len(large) > CHUNKS

    after = sizes(store.path)
    new = {name: size for name, size in after.items() if name not in before}
    assert set(new) == {".temp/", "diskUsage.cache"} | own_blocks
    assert sum(new.values()) < 1000
    assert {name: after.get(name) for name in before} == before
    kept = sum(sizes(node.path).values())
    print(f"{len(before)} files, {sum(before.values())} bytes; the node added {new}")
    print(f"the node's repository holds {kept} bytes")
    assert kept < 1 << 20, "blocks went into the repository"


def test_blocks_written_while_the_node_runs_are_seen_after_it_denied_them(
    attached, store, start_node
):
    data = b"not there yet"
    cid = to_text(make_link(data))
    other = start_node("other")
    with attached as node:
        other.connect(node)
        assert b"not found" in node.attempt("--offline", "block", "get", cid).stderr
        assert other.attempt("--timeout=1s", "block", "get", cid).returncode != 0
        store.put_raw(data, "raw")
        assert node.run("--offline", "block", "get", cid) == data
        assert other.run("block", "get", cid) == data

        dataset, root = write_dataset(store)
        node.run("pin", "add", root)
        archive = other.run("dag", "export", root)
    assert xarray.open_zarr(IPLDStore.from_car(archive)).identical(dataset)


def test_with_its_usual_cache_a_node_goes_on_denying_such_blocks(attached, store):
    attached.configure({"Datastore": {"BlockKeyCacheSize": None}})
    cid = to_text(make_link(b"late"))
    with attached as node:
        assert b"not found" in node.attempt("--offline", "block", "get", cid).stderr
        store.put_raw(b"late", "raw")
        assert b"not found" in node.attempt("--offline", "block", "get", cid).stderr


def test_what_the_node_writes_is_in_the_folder(attached, store):
    with attached as node:
        cid = node.put_block(b"from the node")
        assert store.get_block(cid) == b"from the node"


def test_collecting_garbage_deletes_what_is_not_pinned(attached, store):
    dataset, root = write_dataset(store)
    loose = as_link(store.put_raw(b"loose", "raw"))
    with attached as node:
        node.run("pin", "add", root)
        removed = node.run("repo", "gc", "--quiet").decode().split()
    assert to_text(loose) in removed
    with pytest.raises(BlockNotFoundError):
        store.get_block(loose)
    assert xarray.open_zarr(IPLDStore(store, root=root)).identical(dataset)


def test_blocks_of_the_node_are_copied_and_stay(tmp_path, store):
    node = Node(tmp_path / "node")
    cids = [node.put_block(b"mine", *kind) for kind in ([], ["--mhtype=blake2b-256"])]
    files = contents(node.blocks)
    copied = attach_repository(node.path, store.path)
    assert copied == sum(path.suffix == ".data" for path in files)
    assert contents(node.blocks) == files
    shutil.rmtree(node.blocks)
    for cid in cids:
        assert store.get_block(cid) == node.get_block(cid) == b"mine"


def test_the_configuration_changes_in_three_places_and_once(tmp_path, store):
    node = Node(tmp_path / "node", {"Gateway": {"RootRedirect": "/a?b=1&c=<ü>"}})
    file = node.path / "config"
    expected = json.loads(file.read_text())
    mode = file.stat().st_mode
    assert mode & 0o777 == 0o600
    attach_repository(node.path, store.path)

    expected["Datastore"] |= {"BlockKeyCacheSize": 0, "BloomFilterSize": 0}
    expected["Datastore"]["Spec"]["mounts"][0]["path"] = str(store.path)
    assert json.loads(file.read_text()) == expected
    assert file.stat().st_mode == mode
    status, after = file.stat(), contents(node.path)
    assert attach_repository(node.path, store.path) == 0
    assert contents(node.path) == after
    assert file.stat().st_mtime_ns == status.st_mtime_ns


@pytest.mark.parametrize("name", ["config", "datastore_spec"])
def test_an_interrupted_change_is_completed(tmp_path, store, name):
    node = Node(tmp_path / "node")
    cid = node.put_block(b"mine")
    old = (node.path / name).read_bytes()
    attach_repository(node.path, store.path)
    (node.path / name).write_bytes(old)
    assert b"does not match what is on disk" in node.attempt("repo", "stat").stderr
    attach_repository(node.path, store.path)
    assert node.get_block(cid) == b"mine"


def test_kubo_accepts_the_spec_whatever_the_name_of_the_folder(tmp_path):
    node, folder = Node(tmp_path / "node"), DirectoryCAStore(tmp_path / ODD_NAME)
    attach_repository(node.path, folder.path)
    cid = node.put_block(b"x")
    assert folder.get_block(cid) == b"x"


def test_a_measured_datastore_is_attached_too(tmp_path, store):
    node = Node(tmp_path / "node", profile="test,flatfs-measure")
    assert block_spec(node)["type"] == "measure"
    attach_repository(node.path, store.path)
    assert store.get_block(node.put_block(b"x")) == b"x"


def test_a_node_goes_back_to_its_own_folder(attached, store):
    before = sizes(store.path)
    cid = to_text(store.put_raw(b"kept in both", "raw"))
    assert attach_repository(attached.path, attached.blocks) == 1
    assert (
        block_spec(attached)["path"] == block_spec(attached, "datastore_spec")["path"] == "blocks"
    )
    assert attached.get_block(cid) == b"kept in both"
    assert before.keys() <= sizes(store.path).keys()


def test_a_killed_node_counts_as_stopped(attached, store, tmp_path):
    attached.start()
    attached.kill()
    assert (attached.path / "repo.lock").exists()
    attach_repository(attached.path, DirectoryCAStore(tmp_path / "second").path)
    assert block_spec(attached)["path"] == str(tmp_path / "second")


def test_the_command_says_what_to_do_next(tmp_path, store, capsys):
    node = Repository(tmp_path / "my node")
    attach(node.path, store.path)
    said = capsys.readouterr()
    lines = [f"IPFS_PATH='{node.path}' ipfs daemon", f"IPFS_PATH='{node.path}' ipfs pin add CID"]
    assert said.out.splitlines() == lines
    assert f"now keeps its blocks in {str(store.path)!r}" in said.err


def assert_refused(node, folder, message):
    before = contents(node)
    with pytest.raises(BackendError, match=message) as caught:
        attach_repository(node, folder)
    assert contents(node) == before
    return caught.value


def test_what_is_no_repository_is_refused(tmp_path, store):
    (tmp_path / "empty").mkdir()
    assert_refused(tmp_path / "empty", store.path, "is no IPFS repository.*`ipfs init`")
    assert_refused(tmp_path / "nowhere", store.path, "is no IPFS repository.*`ipfs init`")
    (tmp_path / "empty" / "config").write_text("{}")
    assert_refused(tmp_path / "empty", store.path, "No such file.*datastore_spec")


@pytest.mark.skipif(sys.platform == "win32", reason="the node locks in another way")
def test_a_running_node_is_refused(store, start_node):
    node = start_node()
    file = node.path / "config"
    before = file.read_bytes()
    with pytest.raises(BackendError, match="is in use: stop the node") as caught:
        attach_repository(node.path, store.path)
    assert caught.value.retryable
    assert file.read_bytes() == before
    assert node.run("id")


@pytest.mark.parametrize("profile", ["badgerds", "pebbleds"])
def test_another_kind_of_block_store_is_refused(tmp_path, store, profile):
    node = Repository(tmp_path / "node", profile=f"test,{profile}")
    assert_refused(node.path, store.path, "expected the blocks in a datastore of type flatfs")


@pytest.mark.parametrize("name", ["config", "datastore_spec"])
def test_another_shard_function_is_refused(tmp_path, store, name):
    node = Repository(tmp_path / "node")
    file = node.path / name
    file.write_text(file.read_text().replace("next-to-last/2", "prefix/5"))
    assert_refused(node.path, store.path, "next-to-last/2, found '/repo/flatfs/shard/v1/prefix/5'")


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff"])
def test_a_damaged_configuration_is_refused(tmp_path, store, text):
    node = Repository(tmp_path / "node")
    (node.path / "config").write_bytes(text)
    assert_refused(node.path, store.path, "is not JSON|expected a JSON object")


def test_folders_that_hold_no_blocks_are_refused(tmp_path):
    node = Repository(tmp_path / "node")
    folder = tmp_path / "folder"
    assert_refused(node.path, folder, "there is no folder of blocks")
    assert not folder.exists()
    folder.mkdir()
    (folder / "SHARDING").write_text("/repo/flatfs/shard/v1/prefix/5\n")
    assert_refused(node.path, folder, "expected '/repo/flatfs/shard/v1/next-to-last/2'")
    (folder / "SHARDING").rename(folder / "letter.txt")
    assert_refused(node.path, folder, "is not empty and holds no SHARDING file")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_a_folder_whose_name_is_no_text_is_refused(tmp_path):
    node = Repository(tmp_path / "node")
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    assert_refused(node.path, folder, "is not Unicode")


def test_a_damaged_block_of_the_node_is_refused(tmp_path, store):
    node = Repository(tmp_path / "node")
    node.put_block(b"good")
    next(node.blocks.glob("??/*.data")).write_bytes(b"bad")
    assert_refused(node.path, store.path, "cannot copy the node's block.*hash to another CID")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, store):
    node = Repository(tmp_path / "node")
    before = contents(node.path)
    os.chmod(store.path, 0o555)
    script = "import sys; from ipldstore.backends.ipfs.repository import attach_repository as a; "
    command = [sys.executable, "-c", script + "a(*sys.argv[1:])", str(node.path), str(store.path)]
    result = subprocess.run(as_mere_owner(command), capture_output=True, text=True, check=False)
    os.chmod(store.path, 0o755)
    assert "BackendError: cannot attach" in result.stderr
    assert "Permission denied" in result.stderr
    assert contents(node.path) == before


def as_mere_owner(command):
    """Take root's power to write where the mode forbids it from a command."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return command
    if not Path("/usr/bin/setpriv").exists():
        pytest.skip("root may write everywhere, and there is no setpriv")
    return ["setpriv", "--bounding-set=-dac_override", *command]


def test_a_node_leaves_pointers_alone(attached, store):
    kept, collected = as_link(store.put(b"kept")), as_link(store.put(b"collected"))
    store.swap_pointer("default", None, collected)
    store.swap_pointer("default", collected, kept)
    before = contents(store.path / "ipldstore")
    assert len(before) == 2
    with attached:
        attached.run("pin", "add", to_text(kept))
        attached.run("repo", "verify")
        attached.run("repo", "gc")
    assert collected not in store
    assert contents(store.path / "ipldstore") == before
    assert store.get_block(store.read_pointer("default")) == b"kept"
