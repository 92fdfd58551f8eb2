"""Hierarchies that between them hold every kind of entry, and the roots they had in version 0.1.

The archives of them in ``tests/data`` were written by version 0.1; every later version has to read
them, and to write the same roots. Run as a program, this makes archives that are not there yet.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from ipldstore.store.hierarchy import Hierarchy

DATA = Path(__file__).parent.parent / "data"

ROOTS = {
    "empty": "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
    "inlined": "bafyreiaq3seb5vfoqhaojc2zmsyt5efiztycnnelknvw5yie5oghryjf34",
    "linked": "bafyreihpfewzyklpp76qeyul5ksvwwajvkrgjndnyp5ggig7djceanr3ni",
    "plain-documents": "bafyreiao4jqqddntmbqgwklmm5rsvey46ocymo5ic4oskd2y5bmjasejjq",
    "large-values": "bafyreifmq6biv4sek2mdm6tow7ulk6rsvll75aeqey65helpjnb6cvzb5y",
    "pages": "bafyreieku7xl5tj4ydijc2f42ihrx5zijpzr3keawpjerd7vffjgmggg5a",
    "linked-list": "bafyreib35ovp3mssamyasmlsmacorthjx5475k52d3qher3nj3g3mtgxqq",
}


def content(name: str) -> dict[str, bytes]:
    """Return the keys and values of a hierarchy, documents as they read back."""
    if name == "inlined":
        return {
            ".zgroup": b'{"zarr_format":2}',
            ".zattrs": b'{"a":[1,-1.5,null,true],"title":"caf\xc3\xa9"}',
            "a/.zarray": b'{"shape":[3],"chunks":[3]}',
            "a/0": b"chunk",
            "a/1": b"",
            "group/zarr.json": b"{}",
        }
    if name == "linked":
        text = b"x" * 9000
        chunks = {
            f"a/c/{row}/{column}": b"%d" % column for row in range(2) for column in range(200)
        }
        deep = {"d/" * 40 + "0": b"deep"}
        return {"zarr.json": b'{"text":"%s"}' % text, **chunks, **deep}
    if name == "plain-documents":
        return {
            ".zattrs": b'{"missing": NaN}',
            "a/.zattrs": b'{"big": %d}' % 2**70,
            "b/.zattrs": b'{"a": 1, "a": 2}',
            "c/zarr.json": b"not json",
        }
    if name == "large-values":
        return {"a/0": bytes((1 << 20) + 1), "a/1": bytes(1 << 20)}
    if name == "pages":
        return {f"a/{row}.{column}": b"x" for row in range(80) for column in range(80)}
    if name == "linked-list":
        return {f"a/{number}-{'n' * 1000}": b"x" for number in range(1200)}
    return {}


def load(name: str) -> bytes:
    """Return the archive of a hierarchy."""
    return gzip.decompress((DATA / f"{name}.car.gz").read_bytes())


def main() -> None:
    for name in ROOTS:
        path = DATA / f"{name}.car.gz"
        if not path.exists():
            store = Hierarchy()
            store.update(content(name))
            print(name, store.freeze())
            archive = store.to_car()
            assert isinstance(archive, bytes)
            path.write_bytes(gzip.compress(archive, 9, mtime=0))


if __name__ == "__main__":
    main()
