"""The protocol ``ipld`` of fsspec: hierarchies as files, to read, as ``ipld://CID/path``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from functools import lru_cache, partial
from typing import Any, NoReturn

try:
    from fsspec.asyn import AsyncFileSystem  # type: ignore[import-untyped]
    from fsspec.callbacks import DEFAULT_CALLBACK  # type: ignore[import-untyped]
    from fsspec.config import apply_config  # type: ignore[import-untyped]
    from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]
    from fsspec.utils import isfilelike  # type: ignore[import-untyped]
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "ipld:// for fsspec needs that package: pip install 'ipldstore[fsspec]'", name="fsspec"
    ) from None

from ipldstore.basics.urls import show_url
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.blockstore.eventloops import run_on_loop
from ipldstore.cid import RAW, Link, codec_of, to_text
from ipldstore.errors import InvalidKeyError, IPLDStoreError, LimitExceededError, ReadOnlyStoreError
from ipldstore.limits import MAX_HELD_KEYS
from ipldstore.names.finding import find_root
from ipldstore.names.naming import IPLD, read_name, split_blocks
from ipldstore.registry import BLOCKS_VARIABLE, absolute, find_blocks
from ipldstore.store.async_access import find_on_loop, read_on_loop
from ipldstore.store.reader import Reader, read_from
from ipldstore.store.values import Cut, value_size
from ipldstore.tree.decode import link_of
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import split_path
from ipldstore.tree.nodes import Directory, Entry, is_value

_HIERARCHIES = 16
_KNOWN_ROOTS = 1000
_READ_ONLY = "files of ipld:// are only read"
_WRITE_ELSEWHERE = f"{_READ_ONLY}: write through an IPLDStore"


class _ByBlocks(type(AsyncFileSystem)):  # type: ignore[misc]
    """Makes file systems that fsspec may use again: those of roots, with blocks named by a URL."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        options = apply_config(cls, options)
        blocks = options.get("blocks")
        if blocks is None:
            blocks = os.environ.get(BLOCKS_VARIABLE) or None
        if isinstance(blocks, str | os.PathLike):
            options["blocks"] = absolute(os.fspath(blocks))
        else:
            options["skip_instance_cache"] = True
        if options.get("revision") is not None:
            options["skip_instance_cache"] = True  # as each opening finds out what it names now
        return super().__call__(*args, **options)


