"""`--allow-padding`: archives with zeros after their last section, by every command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from zarr_folders import CLASSIC_ROOT

COMMANDS = {
    "import": ["x.car", "--blocks", "other"],
    "ls": ["x.car"],
    "tree": ["x.car"],
    "info": ["x.car"],
    "cat": ["x.car/a/0"],
    "diff": ["x.car", CLASSIC_ROOT],
    "verify": ["x.car"],
    "copy": ["x.car", "other"],
    "export": ["x.car", "y.car"],
    "get": ["x.car", "y.zarr"],
}
READ_AS_CUT_SHORT = set(COMMANDS) - {"import"}
"""What reads an archive of version 1 as one that a crash left."""


@pytest.fixture(autouse=True)
def archive(call: Any, classic: Path) -> bytes:
    call("put", "classic.zarr")
    made: bytes = call("export", CLASSIC_ROOT, "-").out
    return made


def version_2(payload: bytes) -> bytes:
    fields = b"".join(number.to_bytes(8, "little") for number in (51, len(payload), 0))
    return bytes.fromhex("0aa16776657273696f6e02") + bytes(16) + fields + payload


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("version", [1, 2])
def test_padding_is_read_when_asked_for(
    version: int, command: str, archive: bytes, call: Any
) -> None:
    padded = archive + bytes(1000)
    Path("x.car").write_bytes(padded if version == 1 else version_2(padded))
    done = call(command, *COMMANDS[command], "--allow-padding")
    assert done.code == 0, done.err
    assert "padded" not in done.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("version", [1, 2])
def test_padding_is_an_error_else(version: int, command: str, archive: bytes, call: Any) -> None:
    padded = archive + bytes(1000)
    Path("x.car").write_bytes(padded if version == 1 else version_2(padded))
    done = call(command, *COMMANDS[command])
    if version == 1 and command in READ_AS_CUT_SHORT:
        assert done.code == 0
        assert ("padded (--allow-padding)" in done.err) == (command == "verify")
        return
    assert done.code == 4
    assert "--allow-padding" in done.out.decode() + done.err
    assert not Path("y.car").exists()
    assert not Path("y.zarr").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_only_zeros_are_padding(command: str, archive: bytes, call: Any) -> None:
    Path("x.car").write_bytes(archive + bytes(1000) + b"x")
    done = call(command, *COMMANDS[command], "--allow-padding")
    assert done.code == 4
    assert "only zeros are padding" in done.out.decode() + done.err
    assert not Path("y.car").exists()
    assert not Path("y.zarr").exists()


def test_blocks_in_a_padded_archive(archive: bytes, call: Any) -> None:
    Path("x.car").write_bytes(version_2(archive + bytes(1000)))
    listed = call("ls", CLASSIC_ROOT, "--blocks", "x.car", "--allow-padding")
    assert listed.code == 0
    assert call("ls", CLASSIC_ROOT, "--blocks", "x.car").code == 4
    assert call("ls", CLASSIC_ROOT, "--allow-padding").code == 0


def test_padding_through_a_pipe(archive: bytes, call: Any) -> None:
    padded = archive + bytes(3 << 20)
    assert call("import", "--blocks", "other", stdin=padded).code == 4
    done = call("import", "--allow-padding", "--blocks", "other", stdin=padded)
    assert done.out.decode().strip() == CLASSIC_ROOT
