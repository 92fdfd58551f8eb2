"""`IPLDStore`, in the form that the installed zarr-python asks for."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipldstore.faces.zarr3 import IPLDStore

__all__ = ["IPLDStore"]


def __getattr__(name: str) -> Any:
    """Import zarr when `IPLDStore` is asked for: the rest of the package needs none."""
    if name != "IPLDStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    generation = "zarr2" if version("zarr").startswith("2.") else "zarr3"
    value = import_module(f"ipldstore.faces.{generation}").IPLDStore
    globals()[name] = value
    return value
