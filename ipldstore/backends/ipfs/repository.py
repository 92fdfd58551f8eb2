"""A Kubo repository that keeps its blocks in the folder of a `DirectoryCAStore`."""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ipldstore.backends.directory.layout import SHARDING
from ipldstore.backends.directory.store import DirectoryCAStore
from ipldstore.cid import Link, as_link, verify_block
from ipldstore.errors import BackendError, CorruptBlockError, InvalidCIDError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SHARD_FUNCTION = SHARDING.decode().strip()

_WRAPPERS = ("measure", "log")
"""Datastore types that only watch the one inside; the disk spec leaves them out."""


def attach_repository(repository: str | os.PathLike[str], blocks: str | os.PathLike[str]) -> int:
    """Make a stopped IPFS node keep and serve its blocks in a folder of blocks.

    The node then serves and pins what a `DirectoryCAStore` wrote there, without a copy. Blocks
    that the node has elsewhere are copied into the folder first, and stay where they were. The
    node's caches of what it has and has not are turned off, so that it sees blocks that are
    written while it runs. Doing it again changes nothing; doing it with the repository's own
    folder ``blocks`` undoes it.

    The repository is one that ``ipfs init`` made, with flatfs blocks as by default; the folder is
    there, that of a `DirectoryCAStore` or an empty one. Returns how many blocks were copied into
    it. Raises `BackendError` if there is no such repository or folder, the repository is in use or
    keeps its blocks in another way, or one of the files cannot be read or written. Its
    configuration is then as it was, or is completed by the next call.
    """
    try:
        return _attach(Path(repository).absolute(), Path(blocks).absolute())
    except OSError as error:
        raise BackendError(f"cannot attach {str(repository)!r}: {error}") from error


def _attach(repository: Path, folder: Path) -> int:
    if not (repository / "config").is_file():
        raise BackendError(
            f"{str(repository)!r} is no IPFS repository: expected a file `config` in it, "
            f"which `ipfs init` with IPFS_PATH={repository} makes"
        )
    with _lock(repository):
        config, spec = _read_json(repository / "config"), _read_json(repository / "datastore_spec")
        new_config, new_spec = copy.deepcopy(config), copy.deepcopy(spec)
        mounts = [
            _blocks_mount(new_config.get("Datastore", {}).get("Spec"), repository / "config"),
            _blocks_mount(new_spec, repository / "datastore_spec"),
        ]
        path = _path_text(folder, repository)
        store = _open_folder(folder)
        copied = sum(_copy_blocks(repository / mount["path"], store) for mount in mounts)
        for mount in mounts:
            mount["path"] = path
        new_config["Datastore"] |= {"BlockKeyCacheSize": 0, "BloomFilterSize": 0}
        if new_config != config:
            _replace(repository / "config", json.dumps(new_config, indent=2, ensure_ascii=False))
        if new_spec != spec:
            _replace(repository / "datastore_spec", _disk_spec_text(new_spec))
    return copied


@contextmanager
def _lock(repository: Path) -> Iterator[None]:
    """Hold the lock by which Kubo's processes keep each other out of a repository."""
    name = repository / "repo.lock"
    busy = f"{str(repository)!r} is in use: stop the node (`ipfs shutdown`) and try again"
    if fcntl is None:
        if name.exists():
            raise BackendError(busy, retryable=True)
        yield
        return
    with open(name, "ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise BackendError(busy, retryable=True) from None
        yield


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except ValueError as error:
        raise BackendError(f"{str(file)!r} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BackendError(f"{str(file)!r}: expected a JSON object, found {type(value).__name__}")
    return value


def _blocks_mount(spec: Any, file: Path) -> dict[str, Any]:
    """Return the part of a datastore spec that says where the blocks are, to be changed."""
    mounts = spec.get("mounts") if isinstance(spec, dict) else None
    found: Any = None
    for mount in mounts if isinstance(mounts, list) else ():
        if isinstance(mount, dict) and mount.get("mountpoint") == "/blocks":
            found = mount
    while isinstance(found, dict) and found.get("type") in _WRAPPERS:
        found = found.get("child")
    kind = found if isinstance(found, dict) else spec if isinstance(spec, dict) else {}
    if kind.get("type") != "flatfs" or not isinstance(kind.get("path"), str):
        raise BackendError(
            f"{str(file)!r}: expected the blocks in a datastore of type flatfs mounted at /blocks, "
            f"found type {kind.get('type')!r}"
        )
    if kind.get("shardFunc") != SHARD_FUNCTION:
        raise BackendError(
            f"{str(file)!r}: expected the blocks sharded by {SHARD_FUNCTION}, "
            f"found {kind.get('shardFunc')!r}"
        )
    return kind


def _open_folder(folder: Path) -> DirectoryCAStore:
    if not folder.is_dir():
        raise BackendError(f"there is no folder of blocks {str(folder)!r}")
    with tempfile.TemporaryFile(dir=folder):
        return DirectoryCAStore(folder)


def _copy_blocks(source: Path, store: DirectoryCAStore) -> int:
    """Copy the blocks that are missing in the store, and say how many they were."""
    if not source.is_dir() or source.samefile(store.path):
        return 0
    copied = 0
    for file in source.glob("??/*.data"):
        try:
            link = _link_of(file.stem)
            if store.has_raw(link):
                continue
            data = file.read_bytes()
            verify_block(link, data)
        except (InvalidCIDError, CorruptBlockError) as error:
            raise BackendError(f"cannot copy the node's block {str(file)!r}: {error}") from error
        store.put_block(link, data)
        copied += 1
    return copied


def _link_of(key: str) -> Link:
    try:
        multihash = base64.b32decode(key + "=" * (-len(key) % 8))
    except ValueError:
        raise InvalidCIDError(f"{key!r} is not a multihash in upper-case base32") from None
    return as_link(b"\x01\x55" + multihash)


def _path_text(folder: Path, repository: Path) -> str:
    """Say where the folder is, as Kubo reads it: absolute, or relative to the repository."""
    inside = folder.is_relative_to(repository)
    text = str(folder.relative_to(repository) if inside else folder)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BackendError(f"the folder's name {text!r} is not Unicode, as Kubo needs it") from None
    return text


def _disk_spec_text(spec: dict[str, Any]) -> str:
    """Encode a disk spec as Go's ``encoding/json`` does: Kubo compares it byte by byte."""
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _replace(file: Path, text: str) -> None:
    """Write a file anew in one step, with the mode and the owner that it had."""
    file = file.resolve()
    status = file.stat()
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        shutil.copymode(file, temporary)
        if hasattr(os, "chown"):
            os.chown(temporary, status.st_uid, status.st_gid)
        os.replace(temporary, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
