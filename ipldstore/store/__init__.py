"""`IPLDStore`, in the form that the installed zarr-python asks for."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING or not version("zarr").startswith("2."):
    from ipldstore.store.zarr3 import IPLDStore
else:
    from ipldstore.store.zarr2 import IPLDStore

__all__ = ["IPLDStore"]
