"""Commands whose streams are full, pipes or devices, and archives that are written over."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import ipldstore

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="no pipes by name there"),
]


@pytest.fixture
def root(workplace):
    store = ipldstore.IPLDStore(ipldstore.DirectoryCAStore("blocks"))
    store["zarr.json"], store["a/c/0"] = b'{"zarr_format":3}', b"chunk"
    return str(store.freeze())


@pytest.fixture
def archive(root):
    return ipldstore.open(root, "blocks").to_car()


def shell(line):
    """Run the program as a shell does."""
    program = f'"{sys.executable}" -m ipldstore {line}'
    return subprocess.run(["bash", "-c", program], check=False, capture_output=True, text=True)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("streams", ["2>/dev/full", "<&- 2>/dev/full", "2>&-"])
def test_what_was_done_counts_when_notes_go_nowhere(archive, root, streams):
    Path("a.car").write_bytes(archive)
    done = shell(f"import a.car --blocks other {streams}")
    assert (done.returncode, done.stdout) == (0, f"{root}\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_an_error_that_cannot_be_said_keeps_its_exit_code(root):
    assert shell("ls bafyx 2>/dev/full").returncode == shell("ls bafyx").returncode != 0
    assert shell(f"ls {root} >/dev/full").returncode == 1


def test_through_pipes_with_names(archive, root, call):
    os.mkfifo("out")
    os.mkfifo("in")
    read = []
    reader = threading.Thread(target=lambda: read.append(Path("out").read_bytes()))
    reader.start()
    assert call("export", root, "out").code == 0
    reader.join()
    assert read == [archive]
    assert Path("out").is_fifo()
    writer = threading.Thread(target=lambda: Path("in").write_bytes(archive))
    writer.start()
    imported = call("import", "in", "--blocks", "other")
    writer.join()
    assert imported.out.decode() == f"{root}\n"


def test_export_writes_over_when_told(archive, root, call):
    Path("a.car").write_bytes(b"mine")
    refused = call("export", root, "a.car")
    assert refused.code != 0
    assert "--overwrite" in refused.err
    assert Path("a.car").read_bytes() == b"mine"
    assert call("export", root, "a.car", "--overwrite").code == 0
    assert Path("a.car").read_bytes() == archive
    Path("folder").mkdir()
    assert "is a folder" in call("export", root, "folder", "--overwrite").err


def test_to_car_writes_over_when_told(archive, root):
    store = ipldstore.open(root, "blocks")
    Path("a.car").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        store.to_car("a.car")
    assert Path("a.car").read_bytes() == b"mine"
    store.to_car("a.car", overwrite=True)
    assert Path("a.car").read_bytes() == archive
    with pytest.raises(IsADirectoryError):
        store.to_car("blocks", overwrite=True)
    with pytest.raises(FileNotFoundError, match="no folder"):
        store.to_car("no/folder/a.car")
    assert sorted(os.listdir()) == ["a.car", "blocks"]


def test_an_archive_that_an_earlier_store_writes_to():
    first = ipldstore.CARStore("a.car")
    first.put(b"block")
    with pytest.raises(ipldstore.BackendError, match=r"close\(\)"):
        ipldstore.CARStore("a.car").put(b"other")
    first.close()
    ipldstore.CARStore("a.car").put(b"other")
