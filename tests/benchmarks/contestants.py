"""Those who take part at the wire: each is a store on a prefix of a bucket, and a new client."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.core.sync import sync

import ipldstore
from ipldstore.backends.directory.layout import path_of
from ipldstore.backends.objects.store import ObjectCAStore
from ipldstore.cid import make_link

REGION = "us-east-1"
SMALL = 1 << 10


@dataclass(frozen=True)
class Place:
    """A prefix in a bucket, and the line to it."""

    endpoint: str
    bucket: str
    folder: Path
    prefix: str
    key: str
    secret: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def on_disk(self) -> Path:
        return self.folder / self.bucket / self.prefix

    @property
    def options(self) -> dict[str, Any]:
        config = {
            "endpoint": self.endpoint,
            "access_key_id": self.key,
            "secret_access_key": self.secret,
            "region": REGION,
        }
        return {"config": config, "client_options": {"allow_http": True}}


class Ours:
    """An `IPLDStore` on an `ObjectCAStore`."""

    name = "ipldstore"
    is_lasting = True

    def __init__(self, place: Place, root: str | None = None) -> None:
        self._place, self.root = place, root
        self._blocks = ObjectCAStore(place.url, **place.options)
        self.store = ipldstore.IPLDStore(self._blocks, root=root)

    def begin(self) -> Any:
        return self.store

    def commit(self) -> None:
        self.root = str(self.store.freeze())

    def close(self) -> None:
        self._blocks.close()

    @staticmethod
    def lay_down(place: Place, small: int, read: list[int]) -> str:
        blocks = ipldstore.MappingCAStore()
        store = ipldstore.IPLDStore(blocks)
        make_small(store, small)
        for number in range(small):
            store[f"small/c/{number}"] = small_chunk(number)
        root = store.freeze()
        # a chunk that nobody reads need not be there
        wanted = {path_of(make_link(small_chunk(number))) for number in read}
        for block in blocks.iter_blocks():
            path = path_of(block.cid)
            if path in wanted or block.size != SMALL:
                put_file(place.on_disk / path, blocks.get_raw(block.cid))
        return str(root)


class Plain:
    """A store of zarr's, which has nothing to commit."""

    root = None
    is_lasting = True

    def __init__(self, store: Any) -> None:
        self.store = store

    def begin(self) -> Any:
        return self.store

    def commit(self) -> None:
        pass

    def close(self) -> None:
        self.store.close()

    @staticmethod
    def lay_down(place: Place, small: int, read: list[int]) -> None:
        make_small(zarr.storage.LocalStore(place.on_disk), small)
        for number in read:
            put_file(place.on_disk / f"small/c/{number}", small_chunk(number))


class Obstore(Plain):
    name = "obstore"

    def __init__(self, place: Place, root: str | None = None) -> None:
        from obstore.store import from_url

        super().__init__(zarr.storage.ObjectStore(from_url(place.url, **place.options)))


class S3FS(Plain):
    name = "s3fs"

    def __init__(self, place: Place, root: str | None = None) -> None:
        options = {
            "key": place.key,
            "secret": place.secret,
            "endpoint_url": place.endpoint,
            "client_kwargs": {"region_name": REGION},
            "skip_instance_cache": True,
        }
        super().__init__(zarr.storage.FsspecStore.from_url(place.url, storage_options=options))

    def close(self) -> None:
        sync(self.store.fs._s3.close())
        super().close()


class Icechunk:
    """The branch `main` of an Icechunk repository, where every commit ends a session."""

    name = "icechunk"
    is_lasting = False
    root = "main"

    def __init__(self, place: Place, root: str | None = None) -> None:
        import icechunk

        storage = icechunk.s3_storage(
            bucket=place.bucket,
            prefix=place.prefix,
            region=REGION,
            endpoint_url=place.endpoint,
            allow_http=True,
            access_key_id=place.key,
            secret_access_key=place.secret,
            force_path_style=True,
        )
        kind = icechunk.Repository
        self._repository = kind.open(storage) if root else kind.create(storage)

    @property
    def store(self) -> Any:
        return self._repository.readonly_session(self.root).store

    def begin(self) -> Any:
        self._session = self._repository.writable_session(self.root)
        return self._session.store

    def commit(self) -> None:
        self._session.commit("a step")

    def close(self) -> None:
        pass

    @staticmethod
    def lay_down(place: Place, small: int, read: list[int]) -> str:
        import icechunk

        place.on_disk.mkdir(parents=True)
        storage = icechunk.local_filesystem_storage(str(place.on_disk))
        session = icechunk.Repository.create(storage).writable_session("main")
        array = make_small(session.store, small)
        array[:] = np.frombuffer(b"".join(map(small_chunk, range(small))), "u1")
        session.commit("small chunks")
        return Icechunk.root


PEERS: list[Any] = [Ours, Obstore]
if find_spec("s3fs"):
    PEERS.append(S3FS)
if find_spec("icechunk"):
    PEERS.append(Icechunk)


def small_chunk(number: int) -> bytes:
    return number.to_bytes(8, "big") * (SMALL // 8)


def make_small(store: Any, count: int) -> Any:
    return make_array(store, "small", (count * SMALL,), (SMALL,))


def make_array(
    store: Any, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], **more: Any
) -> Any:
    plain = {"dtype": "u1", "compressors": None, "filters": None}
    return zarr.create_array(store, name=name, shape=shape, chunks=chunks, **plain, **more)


def put_file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
