"""What others named, published or sent: it steers no terminal, and costs what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from zarr_folders import ABSENT_ROOT, write_files

from ipldstore import DirectoryCAStore, IPLDStore
from ipldstore.cid import to_text
from ipldstore.cli.frame.escaping import EscapedStream, escaped_output
from ipldstore.formats import dagcbor

EVIL = "\x1b]0;pwned\x07\x1b[2J\x9b31m\r\x7f\u202e\u2066\x85 fine"
"""Control characters of C0 and C1, and what turns the direction of text."""

GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}
ARRAY = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [4],
    "data_type": "int32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
    "chunk_key_encoding": {"name": "default"},
    "fill_value": 0,
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    "dimension_names": ["x"],
    "attributes": {},
}
CLASSIC = {
    "zarr_format": 2,
    "shape": [4],
    "chunks": [2],
    "dtype": "<i4",
    "compressor": None,
    "fill_value": 0,
    "order": "C",
    "filters": None,
}
CONSOLIDATED = {
    "kind": "inline",
    "must_understand": False,
    "metadata": {EVIL: {**ARRAY, "data_type": EVIL}},
}

HOSTILE: dict[str, dict[str, Any]] = {
    "stray key": {"zarr.json": GROUP, f"{EVIL}/c/0": b"x"},
    "name": {"zarr.json": GROUP, f"{EVIL}/zarr.json": ARRAY},
    "type": {"zarr.json": GROUP, "a/zarr.json": {**ARRAY, "data_type": EVIL}},
    "named type": {
        "zarr.json": GROUP,
        "a/zarr.json": {**ARRAY, "data_type": {"name": EVIL, "configuration": {EVIL: 1}}},
    },
    "codec": {"zarr.json": GROUP, "a/zarr.json": {**ARRAY, "codecs": [{"name": EVIL}]}},
    "member": {"zarr.json": GROUP, "a/zarr.json": {**ARRAY, EVIL: 1}},
    "attributes": {
        "zarr.json": {**GROUP, "attributes": {EVIL: EVIL}},
        "a/zarr.json": {**ARRAY, "attributes": {EVIL: 1, "units": EVIL}},
    },
    "dimension": {"zarr.json": GROUP, "a/zarr.json": {**ARRAY, "dimension_names": [EVIL]}},
    "fill value": {"zarr.json": GROUP, "a/zarr.json": {**ARRAY, "fill_value": EVIL}},
    "grid": {"zarr.json": GROUP, "a/zarr.json": {**ARRAY, "chunk_grid": {"name": EVIL}}},
    "consolidated": {
        "zarr.json": {**GROUP, "consolidated_metadata": CONSOLIDATED},
        f"{EVIL}/zarr.json": ARRAY,
    },
    "compressor of format 2": {
        ".zgroup": {"zarr_format": 2},
        "a/.zarray": {**CLASSIC, "compressor": {"id": EVIL}},
        "a/.zattrs": {"_ARRAY_DIMENSIONS": ["x"]},
    },
    "type of format 2": {
        ".zgroup": {"zarr_format": 2},
        "a/.zarray": {**CLASSIC, "dtype": [[EVIL, "<i4"]]},
        "a/.zattrs": {"_ARRAY_DIMENSIONS": [EVIL]},
    },
    "lone surrogates": {
        "zarr.json": b'{"zarr_format":3,"node_type":"group","attributes":{"\\ud800":"\\udc9b"}}',
        "a/zarr.json": json.dumps({**ARRAY, "data_type": "\ud800"}).encode(),
    },
}


def encoded(files: dict[str, Any]) -> dict[str, bytes]:
    return {
        key: value if isinstance(value, bytes) else json.dumps(value).encode()
        for key, value in files.items()
    }


def put(files: dict[str, Any]) -> str:
    store = IPLDStore(DirectoryCAStore("blocks"))
    store.update(encoded(files))
    return str(store.freeze())


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "ipldstore", *arguments], capture_output=True, check=False
    )


def check(done: subprocess.CompletedProcess[bytes]) -> None:
    for written in (done.stdout, done.stderr):
        assert b"Traceback" not in written, written
        assert all(char.isprintable() or char == "\n" for char in written.decode()), written


@pytest.mark.parametrize("case", HOSTILE)
def test_getting_netcdf_of_a_stranger(case: str) -> None:
    pytest.importorskip("netCDF4")
    done = run("get", put(HOSTILE[case]), "out.nc")
    check(done)
    assert done.returncode in (0, 1)
    assert done.returncode == 0 or done.stderr.startswith(b"error: no NetCDF file can be made")


@pytest.mark.parametrize("case", HOSTILE)
def test_what_shows_a_hierarchy_of_a_stranger(call: Callable[..., Any], case: str) -> None:
    root, before = put(HOSTILE[case]), put({"zarr.json": GROUP})
    for arguments in (
        ["ls", "-lR", root],
        ["tree", root],
        ["info", root],
        ["diff", before, root],
        ["diff", before, root, "--stat"],
        ["verify", root],
        ["get", root, "folder"],
        ["unixfs", root],
        ["check-compression", root],
        ["ls", f"{root}/{EVIL}/nothing"],
        ["cat", f"{root}/{EVIL}/nothing"],
    ):
        for form in ([], ["--json"]):
            done = call(*arguments, *form)
            check(subprocess.CompletedProcess(arguments, done.code, done.out, done.err.encode()))
            for line in done.out.splitlines() if form and arguments[0] != "diff" else []:
                json.loads(line)


def test_putting_a_zarr_folder_of_a_stranger() -> None:
    files = {key: value for key, value in HOSTILE["name"].items() if "\r" not in key}
    write_files(Path("z"), encoded({**files, f"{EVIL}.json": b"", "zarr.json": GROUP}))
    check(run("put", "z"))


def test_putting_a_netcdf_file_of_a_stranger() -> None:
    netcdf4 = pytest.importorskip("netCDF4")
    with netcdf4.Dataset("x.nc", "w") as file:
        file.createDimension("\u202ex", 2)
        file.createVariable("\u202ev", "f4", ("\u202ex",)).units = EVIL
        file.setncattr("\u202ea", EVIL)
        file.createEnumType("u1", "e", {"one": 1})
    check(run("put", "x.nc"))


class Kept:
    """Remembers what is written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)


