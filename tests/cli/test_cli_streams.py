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
    # as most have it: what is written is held back
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", program], check=False, capture_output=True, text=True, env=env
    )


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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_output_that_cannot_be_written_is_not_taken_for_the_blocks(archive):
    Path("a.car").write_bytes(archive)
    done = shell("import a.car --blocks other >/dev/full")
    assert done.returncode == 1
    assert done.stderr.endswith("cannot write to standard output: No space left on device\n")


@pytest.mark.parametrize("streams", ["<&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_number_of_a_stream_that_was_closed(streams):
    """Else what a library in C writes to its standard error would go into the file."""
    Path("program.py").write_text(
        "import os\n"
        "import ipldstore.cli.app\n"
        "def work(**_):\n"
        "    file = open('opened', 'w')\n"
        "    os.write(2, b'panic')\n"
        "    return file.fileno()\n"
        "ipldstore.cli.app.app = work\n"
        "ipldstore.cli.main()\n"
    )
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" program.py {streams}'], check=False, capture_output=True
    )
    assert done.returncode > 2, "the exit code is the number that the file got"
    assert Path("opened").read_bytes() == b""


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
    Path("link.car").symlink_to("a.car")
    assert call("export", root, "link.car").code != 0
    assert call("export", root, "link.car", "--overwrite").code == 0
    assert Path("link.car").is_symlink()
    assert "is a URL: name a FILE" in call("export", root, "s3://bucket/a.car").err


def test_what_is_no_archive_is_named(call):
    Path("page.car").write_bytes(b"<html></html>")
    for command in ("import", "ls"):
        outcome = call(command, "page.car")
        assert (outcome.code, outcome.out) == (4, b"")
        assert "no CAR archive: it looks like HTML" in outcome.err
        assert "page.car" in outcome.err
    Path("empty.car").touch()
    assert "an empty file, expected a CAR archive" in call("ls", "empty.car").err


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
