"""NCZarr, as netCDF-C 4.8 writes it: xarray reads its dimensions from the document itself."""

import json
from collections import UserDict

import numpy as np
import pytest
import xarray as xr

from ipldstore import IPLDStore, MappingCAStore

DATA = np.array([1.5, 2.5, 3.5], "<f4")


def document(**further):
    array = {
        "zarr_format": 2,
        "shape": [3],
        "chunks": [3],
        "dtype": "<f4",
        "compressor": None,
        "fill_value": None,
        "order": "C",
        "filters": None,
    }
    return json.dumps(array | further).encode()


def far_away():
    return MappingCAStore(UserDict())


@pytest.fixture(params=[MappingCAStore, far_away])
def store(request):
    store = IPLDStore(request.param())
    store[".zgroup"] = b'{"zarr_format":2}'
    store["v/0"] = DATA.tobytes()
    return store


def test_dimensions_stand_in_the_array_document(store):
    store["v/.zattrs"] = b"{}"
    store["v/.zarray"] = document(_NCZARR_ARRAY={"dimrefs": ["/x"], "storage": "chunked"})
    again = IPLDStore(store.backend, root=store.freeze())
    for each in store, again, again.with_read_only(True):
        with xr.open_zarr(each, consolidated=False) as opened:
            assert dict(opened.v.sizes) == {"x": 3}
            np.testing.assert_array_equal(opened.v, DATA)


def test_an_array_whose_dimensions_nothing_names_is_xarrays_own_error(store):
    store["v/.zattrs"] = b"{}"
    store["v/.zarray"] = document()
    with pytest.raises(KeyError, match="_ARRAY_DIMENSIONS"):
        xr.open_zarr(store, consolidated=False)