def test_only_new_lines_and_tabs_stay() -> None:
    kept: Any = Kept()
    stream = EscapedStream(kept)
    print("a\tß中", file=stream)
    stream.writelines(["b", EVIL, "\ud800\u200b\u2028"])
    assert kept.text == (
        "a\tß中\nb\\x1b]0;pwned\\x07\\x1b[2J\\x9b31m\\r\\x7f\\u202e\\u2066\\x85 fine"
        "\\ud800\\u200b\\u2028"
    )


SAY = """
import logging, sys, threading, warnings
from ipldstore.cli.frame.escaping import escaped_output

EVIL = "\\x1b[31m\\nerror: forged \\u202e"

def fail():
    raise ValueError(EVIL)

class Lost:
    def __del__(self):
        fail()

with escaped_output():
    warnings.warn(EVIL)
    logging.getLogger("x").error("%s", EVIL)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    Lost()
    print(EVIL)
"""


def test_what_libraries_say_is_one_line_each() -> None:
    done = subprocess.run([sys.executable, "-c", SAY], capture_output=True, check=False)
    said = r"\x1b[31m error: forged \u202e"
    assert done.stderr.decode().splitlines() == [
        f"warning: UserWarning: {said}",
        f"error: {said}",
        f"warning: ValueError: {said}",
        f"warning: ValueError: {said}",
    ]
    assert done.stdout.decode() == "\\x1b[31m\nerror: forged \\u202e\n"


