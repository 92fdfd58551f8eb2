"""Opens datasets by their roots in a process that never saw them written.

Reads a list of cases from standard input, as JSON, and writes one verdict for each.
"""

import json
import sys

import xarray as xr

from ipldstore import DirectoryCAStore, IPLDStore


def open_store(case: dict) -> IPLDStore:
    if "archive" in case:
        return IPLDStore.from_car(case["archive"])
    return IPLDStore(DirectoryCAStore(case["folder"]), root=case["root"], read_only=True)


def check(case: dict) -> str:
    store = open_store(case)
    if str(store.root_cid) != case["root"]:
        return f"expected root {case['root']}, got {store.root_cid}"
    source = xr.open_dataset(case["source"], engine="netcdf4", decode_timedelta=False)
    opened = xr.open_zarr(store, consolidated=case["consolidated"], decode_timedelta=False)
    try:
        xr.testing.assert_identical(opened, source)
    except AssertionError as error:
        return str(error)
    return "identical"


if __name__ == "__main__":
    json.dump([check(case) for case in json.load(sys.stdin)], sys.stdout)
