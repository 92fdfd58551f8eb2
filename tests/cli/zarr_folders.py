"""Zarr folders whose root CIDs are known, written down as files."""

from __future__ import annotations

import os
from pathlib import Path

# The files that zarr-python 2.18 writes for xarray.Dataset({"a": ("a", [1, 2, 3])}) without a
# compressor, and the roots that the reference implementation gave them.
ARRAY_JSON = (
    '{"chunks":[3],"compressor":null,"dtype":"<i8","fill_value":null,"filters":null,'
    '"order":"C","shape":[3],"zarr_format":2}'
)
CLASSIC_FILES = {
    ".zattrs": b"{}",
    ".zgroup": b'{"zarr_format":2}',
    "a/.zarray": ARRAY_JSON.encode(),
    "a/.zattrs": b'{"_ARRAY_DIMENSIONS":["a"]}',
    "a/0": b"".join(value.to_bytes(8, "little") for value in (1, 2, 3)),
}
CONSOLIDATED = (
    f'{{"metadata":{{".zattrs":{{}},".zgroup":{{"zarr_format":2}},"a/.zarray":{ARRAY_JSON},'
    '"a/.zattrs":{"_ARRAY_DIMENSIONS":["a"]}},"zarr_consolidated_format":1}'
)
CLASSIC_ROOT = "bafyreidn66mk3fktszrfwayonvpq6y3agtnb5e5o22ivof5tgikbxt7k6u"
CONSOLIDATED_ROOT = "bafyreibf3yn5ovxhrcwwdg4sm5sinnkwoyfx3wswghbjchz4zvwt55bhte"
ABSENT_ROOT = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for key, data in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    return {
        os.fspath(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
