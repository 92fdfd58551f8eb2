"""`put` of files at URLs: what servers answer, what is shown of it, and what is left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from web_server import PAGE, Web, serving_files
from zarr_folders import CLASSIC_FILES, CLASSIC_ROOT, write_files

from ipldstore.cli.sources.download import fetched

pytest.importorskip("xarray")

PROGRAM = [sys.executable, "-m", "ipldstore"]
SECRET = "a-signature"
DEADLINE = 30


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, which is empty before and after."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def web(scratch: Path) -> Iterator[Web]:
    """A server of the working folder, in which there is an array."""
    np.save("a b.npy", np.arange(3))
    with serving_files(Path.cwd()) as server:
        yield server
    assert os.listdir(scratch) == []


def test_the_same_root_as_from_here(call: Any, web: Web) -> None:
    here = call("put", "a b.npy").out
    for url in (f"{web.url}/a%20b.npy", f"{web.url}/to/a%20b.npy", f"{web.url}/to/to/a%20b.npy"):
        there = call("put", url)
        assert (there.code, there.out) == (0, here)
        assert there.err.startswith(f"put 152 bytes of '{url}' into 2 blocks")


def test_a_body_that_broke_off_is_fetched_again_from_its_beginning(call: Any, web: Web) -> None:
    assert call("put", f"{web.url}/once/a%20b.npy").out == call("put", "a b.npy").out


def test_the_name_in_a_url_is_that_of_the_group(call: Any, web: Web) -> None:
    np.save("c.npy", np.arange(3))
    both = call("put", "c.npy", f"{web.url}/a%20b.npy?x=1.nc")
    listed = call("ls", both.out.decode().strip(), "--json").out.splitlines()
    assert {"a b", "c"} <= {json.loads(line)["name"] for line in listed}


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("404.nc", 3, "HTTP status 404, there is no such file"),
        ("410.nc", 3, "HTTP status 410, there is no such file"),
        ("401.nc", 1, "HTTP status 401: it wants credentials"),
        ("403.npy", 1, "HTTP status 403: it wants credentials"),
        ("500.nc", 5, "HTTP status 500"),
        ("204.nc", 5, "HTTP status 204"),
        ("206.nc", 5, "HTTP status 206"),
        ("page.nc", 1, "is HTML, which begins with '<!DOCTYPE html>'"),
        ("page", 1, "is HTML, which begins with '<!DOCTYPE html>'"),
        ("short.nc", 5, "4 bytes came of 5,000"),
        ("long.nc", 1, "is HTML, which begins with"),
        ("loop.nc", 1, "leads from one URL to another, 10 times"),
        ("away/x.nc", 1, "leads to 'file:///etc/hostname', which is not followed"),
        ("nothing", 3, "HTTP status 404, there is no such file"),
        ("nothing.zarr", 3, "no Zarr metadata at"),
        ("403.zarr", 1, "HTTP status 403: it wants credentials"),
        ("500.zarr", 5, "HTTP status 500"),
    ],
)
def test_what_servers_answer(path: str, code: int, said: str, call: Any, web: Web) -> None:
    done = call("put", f"{web.url}/{path}?token={SECRET}")
    assert (done.code, done.out, done.err.count("\n")) == (code, b"", 1), done.err
    assert said in done.err
    assert SECRET not in done.err
    assert not Path("blocks").exists()


def test_secrets_go_to_the_server_and_nowhere_else(call: Any, web: Web) -> None:
    address = web.url.removeprefix("http://")
    url = f"http://me:{SECRET}@{address}/a%20b.npy?sig={SECRET}"
    done = call("put", url, "--json")
    assert done.code == 0
    assert SECRET not in done.out.decode() + done.err
    assert f"sig={SECRET}" in web.asked[-1]
    assert "Authorization: Basic " in web.asked[-1]
    for scheme in ("http", "https", "s3"):
        malformed = call("put", f"{scheme}://me:{SECRET}@[::1/x.nc")
        assert malformed.code == 1
        assert "is no URL: Invalid IPv6 URL" in malformed.err
        assert SECRET not in malformed.err
    unknown = call("put", f"ftp://me:{SECRET}@example.org/x.nc")
    assert unknown.code == 1
    assert "names no source: expected a path" in unknown.err
    assert SECRET not in unknown.err


def test_a_server_that_is_not_there(call: Any, scratch: Path) -> None:
    for path in ("x.nc", "x.zarr", "x"):
        done = call("put", f"http://127.0.0.1:9/{path}")
        assert (done.code, done.out, done.err.count("\n")) == (5, b"", 1)
        assert "Connection refused" in done.err
    assert os.listdir(scratch) == []


def test_more_than_there_is_room_for(call: Any, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    done = call("put", f"{web.url}/a%20b.npy")
    assert done.code == 1
    assert "needs 152 bytes in " in done.err
    assert "has 100 bytes left: make room, or name another folder in TMPDIR" in done.err


def test_a_disk_that_fills_up(call: Any, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ipldstore.cli.sources.download._fetch_page", fail)
    done = call("put", f"{web.url}/a%20b.npy")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no room left for " in done.err


def test_a_broken_file_is_called_by_its_url(call: Any, web: Web) -> None:
    Path("x.npy").write_bytes(b"\x93NUMPY\1\0")
    done = call("put", f"{web.url}/x.npy")
    assert done.code == 1
    assert done.err.startswith(f"error: '{web.url}/x.npy' cannot be read as an array of NumPy")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let child processes be interrupted, which those of a background job or nohup are not."""
    handlers = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    before = {
        number: signal.signal(number, handler)
        for name, handler in handlers.items()
        if (number := getattr(signal, name, None)) is not None
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to one process there")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.usefixtures("interruptible")
def test_an_interruption_leaves_nothing(name: str, web: Web, scratch: Path) -> None:
    number = getattr(signal, name)
    with subprocess.Popen(
        [*PROGRAM, "put", f"{web.url}/stall.nc"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert web.stalled.wait(DEADLINE)
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (128 + number, b"")
    assert err == b"interrupted: blocks written so far stay, run the command again to go on\n"
    assert os.listdir(scratch) == []
    assert not Path("blocks").exists()


def test_a_name_is_as_long_as_a_file_may_have(web: Web, scratch: Path) -> None:
    with fetched(f"{web.url}/page.{'%E7%94%B2' * 200}x.nc") as path:
        assert path.name == "甲" * 32 + "x.nc"
        assert path.read_bytes() == PAGE


def test_file_urls_are_decoded(call: Any, workplace: Path) -> None:
    write_files(workplace / "a b%.zarr", CLASSIC_FILES)
    quoted = (workplace / "a b%.zarr").as_uri()
    assert "%20" in quoted
    for url in (quoted, quoted.replace("file://", "file:"), quoted.replace("file://", "FILE://")):
        assert call("put", url).out.decode().strip() == CLASSIC_ROOT
    assert call("put", quoted.replace("file:///", "file://localhost/")).code == 0
    done = call("put", "file://example.org/x.nc")
    assert done.code == 1
    assert "names a host: expected file:PATH or file:///PATH" in done.err
    assert call("get", CLASSIC_ROOT, f"{workplace.as_uri()}/c%20d.zarr").code == 0
    assert Path("c d.zarr").is_dir()


def test_home(call: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(workplace))
    write_files(workplace / "x.zarr", CLASSIC_FILES)
    assert call("put", "~/x.zarr").out.decode().strip() == CLASSIC_ROOT
    assert call("get", CLASSIC_ROOT, "~/y.zarr").code == 0
    assert Path("y.zarr").is_dir()
    missing = call("put", "~/z.zarr")
    assert missing == (3, b"", f"error: No such file or directory: '{workplace}/z.zarr'\n")
