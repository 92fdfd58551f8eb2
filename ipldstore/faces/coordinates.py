"""The first and last values of a coordinate, read by zarr."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from ipldstore.faces import IPLDStore
from ipldstore.limits import MAX_COORDINATE_CHUNK
from ipldstore.model.metadata import Metadata
from ipldstore.model.nodechange import codecs_v2
from ipldstore.store.hierarchy import Hierarchy

_MAX_TEXT_LENGTH = 100

_HARMLESS = {
    *("bytes", "endian", "transpose", "crc32c", "sharding_indexed"),
    *("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd", "delta", "shuffle"),
}
"""Codecs that take nothing but numbers; there are some that run what they read."""

_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_REFORM = datetime(1582, 10, 15)
"""Since when the standard calendar is the Gregorian one."""

_SECONDS = {
    "day": 86400.0,
    "hour": 3600.0,
    "minute": 60.0,
    "second": 1.0,
    "millisecond": 1e-3,
    "microsecond": 1e-6,
}
_SHORT = {
    "d": "day",
    "h": "hour",
    "hr": "hour",
    "min": "minute",
    "sec": "second",
    "s": "second",
    "msec": "millisecond",
    "ms": "millisecond",
}


def read_ends(
    store: Hierarchy, path: str, metadata: Metadata, side: tuple[int, int]
) -> tuple[Any, Any] | None:
    """Return the values at the first and last index of a range; None if there are none to show."""
    shape, cells = metadata.shape, metadata.stored_shape
    if metadata.kind != "array" or shape is None or len(shape) != 1 or not cells:
        return None
    if (
        side[1] > shape[0]
        or not _is_harmless(metadata)
        or _longest(cells[0]) > MAX_COORDINATE_CHUNK
    ):
        return None
    import zarr

    array = zarr.open_array(_as_face(store), path=path, mode="r")
    ends = tuple(_decode(array[index], metadata) for index in (side[0], side[1] - 1))
    return None if None in ends else (ends[0], ends[1])


def _as_face(store: Hierarchy) -> IPLDStore:
    if isinstance(store, IPLDStore):
        return store.with_read_only(True) if hasattr(store, "with_read_only") else store
    return IPLDStore(store.blocks, root=store.root_cid, read_only=True)


def _longest(cell: Any) -> int:
    return cell if isinstance(cell, int) else max(length for length, _ in cell)


def _is_harmless(metadata: Metadata) -> bool:
    document = metadata.document or {}
    codecs = codecs_v2(document) if metadata.zarr_format == 2 else document.get("codecs")
    return _are_harmless(codecs)


def _are_harmless(codecs: Any) -> bool:
    for codec in codecs:
        if codec.get("id", codec.get("name")) not in _HARMLESS:
            return False
        configuration = codec.get("configuration") or {}
        for name in ("codecs", "index_codecs"):
            if not _are_harmless(configuration.get(name, ())):
                return False
    return True


def _decode(value: Any, metadata: Metadata) -> Any:
    """Return a number, or the time in ISO format that it stands for."""
    if value.dtype.kind == "M":
        return str(value.astype("datetime64[us]") if value.dtype.itemsize else value)
    number = value.item()
    if isinstance(number, str):
        return number[:_MAX_TEXT_LENGTH]
    if not isinstance(number, int | float) or not math.isfinite(number):
        return None
    time = _time_of(number, metadata.attributes or {})
    return number if time is None else time


def _time_of(number: float, attributes: dict[str, Any]) -> str | None:
    units, calendar = attributes.get("units"), attributes.get("calendar", "standard")
    packed = "scale_factor" in attributes or "add_offset" in attributes
    if packed or not isinstance(units, str) or str(calendar).lower() not in _CALENDARS:
        return None
    unit, found, since = units.partition(" since ")
    unit = unit.strip().lower()
    unit = _SHORT.get(unit, unit.removesuffix("s"))
    if not found or unit not in _SECONDS:
        return None
    start = _read_date(since.strip())
    if start is None:
        return None
    try:
        time = start + timedelta(seconds=number * _SECONDS[unit])
    except OverflowError:
        return None
    if str(calendar).lower() != "proleptic_gregorian" and min(start, time) < _REFORM:
        return None
    return time.isoformat()


def _read_date(text: str) -> datetime | None:
    """Read a time without a zone, or one of UTC, as loosely as it is often written."""
    text = text.removesuffix("UTC").removesuffix("Z").strip().replace("T", " ")
    text = text.removesuffix("+00:00").removesuffix("+0:00").removesuffix("+0000").strip()
    for form in ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None