class IPLDFileSystem(AsyncFileSystem, metaclass=_ByBlocks):  # type: ignore[misc]
    """Reads hierarchies as files: ``ipld://CID/path``, ``ipld:///REVISION/path?blocks=STORE``.

    fsspec finds it by its protocol, in ``xarray.open_zarr("ipld://CID/group")``,
    ``zarr.open("ipld://CID")`` and ``fsspec.open("ipld://CID/zarr.json")``; what is said here as
    parameters goes into their ``storage_options``. Paths are taken literally: ``%20`` stands for
    itself.

    A revision stands after three slashes, percent-encoded, as in
    ``ipld:///feature%2Fx~2/group``; the block store is named by ``?blocks=`` at the end,
    percent-encoded, or as the parameter. It is looked up once, when it is first used, and copies in
    other processes read the same. Each URL that is opened has a file system of its own.

    Only a key that the hierarchy does not hold is a ``FileNotFoundError``. A block that is missing,
    corrupt or out of reach raises an error of this package, which is no ``OSError``, so that no
    reader takes it for a chunk that was never written; `cat` raises it whatever `on_error` says.

    Parameters
    ----------
    blocks
        The block store: a URL or path as `ipldstore.open_block_store` takes it, or an
        object. If None, fsspec's configuration names it, else the environment variable
        ``IPLDSTORE_BLOCKS``. Caching protocols and fsspec's JSON need a URL.
    revision
        Set by fsspec where a URL has one: keeps the file system apart from others.
    asynchronous, loop, batch_size
        As in fsspec's ``AsyncFileSystem``.
    options
        Of the block store, where it is named by a URL.

    Raises
    ------
    BlockStoreURLError, BackendError, TypeError
        If the block store is not named, named wrongly, or cannot be used.

    Examples
    --------
    >>> import fsspec, ipldstore
    >>> store = ipldstore.IPLDStore()
    >>> store["a/0"], store["a/.zarray"] = b"chunk", b"{}"
    >>> root = store.freeze()
    >>> files = fsspec.filesystem("ipld", blocks=store.blocks)
    >>> files.cat(f"ipld://{root}/a/0", start=-3)
    b'unk'
    >>> [name.removeprefix(str(root)) for name in files.find(f"{root}")]
    ['/a/.zarray', '/a/0']
    """

    protocol = "ipld"

    def __init__(
        self,
        *,
        blocks: ContentAddressableStore | str | None = None,
        asynchronous: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        batch_size: int | None = None,
        revision: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(asynchronous=asynchronous, loop=loop, batch_size=batch_size)
        self.blocks = find_blocks(blocks, **options)
        self._source = read_from(self.blocks)
        # no part of it leads back here, so that connections are closed as soon as nobody uses them
        self._hierarchy: Callable[[Link], Reader] = lru_cache(_HIERARCHIES)(
            partial(Reader, self.blocks, source=self._source)
        )
        self._roots: dict[str, Link] = {}
        self._pins: dict[str, Link] = {}

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        path = super()._strip_protocol(path)
        return split_blocks(path)[0].rstrip("/") if path.startswith("/") else path

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        rest, blocks = split_blocks(path.removeprefix(IPLD))
        if not rest.startswith("/"):
            return {}
        options = {"revision": rest[1:].partition("/")[0], "blocks": blocks}
        return {name: value for name, value in options.items() if value is not None}

    def __reduce__(self) -> tuple[Any, ...]:
        make, arguments = super().__reduce__()
        return (_restore, (arguments, self._pins)) if self._pins else (make, arguments)

    @property
    def backend(self) -> ContentAddressableStore:
        """Former name of `blocks`."""
        return self.blocks

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, IPLDFileSystem)
            and self.blocks == other.blocks
            and self.asynchronous == other.asynchronous
            and self._pins == other._pins
        )

    def __hash__(self) -> int:
        return hash((IPLDFileSystem, self.blocks))

    def __dask_tokenize__(self) -> tuple[str, ...]:
        pins = (f"{top} {root}" for top, root in sorted(self._pins.items()))
        return "ipldstore.IPLDFileSystem", repr(self.blocks), *pins

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **options: Any
    ) -> bytes:
        entry = await self._find_value(path)
        cut = None if start is None and end is None else _cut(start, end)
        try:
            return bytes(await read_on_loop(self._source, entry, cut))
        except IPLDStoreError as error:
            error.add_note(f"while reading {path!r}")
            raise

    async def _find_value(self, path: str) -> Link | Document:
        top, segments = self._split(path)
        root = self._find_known(top)
        if root is None:
            root = await run_on_loop(self.blocks, self._find_root, top)
        hierarchy = self._hierarchy(root)
        entry = await find_on_loop(hierarchy, segments) if segments else None
        if entry is not None:
            return entry
        if await run_on_loop(self.blocks, hierarchy.find_any, segments) is None:
            raise FileNotFoundError(path)
        raise IsADirectoryError(path)

    async def _cat(
        self,
        path: str | list[str],
        recursive: bool = False,
        on_error: str = "raise",
        batch_size: int | None = None,
        **options: Any,
    ) -> Any:
        """Return the content of files.

        `on_error` is about paths at which there is no file; errors of blocks are always raised.
        """
        found = await super()._cat(
            path,
            recursive=recursive,
            on_error="raise" if on_error == "raise" else "return",
            batch_size=batch_size,
            **options,
        )
        several = found if isinstance(found, dict) else {"": found}
        for content in several.values():
            if isinstance(content, IPLDStoreError):
                raise content
        if on_error == "omit" and isinstance(found, dict):
            return {key: data for key, data in found.items() if not isinstance(data, Exception)}
        return found

    async def _info(self, path: str, **options: Any) -> dict[str, Any]:
        """Describe a file or directory: ``name``, ``type``, ``size`` in bytes and ``cid``.

        The CID is that of its topmost block; None if it has none of its own, but stands in the
        block of the directory above.
        """
        return await asyncio.to_thread(self._describe, path)

    def _describe(self, path: str) -> dict[str, Any]:
        hierarchy, segments = self._locate(path)
        entry = hierarchy.find_any(segments)
        if entry is None:
            raise FileNotFoundError(path)
        found = _info_of(self._strip_protocol(path), entry)
        if not segments:
            assert hierarchy.root is not None
            return found | {"cid": to_text(hierarchy.root)}
        if not isinstance(entry, Directory):
            found["size"] = value_size(self.blocks, entry)
        return found

    async def _ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """List a directory, or a file by itself, with infos as `info` gives them or only names.

        Sizes that would take a request or the loading of a block are None.
        """
        found = await asyncio.to_thread(self._list, path)
        return found if detail else [info["name"] for info in found]

    def _list(self, path: str) -> list[dict[str, Any]]:
        hierarchy, segments = self._locate(path)
        entries = hierarchy.list_entries(segments)
        if entries is None:
            return [self._describe(path)]
        top = self._strip_protocol(path)
        found = []
        for segment, entry in entries:
            info = _info_of(f"{top}/{segment}", entry)
            if info["type"] == "file":
                info["size"] = self._cheap_size(entry)
            found.append(info)
        return found

    def _cheap_size(self, entry: Entry) -> int | None:
        if isinstance(entry, Document):
            return len(entry.to_json())
        if isinstance(entry, Link) and codec_of(entry) == RAW and self.blocks.is_local:
            return self.blocks.size_of(entry)
        return None

    async def _find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, **options: Any
    ) -> Any:
        """Find all below a path, also for `du`, `glob` and what is recursive.

        Raises `LimitExceededError` if there is more than `MAX_HELD_KEYS`; without `maxdepth`, at
        once.
        """
        if maxdepth is None:
            await asyncio.to_thread(self._check_held, path)
        return await super()._find(path, maxdepth=maxdepth, withdirs=withdirs, **options)

    def _check_held(self, path: str) -> None:
        hierarchy, segments = self._locate(path)
        hierarchy.check_held(segments)

    async def _walk(
        self, path: str, maxdepth: int | None = None, **options: Any
    ) -> AsyncIterator[Any]:
        left = MAX_HELD_KEYS
        async for place, directories, files in super()._walk(path, maxdepth, **options):
            left -= len(directories) + len(files)
            if left < 0:
                raise LimitExceededError(
                    f"more than {MAX_HELD_KEYS:,} files and directories, up to {place!r}: look at "
                    "directories below it one by one, or give maxdepth"
                )
            yield place, directories, files

    async def _exists(self, path: str, **options: Any) -> bool:
        return await self._find_kind(path) is not None

    async def _isfile(self, path: str) -> bool:
        return await self._find_kind(path) == "file"

    async def _isdir(self, path: str) -> bool:
        return await self._find_kind(path) == "directory"

    async def _find_kind(self, path: str) -> str | None:
        """Say what is at a path without measuring it, as fsspec's own would."""
        try:
            await self._find_value(path)
        except IsADirectoryError:
            return "directory"
        except FileNotFoundError:
            return None
        return "file"

    async def _get_file(
        self, rpath: str, lpath: Any, callback: Any = DEFAULT_CALLBACK, **options: Any
    ) -> None:
        if await self._isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        data = await self._cat_file(rpath)
        callback.set_size(len(data))
        await asyncio.to_thread(_write, lpath, data)
        callback.absolute_update(len(data))

    def _open(
        self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any
    ) -> IPLDFile:
        if mode != "rb":
            raise ReadOnlyStoreError(f"{_READ_ONLY}: {path!r} cannot be opened in mode {mode!r}")
        file = IPLDFile(self, path, mode, block_size or "default", **options)
        if file.details["type"] == "directory":
            raise IsADirectoryError(path)
        return file

    def rmdir(self, path: str) -> NoReturn:
        raise ReadOnlyStoreError(_WRITE_ELSEWHERE)

    async def _refuse(self, *arguments: Any, **options: Any) -> NoReturn:
        raise ReadOnlyStoreError(_WRITE_ELSEWHERE)

    _pipe_file = _put_file = _cp_file = _rm = _rm_file = _mkdir = _makedirs = _refuse

    def _locate(self, path: str) -> tuple[Reader, list[str]]:
        top, segments = self._split(path)
        return self._hierarchy(self._find_known(top) or self._find_root(top)), segments

    def _split(self, path: str) -> tuple[str, list[str]]:
        """Take a path apart; one that no key can have is like one that is not there.

        What names the hierarchy comes first: a CID, or a revision after a slash.
        """
        stripped = self._strip_protocol(path)
        begin = "/" if stripped.startswith("/") else ""
        root, _, key = stripped.removeprefix("/").partition("/")
        if not root:
            raise FileNotFoundError(
                f"{show_url(path)!r} names no root: expected ipld://CID/path, or "
                "ipld:///REVISION/path"
            )
        try:
            segments = split_path(key)
        except InvalidKeyError as error:
            raise FileNotFoundError(f"{show_url(path)!r}: {error}") from None
        return begin + root, segments

    def _find_known(self, top: str) -> Link | None:
        return self._pins.get(top) or self._roots.get(top)

    def _find_root(self, top: str) -> Link:
        """Find out which root is meant; what a revision names is so from then on."""
        name = read_name(f"{IPLD}{top}")
        root = find_root(self.blocks, name)
        if name.revision:
            return self._pins.setdefault(top, root)
        if len(self._roots) >= _KNOWN_ROOTS:
            self._roots = {}
        self._roots[top] = root
        return root


def _restore(arguments: tuple[Any, ...], pins: dict[str, Link]) -> IPLDFileSystem:
    """Make a file system anew, in which revisions name what they named."""
    cls, positional, options = arguments
    files: IPLDFileSystem = cls(*positional, **options, skip_instance_cache=True)
    files._pins.update(pins)
    return files


class IPLDFile(AbstractBufferedFile):  # type: ignore[misc]
    """A value, open for reading."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        data: bytes = self.fs.cat_file(self.path, start=start, end=end)
        return data


def _info_of(name: str, entry: Entry) -> dict[str, Any]:
    is_file = is_value(entry, name.rpartition("/")[2])
    cid = link_of(entry)
    return {
        "name": name,
        "type": "file" if is_file else "directory",
        "size": 0,
        "cid": None if cid is None else to_text(cid),
    }


def _cut(start: int | None, end: int | None) -> Cut:
    def cut(size: int) -> tuple[int, int]:
        first, stop, _ = slice(start, end).indices(size)
        return first, max(first, stop)

    return cut


def _write(target: Any, data: bytes) -> None:
    if isfilelike(target):
        target.write(data)
    else:
        with open(target, "wb") as file:
            file.write(data)
