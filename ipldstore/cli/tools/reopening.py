"""Whether what was written can be opened: `check_opens`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from ipldstore.cli.frame.escaping import one_line
from ipldstore.cli.frame.output import say
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.errors import IPLDStoreError
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.keys import METADATA_NAMES

if TYPE_CHECKING:
    from ipldstore.faces import IPLDStore


def check_opens(store: IPLDStore, groups: Mapping[str, xr.Dataset]) -> None:
    """Open each group that was written as users do, and read an element of each variable.

    A variable that xarray cannot decode in the source either is said; it opens undecoded.
    """
    for path, source in groups.items():
        try:
            _check_group(store, path, source)
        except (IPLDStoreError, OSError, CommandError):
            raise
        except Exception as error:
            names = [name for name in source.variables if not _opens_alone(store, path, str(name))]
            what = f"variable {str(names[0])!r}" if names else "something"
            raise CommandError(
                f"{what} in group {path!r} was written and cannot be opened: {_text_of(error)}"
            ) from None


def _check_group(store: IPLDStore, path: str, source: xr.Dataset) -> None:
    with _open(store, path, decode_cf=False) as raw:
        for name in source.variables:
            if name not in raw.variables:
                raise CommandError(
                    f"variable {str(name)!r} in group {path!r} has a name that is another one in "
                    "Zarr: rename it"
                )
            if (error := _decoding_error(raw, name)) is None:
                continue
            if _decoding_error(source, name) is None:
                raise CommandError(
                    f"variable {str(name)!r} in group {path!r} was written and cannot be decoded: "
                    f"{_text_of(error)}"
                )
            say(
                f"variable {str(name)!r} in group {path!r} is as in the source: xarray cannot "
                f"decode it, and opens it undecoded ({_text_of(error)})"
            )


def _open(store: IPLDStore, path: str, **options: Any) -> xr.Dataset:
    group = path.strip("/") or None
    dataset: xr.Dataset = xr.open_zarr(
        store, group=group, consolidated=False, chunks=None, **options
    )
    return dataset


def _decoding_error(dataset: xr.Dataset, name: Any) -> Exception | None:
    """Decode the first element of a variable, and return what goes wrong."""
    first = dataset.isel(dict.fromkeys(dataset.variables[name].dims, slice(1)))
    alone = xr.Dataset({name: first.variables[name]})
    try:
        xr.decode_cf(alone, decode_timedelta=False).load()
    except (IPLDStoreError, OSError):
        raise
    except Exception as error:
        return error
    return None


def _opens_alone(store: IPLDStore, path: str, name: str) -> bool:
    """Whether a variable opens without the others."""
    group = path.strip("/")
    alone = type(store)()
    for place in (group, f"{group}/{name}".lstrip("/")):
        for document in METADATA_NAMES:
            key = f"{place}/{document}".lstrip("/")
            if (data := Hierarchy.get(store, key)) is not None:
                Hierarchy.__setitem__(alone, key, data)
    try:
        _open(alone, path, decode_cf=False).close()
    except Exception:
        return False
    return True


def _text_of(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"
