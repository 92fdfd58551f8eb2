"""Blocks in the bucket of an object store, one object a block."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ipldstore.backends.directory.layout import parse_file_name, path_of
from ipldstore.backends.objects.address import Untried, open_store, open_untried, secrets_of
from ipldstore.backends.objects.faults import ABSENT, backend_error, code_in, status_in
from ipldstore.backends.objects.journals import Journals
from ipldstore.backends.objects.known import PAGE, Known, Seen, tag_of
from ipldstore.backends.objects.layout import MARKER, NAME, check_marker
from ipldstore.backends.objects.patience import Patience
from ipldstore.backends.objects.pointers import Pointers
from ipldstore.backends.objects.requests import Requests
from ipldstore.backends.shipping import Shipping
from ipldstore.basics.locks import Guard, Process
from ipldstore.blockstore.contract import ContentAddressableStore, StoredBlock
from ipldstore.blockstore.journals import check_journal
from ipldstore.blockstore.pointers import check_pointer_name
from ipldstore.cid import CIDLike, Link, as_link, identity_data, to_text, verify_block
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    LimitExceededError,
    ReentrantCallError,
    raise_alone,
)
from ipldstore.limits import MAX_BLOCK_BYTES, MAX_MARKER_BYTES, PATIENCE_SECONDS

if TYPE_CHECKING:
    from obstore.store import ObjectStore

A = TypeVar("A")
B = TypeVar("B")

DEFAULT_BUFFER_BYTES = 32 << 20
DEFAULT_CONNECTIONS = 32
DEFAULT_TIMEOUT = 60.0

_BUCKET_SECONDS = 5.0
"""How long a bucket is taken to be there that was, by whoever answers 404 without a reason."""

_ATTRIBUTES: Any = {"Content-Type": "application/octet-stream"}


class ObjectCAStore(ContentAddressableStore):
    """Keeps blocks in a bucket of Amazon S3 or a compatible, Google Cloud Storage, or Azure.

    A block is one object, named like the files of `DirectoryCAStore`: such a folder that is
    copied into a bucket as it is makes a store, and the other way round. The names begin with two
    characters of the hash, so that requests spread over what the provider splits by prefix.

    Blocks that are put are sent in the background, many at once; `flush` waits for them, and an
    `IPLDStore` does so whenever it freezes. Until then they are read from the buffer. An object
    that is there already is left alone, unless it is damaged. Any number of writers may share a
    bucket. Blocks are read whole, as parts of one cannot be verified. It keeps pointers
    as `DirectoryCAStore` does; the last hundred objects of each stay. The last
    64 KiB that were appended to a journal are in memory, too, as an object cannot be added to: no
    other store can go on with it, nor this one unpickled.

    Credentials come from the environment, from what the machine or service offers, or from
    `config`; they are not in the store's text and in no error. Its pickle holds what `config`
    does, because another machine could not reach the bucket otherwise: send it over trusted
    channels only, or leave credentials to the environment of each machine.

    Parameters
    ----------
    store
        A URL, ``s3://BUCKET/PREFIX``, ``gs://BUCKET/PREFIX`` or ``az://CONTAINER/PREFIX``; or a
        store of the package obstore.
    prefix
        Where in the bucket, or below the URL, the blocks are.
    config, client_options, retry_config, credential_provider
        For a URL: as ``obstore.store.from_url`` takes them.
    timeout
        For a URL: how many seconds a request may take. A read that brings no byte for 15 s is
        tried again before that.
    patience
        For how many seconds a request is tried again that fails for now, such as by a reset
        connection or a server that is busy. A server that was never reached is tried for 4 s.
    connections
        How many requests are under way at once, for the threads together; for each event loop,
        whose users have bounds of their own, four times as many. Fewer after a server says that
        it is busy.
    buffer_bytes
        How many bytes of blocks wait to be sent at most; with 0 a block is in the bucket when
        `put_block` returns.
    default_hash
        The hash function that names new blocks.
    create
        Whether a prefix that has no `layout.NAME` gets one with the first block that is put: an
        object that says how blocks are laid out, for later versions. `open_block_store` says so.

    Raises
    ------
    BackendError
        If the URL or the configuration is malformed, or obstore is not installed. Whether there
        is a bucket is seen at the first request.

    Examples
    --------
    >>> from obstore.store import MemoryStore
    >>> with ObjectCAStore(MemoryStore()) as store:
    ...     store.get(store.put(b"hello"))
    b'hello'
    """

    has_quick_journals = False

    def __init__(
        self,
        store: str | ObjectStore,
        *,
        prefix: str = "",
        config: Mapping[str, Any] | None = None,
        client_options: Mapping[str, Any] | None = None,
        retry_config: Mapping[str, Any] | None = None,
        credential_provider: Any = None,
        timeout: float = DEFAULT_TIMEOUT,
        patience: float = PATIENCE_SECONDS,
        connections: int = DEFAULT_CONNECTIONS,
        buffer_bytes: int = DEFAULT_BUFFER_BYTES,
        default_hash: str = "sha2-256",
        create: bool = False,
    ) -> None:
        super().__init__(default_hash=default_hash)
        if connections < 1 or timeout <= 0 or buffer_bytes < 0 or patience < 0:
            raise ValueError(
                f"connections {connections} and timeout {timeout} must be positive, "
                f"buffer_bytes {buffer_bytes} and patience {patience} not negative"
            )
        options = {
            "config": config,
            "client_options": client_options,
            "retry_config": retry_config,
            "credential_provider": credential_provider,
        }
        untried = None
        if isinstance(store, str):
            untried = open_untried(store, timeout=timeout, **options)
            store = open_store(store, timeout=timeout, **options)
        elif given := [name for name, value in options.items() if value is not None]:
            raise ValueError(f"{given} are for URLs: a store of obstore has its own")
        self._creates = create
        self._begin(store, prefix.strip("/"), connections, buffer_bytes, untried, patience)

    def _begin(
        self,
        store: ObjectStore,
        prefix: str,
        connections: int,
        buffer_bytes: int,
        untried: Untried | None,
        patience: float,
        default_hash: str | None = None,
    ) -> None:
        self.default_hash = default_hash or self.default_hash
        self.store = store
        self._untried = untried or Untried(store, store)
        self._patience = Patience(patience, connections)
        self.prefix = prefix
        self.connections = connections
        self.buffer_bytes = buffer_bytes
        self.in_memory = type(store).__name__ == "MemoryStore"
        self.is_shared = not self.in_memory
        self._process = Process.current
        self._secrets = secrets_of(store)
        # stores without a server have no configuration, and LocalStore refuses attributes
        self._attributes = _ATTRIBUTES if hasattr(store, "config") else None
        self._bucket_seen = -_BUCKET_SECONDS
        self._layout_is_known = False
        self._layout_guard = Guard()
        self._known = Known(
            lambda: iter(self._untried.reader.list(self.prefix or None, chunk_size=PAGE))
        )
        self._buffer = Shipping(self._ship, buffer_bytes, at_once=connections, one_by_one=True)
        requests = Requests(
            self._untried,
            self._patience,
            place=self._place,
            answer=self._answer,
            fault=self._fault_of_absence,
            attributes=self._attributes,
            hidden=self._secrets,
        )
        self._pointers = Pointers(requests)
        self._journals = Journals(requests)

    def __getstate__(self) -> tuple[Any, ...]:
        if not self.is_shared:
            raise TypeError("a MemoryStore is in this process only and cannot be pickled")
        self.flush()
        seconds = self._patience.seconds
        how = self.connections, self.buffer_bytes, self._untried, seconds, self.default_hash
        return self.store, self.prefix, *how

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._creates = False
        self._begin(*state)

    def __repr__(self) -> str:
        prefix = f", prefix={self.prefix!r}" if self.prefix else ""
        # other stores have no text but their address in memory
        name = repr(self.store) if hasattr(self.store, "config") else type(self.store).__name__
        return f"ObjectCAStore({name}{prefix})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectCAStore) and (self.store, self.prefix) == (
            other.store,
            other.prefix,
        )

    def __hash__(self) -> int:
        return hash((ObjectCAStore, repr(self)))

    def get_raw(self, cid: Link) -> bytes:
        if (data := self._buffer.get(cid)) is not None:
            return data
        try:
            path = self._path(cid)
            return self._patience.run(lambda: self._get(cid, path))
        except Exception as error:
            raise_alone(self._error("read", cid, error))

    async def get_raw_async(self, cid: Link) -> bytes:
        if (data := self._buffer.get(cid)) is not None:
            return data
        path = self._path(cid)
        try:
            return await self._patience.run_async(lambda: self._get_async(cid, path))
        except Exception as caught:
            error = caught
        raise await asyncio.to_thread(self._error, "read", cid, error) from None

    async def put_block_async(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is not None:
            return
        data = bytes(data)
        self._check_process()
        if not self.buffer_bytes:
            await asyncio.to_thread(self._put, cid, data)
        elif not self._buffer.offer(cid, data):
            await asyncio.to_thread(self._buffer.put, cid, data)

    def put_block(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is not None:
            return
        data = bytes(data)
        self._check_process()
        if self.buffer_bytes:
            self._buffer.put(cid, data)
        else:
            self._put(cid, data)

    def _verified(self, link: Link, data: bytes) -> bytes:
        try:
            return super()._verified(link, data)
        except CorruptBlockError:
            self._known.note_lost(link, self._path(link))
            raise

    def get_many(self, cids: Iterable[CIDLike]) -> Iterator[tuple[Link, bytes]]:
        return self._at_once(lambda cid: (cid, self.get_block(cid)), map(as_link, cids))

    def put_many(self, blocks: Iterable[tuple[Link, bytes]]) -> None:
        if self.buffer_bytes:
            super().put_many(blocks)
        else:
            deque(self._at_once(lambda block: self.put_block(*block), blocks), maxlen=0)

    def find_missing(self, cids: Iterable[Link]) -> set[Link]:
        looked = self._at_once(lambda cid: (cid, self.has(cid)), cids)
        return {cid for cid, is_there in looked if not is_there}

    def find_missing_lately(self, cids: Iterable[Link]) -> set[Link]:
        """Return those of several blocks that were not there in the last minutes.

        Listing a bucket costs an eightieth of asking for each block in it. Of those that are not
        listed one is asked for: some servers list late what was put.
        """
        kept = (cid for cid in cids if identity_data(cid) is None)
        unsent = [cid for cid in kept if not self._known.has_sent(cid)]
        listing = self._known.list_for(len(unsent))
        unlisted = [cid for cid in unsent if self._path(cid) not in listing.objects]
        if not listing.is_complete or not unlisted:
            return self.find_missing(unlisted)
        if self.has(unlisted[0]):
            listing.mistrust()
            return self.find_missing(unlisted)
        return set(unlisted)

    def has_raw(self, cid: Link) -> bool:
        return self.size_of(cid) is not None

    def size_of(self, cid: Link) -> int | None:
        """Return a block's size in bytes, None if it is not there; it is one request."""
        data = identity_data(cid)
        if data is None:
            data = self._buffer.get(cid)
        if data is not None:
            return len(data)
        path = self._path(cid)
        try:
            return self._patience.run(lambda: self._untried.reader.head(path)["size"])
        except Exception as caught:
            error = self._error("look for", cid, caught)
        if isinstance(error, BlockNotFoundError):
            return None
        raise error

    def iter_blocks(self) -> Iterator[StoredBlock]:
        self.flush()
        self._check_process()
        try:
            for batch in self.store.list(self.prefix or None, chunk_size=PAGE):
                for found in batch:
                    cid = parse_file_name(found["path"].rpartition("/")[2])
                    if cid is not None and self._path(cid) == found["path"]:
                        yield StoredBlock(cid, found["size"])
        except Exception as error:
            what = f"cannot list the blocks in {self!r}"
            raise_alone(backend_error(what, error, self._secrets))

    def read_pointer(self, name: str) -> Link | None:
        """Return the CID that a pointer is at, None if there is no such pointer.

        Raises
        ------
        InvalidNameError
            If there can be none.
        BackendError
            If it cannot be read, or is damaged.
        """
        return self._pointers.read(name)

    def swap_pointer(self, name: str, old: Link | None, new: Link) -> bool:
        """Move a pointer if it is at the old CID (None: is not there); return whether it moved.

        Raises
        ------
        InvalidNameError
            If there can be no such pointer.
        BackendError
            If it cannot be moved, or it cannot be told whether it was; also if the store replaces
            what was to be made only if it is not there, which is tried before there is a pointer.
        """
        check_pointer_name(name)
        self.flush()
        return self._pointers.swap(name, old, new)

    def iter_pointers(self) -> Iterator[str]:
        """Iterate the names of all pointers, in no order.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """
        return self._pointers.iter_names()

    def append_journal(self, group: str, name: str, offset: int, data: bytes) -> None:
        """Append to a journal that this store appended to before, and has `offset` bytes.

        With 0 it is made.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        LimitExceededError
            If it would have more than 1 GiB.
        BackendError
            If it cannot be done, or was not this store's.
        """
        check_journal(group, name)
        self.flush()
        self._journals.append(group, name, offset, data)

    def make_journal(self, group: str, name: str, data: bytes) -> bool:
        """Make a journal, whole or not at all; return whether it is there with these bytes.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        BackendError
            If it cannot be made, or it cannot be told whether it was; also if the store replaces
            what was to be made only if it is not there, which is tried once.
        """
        check_journal(group, name)
        self.flush()
        return self._journals.make(group, name, data)

    def read_journal(self, group: str, name: str, start: int = 0) -> bytes | None:
        """Return the bytes of a journal from one on, None if there is no such journal.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        LimitExceededError
            If it has more than 1 GiB.
        BackendError
            If it cannot be read, or is damaged.
        """
        return self._journals.read(group, name, start)

    def list_journals(self, group: str) -> dict[str, int]:
        """Return the names of a group's journals, and how many bytes each has at least by now.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """
        return self._journals.list_sizes(group)

    def find_journals(self, group: str, names: Sequence[str]) -> list[bool]:
        """Return whether there are several journals, looked for in this order.

        Raises
        ------
        BackendError
            If it cannot be told.
        """
        return self._journals.find(group, names)

    def remove_journal(self, group: str, name: str) -> None:
        """Remove a journal, if it is there, and its group with the last one.

        Raises
        ------
        BackendError
            If it cannot be removed.
        """
        self._journals.remove(group, name)

    def iter_journal_groups(self) -> Iterator[str]:
        """Iterate the names of all groups of journals, in no order.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """
        return self._journals.iter_groups()

    def flush(self) -> None:
        self._buffer.flush()

    def close(self) -> None:
        """Send what is in the buffer, and end the threads; the next use starts them anew."""
        try:
            self.flush()
        finally:
            self._buffer.close()

    def _path(self, cid: Link) -> str:
        """Return an object's name, the one place that all requests for a block pass."""
        return self._place(path_of(cid))

    def _place(self, path: str) -> str:
        self._check_process()
        return f"{self.prefix}/{path}" if self.prefix else path

    def _check_process(self) -> None:
        """Raise in a forked process, where every request of obstore would hang."""
        if self._process is not Process.current:
            raise BackendError(
                f"{self!r} was made in another process and came here by fork(), which its "
                "connections do not survive: start processes by spawn or forkserver"
            )

    def _at_once(self, call: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Iterate what a function returns for each item, so many called ahead at once."""
        pool = ThreadPoolExecutor(self.connections, "ipldstore-objects")
        ahead: deque[Future[B]] = deque()
        try:
            for item in items:
                ahead.append(pool.submit(call, item))
                if len(ahead) >= self.connections:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _ship(self, blocks: Iterable[tuple[Link, bytes]]) -> None:
        for cid, data in blocks:
            self._put(cid, data)

    def _put(self, cid: Link, data: bytes) -> None:
        if self._known.has_sent(cid):
            return
        path = self._path(cid)
        try:
            self._patience.run(lambda: self._put_or_mend(cid, path, data))
        except Exception as error:
            raise_alone(self._error("keep", cid, error, may_be_missing=False))
        self._known.note_sent(cid)

    def _put_or_mend(self, cid: Link, path: str, data: bytes) -> None:
        self._check_layout()
        seen = self._look_ahead(path, len(data))
        if seen is None:
            if self._create(path, data):
                return
            self._known.note_met()
        if not (seen and seen.is_whole(data)) and not self._holds(cid, path, data):
            self._write(path, data)

    def _look_ahead(self, path: str, size: int) -> Seen | None:
        """Return what is at a path already, as far as it pays to know before a block is sent."""
        seen = self._known.find(path, size)
        if seen is not None or not self._known.is_worth_asking(size):
            return seen
        try:
            seen = Seen.of(self._untried.reader.head(path))
        except FileNotFoundError:
            return None
        self._known.note_met()
        return seen

    def _check_layout(self) -> None:
        """Raise if blocks are laid out in a way that is not known, where an object says so."""
        if self._layout_is_known:
            return
        path = self._place(NAME)
        with self._layout_guard():
            if self._layout_is_known or (self._creates and self._create(path, MARKER)):
                self._layout_is_known = True
                return
            try:
                answer = self._untried.reader.get(path)
                is_short = answer.meta["size"] <= MAX_MARKER_BYTES
                data = bytes(answer.bytes()) if is_short else b""
            except Exception as error:
                # who may not list a bucket is told so of what is not there
                if not isinstance(error, FileNotFoundError) and status_in(error) != 403:
                    raise
            else:
                check_marker(data, repr(self))
            self._layout_is_known = True

    def _create(self, path: str, data: bytes) -> bool:
        """Make an object and return whether it is made; False if something has its name."""
        from obstore.exceptions import AlreadyExistsError, NotSupportedError

        try:
            self._write(path, data, "create")
        except AlreadyExistsError:
            return False
        except (NotImplementedError, NotSupportedError):
            self._write(path, data)
        return True

    def _write(self, path: str, data: bytes, mode: Any = "overwrite") -> None:
        # in parts, an object could not be made only where there is none
        self._untried.writer.put(
            path, data, mode=mode, attributes=self._attributes, use_multipart=False
        )

    def _holds(self, cid: Link, path: str, data: bytes) -> bool:
        """Whether an object is whole, told by its MD5 where the provider has it as its tag."""
        from obstore.exceptions import NotModifiedError

        tag = tag_of(data)
        try:
            answer = self._untried.reader.get(path, options={"if_none_match": f'"{tag}"'})
            if answer.meta["size"] != len(data):
                return False
            verify_block(cid, bytes(answer.bytes()))
        except NotModifiedError:
            return True
        except (CorruptBlockError, FileNotFoundError):
            return False
        return True

    def _get(self, cid: Link, path: str) -> bytes:
        answer = self._answer(path)
        _check_size(cid, answer.meta["size"])
        return bytes(answer.bytes())

    def _answer(self, path: str) -> Any:
        try:
            return self._untried.reader.get(path)
        except FileNotFoundError as error:
            if self._is_unexplained(error):
                self._check_absent(path)
            raise

    async def _get_async(self, cid: Link, path: str) -> bytes:
        try:
            answer = await self._untried.reader.get_async(path)
        except FileNotFoundError as error:
            if self._is_unexplained(error):
                await asyncio.to_thread(self._check_absent, path)
            raise
        _check_size(cid, answer.meta["size"])
        return bytes(await answer.bytes_async())

    def _is_unexplained(self, error: FileNotFoundError) -> bool:
        """Whether a 404 may come from something between, as no store of objects has signed it."""
        return self._attributes is not None and code_in(error) is None

    def _check_absent(self, path: str) -> None:
        """Raise `ConnectionError`, which is tried again, if there is an object after all."""
        with suppress(FileNotFoundError):
            self._untried.reader.head(path)
            raise ConnectionError("HTTP status 404 without a reason, for an object that is there")

    def _error(
        self, verb: str, cid: Link, error: Exception, *, may_be_missing: bool = True
    ) -> Exception:
        """Return the error of this package for one of obstore's."""
        if isinstance(error, BackendError | LimitExceededError | ReentrantCallError):
            return error
        if may_be_missing and isinstance(error, FileNotFoundError):
            path = self._path(cid)
            fault = self._fault_of_absence(path, error)
            if fault is None:
                self._known.note_lost(cid, path)
                return BlockNotFoundError(f"no block {to_text(cid)} in {self!r}")
            error = fault
            if isinstance(error, BackendError):
                return error
        what = f"cannot {verb} block {to_text(cid)} in {self!r}"
        return backend_error(what, error, self._secrets)

    def _fault_of_absence(self, path: str, error: Exception) -> Exception | None:
        """Return why something may be there that is not found, None if it is not."""
        fault = None if code_in(error) in ABSENT else self._fault_of_bucket(path, error)
        return fault or self._fault_of_layout()

    def _fault_of_layout(self) -> Exception | None:
        """Return why a block may be there that is not found, None if it is not."""
        try:
            self._patience.run(self._check_layout)
        except Exception as error:
            return error
        return None

    def _fault_of_bucket(self, path: str, error: Exception) -> Exception | None:
        """Return why a 404 does not say that an object is not there, None if it does."""
        if code_in(error) is not None:
            return error
        if time.monotonic() - self._bucket_seen < _BUCKET_SECONDS:
            return None
        try:
            next(iter(self.store.list(path, chunk_size=1)), None)
        except Exception as caught:
            # who may not list a bucket learns that there is one
            if status_in(caught) != 403:
                return caught
        self._bucket_seen = time.monotonic()
        return None


def _check_size(cid: Link, size: int) -> None:
    if size > MAX_BLOCK_BYTES:
        raise LimitExceededError(
            f"block {to_text(cid)}: an object of {size} bytes, at most {MAX_BLOCK_BYTES}"
        )
