"""Opens datasets in one file in a process that never saw them written, and says what differs.

Reads cases from standard input, as JSON: the kind of store, its file, the root and the NetCDF file.
"""

import json
import sys

import xarray as xr

from ipldstore import IPLDStore
from ipldstore.backends.carfile.store import CARStore
from ipldstore.backends.sqlite.store import SQLiteCAStore


def check(kind: str, path: str, root: str, source: str) -> str:
    if kind == "car":
        store = IPLDStore(CARStore(path, read_only=True))
    else:
        store = IPLDStore(SQLiteCAStore(path), root=root, read_only=True)
    if str(store.root_cid) != root:
        return f"expected root {root}, got {store.root_cid}"
    written = xr.open_dataset(source, engine="netcdf4", decode_timedelta=False)
    try:
        xr.testing.assert_identical(xr.open_zarr(store, decode_timedelta=False), written)
    except AssertionError as error:
        return str(error)
    return "identical"


if __name__ == "__main__":
    json.dump([check(*case) for case in json.load(sys.stdin)], sys.stdout)
