"""What bytes are that are not what was expected, told by what they begin with."""

from __future__ import annotations

import codecs
from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of file: what it is, as it stands in a sentence, and what to do with it, if known."""

    text: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.advice})" if self.advice else self.text


_PUT = "`ipldstore put` makes a hierarchy of it"
_UNPACK = "unpack it first"

CAR = Kind("a CAR archive")
NETCDF = Kind("a NetCDF-4 or HDF5 file", _PUT)
NETCDF_3 = Kind("a NetCDF-3 file", _PUT)
NUMPY = Kind("a NumPy file", _PUT)
TIFF = Kind("a TIFF file", _PUT)
ZIP = Kind("a zip file", f"of Zarr, or .npz, {_PUT}; else {_UNPACK}")
EMPTY_ZIP = Kind("an empty zip file")
SQLITE = Kind("an SQLite database", "of blocks if sqlite:PATH opens it")

_BEGINNINGS = {
    b"\x89HDF\r\n\x1a\n": NETCDF,
    b"CDF\x01": NETCDF_3,
    b"CDF\x02": NETCDF_3,
    b"CDF\x05": NETCDF_3,
    b"SQLite format 3\0": SQLITE,
    b"\x1f\x8b": Kind("a gzip file", _UNPACK),
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": EMPTY_ZIP,
    b"\x28\xb5\x2f\xfd": Kind("a Zstandard file", _UNPACK),
    b"BZh": Kind("a bzip2 file", _UNPACK),
    b"\xfd7zXZ\0": Kind("an xz file", _UNPACK),
    b"\x93NUMPY": NUMPY,
    b"II*\0": TIFF,
    b"II+\0": TIFF,
    b"MM\0*": TIFF,
    b"MM\0+": TIFF,
    b"GRIB": Kind("a GRIB file"),
    b"%PDF-": Kind("a PDF file"),
    b"version https://git-lfs": Kind("a Git LFS pointer", "`git lfs pull` fetches the file"),
    b"\x0a\xa1gversion\x02": CAR,
}
_MARKUP = {
    "<!doctype html": "HTML",
    "<html": "HTML",
    "<?xml": "XML",
    "<": "HTML or XML",
    "{": "JSON",
    "[": "JSON",
}
_SHOWN = 40


def kind_of(head: bytes) -> Kind | None:
    """Return what a file is, by the first dozens of its bytes; None if that is not known."""
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    if head and not head.strip(b"\0"):
        return Kind("zeros")
    if head[1:].startswith(b"\xa2eroots"):
        return CAR
    return _kind_of_text(head)


def _kind_of_text(head: bytes) -> Kind | None:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return None
    if not text.strip() or not all(char.isprintable() or char.isspace() for char in text):
        return None
    lines = text.strip().splitlines()
    lowered = lines[0].lower()
    name = next((name for start, name in _MARKUP.items() if lowered.startswith(start)), "text")
    return Kind(f"{name}, which begins with {lines[0][:_SHOWN]!r}")