def test_streams_are_given_back() -> None:
    before = sys.stdout, sys.stderr
    with escaped_output():
        assert isinstance(sys.stdout, EscapedStream)
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_streams_that_are_closed(closed: str) -> None:
    program = f'"{sys.executable}" -m ipldstore --version {closed}'
    assert subprocess.run(["sh", "-c", program], capture_output=True, check=False).returncode == 0


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a shell does, so that streams may be closed."""
    program = f'"{sys.executable}" -m ipldstore {line}'
    return subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "line",
    [
        "export ROOT -",
        "cat ROOT/.zgroup",
        "cat --json ROOT/.zgroup",
        "ls ROOT",
        "put z",
        "info ROOT",
    ],
)
def test_what_has_nowhere_to_go_is_not_done(call: Callable[..., Any], line: str) -> None:
    write_files(Path("z"), {".zgroup": b'{"zarr_format":2}'})
    root = call("put", "z").out.decode()
    done = shell(line.replace("ROOT", root.strip()) + " >&-")
    assert done.returncode == 1
    assert "standard output is closed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("line", ["--help", "ls --help", "--show-completion bash"])
def test_help_that_nobody_can_read_is_no_fault(line: str) -> None:
    done = shell(f"{line} >&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_done_is_done_where_nobody_can_be_told(call: Callable[..., Any]) -> None:
    write_files(Path("z"), {".zgroup": b'{"zarr_format":2}'})
    done = shell("put z 2>&-")
    assert (done.returncode, done.stdout.encode()) == (0, call("put", "z").out)
    root = done.stdout.strip()
    assert shell(f"get {root} back.zarr >&-").returncode == 0
    assert Path("back.zarr/.zgroup").exists()


def test_an_archive_from_an_input_that_is_closed() -> None:
    done = shell("import - <&-")
    assert done.returncode == 1
    assert done.stderr == "error: standard input is closed: name an archive, or pipe it\n"


SECRET = "s3cr3t-pw"


@pytest.mark.parametrize(
    "arguments",
    [
        ["put", f"https://user:{SECRET}@127.0.0.1:9/x.nc"],
        ["put", f"https://127.0.0.1:9/x.nc?X-Amz-Signature={SECRET}"],
        ["put", f"https:/user:{SECRET}@host/x.nc"],
        ["import", f"https://user:{SECRET}@host/x.car"],
        ["import", f"https://host/x.car?sig={SECRET}"],
        ["ls", f"https://user:{SECRET}@host/x"],
        ["ls", f"https://host/x.car?token={SECRET}"],
        ["ls", ABSENT_ROOT, "--blocks", f"s3://key:{SECRET}@bucket"],
        ["pin", "ls", "--node", f"/dns4/user:{SECRET}@host/tcp/5001"],
        ["put", "x.nc", f"https://user:{SECRET}@host/"],
        ["put", f"http//user:{SECRET}@host/x.nc"],
        ["import", f"http//user:{SECRET}@host/x.car"],
        ["ls", f"ipfs://alice:{SECRET}@{ABSENT_ROOT}"],
        ["ls", f"ipns://alice:{SECRET}@name"],
        ["ls", f"alice:{SECRET}@{ABSENT_ROOT}"],
        ["ls", ABSENT_ROOT, "--blocks", f"gateway+http//alice:{SECRET}@h"],
        ["ls", ABSENT_ROOT, "--blocks", f"ipfs+http//alice:{SECRET}@h"],
        ["ls", ABSENT_ROOT, "--blocks", f"gateway+alice:{SECRET}@host"],
        ["ls", ABSENT_ROOT, "--blocks", f"ipfs:/ip4/127.0.0.1/tcp/9:{SECRET}"],
        ["pin", "ls", "--node", f"http//alice:{SECRET}@h"],
        ["pin", "ls", "--node", f"/ip4/127.0.0.1/tcp/9:{SECRET}"],
        ["get", ABSENT_ROOT, f"http//alice:{SECRET}@h/x.nc"],
    ],
)
def test_no_password_of_a_url_is_shown(call: Callable[..., Any], arguments: list[str]) -> None:
    for form in ([], ["--json"]):
        done = call(*arguments, *form)
        assert done.code != 0
        assert SECRET not in done.err
        assert SECRET.encode() not in done.out


@pytest.fixture
def endless() -> Iterator[str]:
    """A root of a trillion files of a mebibyte, in five blocks."""
    backend = DirectoryCAStore("blocks")
    link = backend.put_raw(bytes(1 << 20), "raw")
    for level in range(4):
        names = {f"{'g' * bool(level)}{number}": link for number in range(1000)}
        link = backend.put_raw(dagcbor.encode(names), "dag-cbor")
    yield to_text(link)
    backend.close()


@pytest.mark.parametrize("command", [["get", "out"], ["unixfs"], ["publish", "--files"]])
def test_what_stands_for_far_more_is_refused(
    call: Callable[..., Any], endless: str, command: list[str]
) -> None:
    name, *rest = command
    done = call(name, endless, *rest)
    assert done.code == 4
    assert "5 blocks of 1.2 MB stand for 1,000,000,000,000 files" in done.err
    assert "--max-files" in done.err
    assert not Path("out").exists()
    done = call(name, endless, *rest, "--max-files", str(10**12))
    assert done.code == 4
    assert "1.0e18 bytes" in done.err
    assert "--max-bytes" in done.err


@pytest.mark.parametrize("command", [["info"], ["tree"]])
def test_what_stands_for_far_more_is_not_counted_one_by_one(
    call: Callable[..., Any], endless: str, command: list[str]
) -> None:
    done = call(*command, endless)
    assert done.code == 4
    assert "1,000,000,000,000 keys" in done.err
    assert "cannot be raised" in done.err


def test_a_long_listing_sums_up_what_stands_for_far_more(
    call: Callable[..., Any], endless: str
) -> None:
    done = call("ls", "-l", endless)
    assert done.code == 0
    assert done.out.count(b" 1048576000000000 ") == 1000


def test_a_netcdf_file_is_refused_before_arrays_are_looked_for(
    call: Callable[..., Any], endless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipldstore.cli.work.get._measure_arrays", pytest.fail)
    done = call("get", endless, "out.nc")
    assert done.code == 4
    assert "1,000,000,000,000 files" in done.err


def test_more_is_written_where_that_is_asked_for(call: Callable[..., Any]) -> None:
    backend = DirectoryCAStore("blocks")
    inner = backend.put_raw(dagcbor.encode({"0": backend.put_raw(b"x", "raw")}), "dag-cbor")
    names = {str(number): inner for number in range(200)}
    root = to_text(backend.put_raw(dagcbor.encode(names), "dag-cbor"))
    assert call("get", root, "out", "--max-files", "199").code == 4
    assert call("get", root, "out", "--max-files", "200").code == 0
    assert len(list(Path("out").glob("*/0"))) == 200
    assert call("unixfs", root, "--max-files", "199").code == 4
    assert call("unixfs", root, "--max-files", "200").code == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shape": [1 << 40], "chunk_grid": {"chunk_shape": [1 << 40]}}, "4,398,046,511,104 bytes"),
        ({"shape": [1 << 30], "chunk_grid": {"chunk_shape": [1]}}, "1,073,741,824 chunks"),
    ],
)
def test_arrays_that_claim_far_more_than_is_stored(
    call: Callable[..., Any], changes: dict[str, Any], said: str
) -> None:
    pytest.importorskip("netCDF4")
    grid = {"name": "regular", "configuration": changes["chunk_grid"]}
    root = put({"zarr.json": GROUP, "a/zarr.json": {**ARRAY, **changes, "chunk_grid": grid}})
    done = call("get", root, "out.nc")
    assert done.code == 4
    assert said in done.err
    assert call("get", root, "folder").code == 0
