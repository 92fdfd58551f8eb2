"""Values that are no bytes: the error names the key and the type, and says what to do."""

import asyncio

import numpy as np
import pytest

from ipldstore import IPLDStore
from ipldstore.store.hierarchy import Hierarchy

WRONG = {
    "text.encode()": "text",
    "`del store[key]` removes": None,
    "json.dumps(document).encode()": {"zarr_format": 2},
    "zarr and xarray write arrays": 3,
    "zarr and xarray write arrays and": [1, 2],
    "zarr and xarray write arrays and numbers": np.array(["a", 1], object),
}


@pytest.mark.parametrize("make", [Hierarchy, IPLDStore])
@pytest.mark.parametrize("advice", WRONG)
def test_the_mapping_says_what_to_do(make, advice):
    store, value = make(), WRONG[advice]
    for setting in (
        lambda: store.__setitem__("a/0", value),
        lambda: store.update({"a/0": value}),
        lambda: store.setdefault("a/0", value),
    ):
        with pytest.raises(TypeError) as caught:
            setting()
        expected = f"expected bytes for key 'a/0', or a buffer of them, not {type(value).__name__}"
        assert str(caught.value).startswith(expected)
        assert advice in str(caught.value)
    assert dict(store) == {}


@pytest.mark.skipif(not hasattr(IPLDStore, "set_sync"), reason="zarr-python 2 has no such methods")
@pytest.mark.parametrize("value", [b"bytes", *WRONG.values()])
def test_the_zarr_face_says_what_to_do(value):
    store = IPLDStore()
    for setting in (
        lambda: asyncio.run(store.set("a/0", value)),
        lambda: store.set_sync("a/0", value),
    ):
        with pytest.raises(TypeError) as caught:
            setting()
        assert f"for key 'a/0', not {type(value).__name__}; store[key] = " in str(caught.value)
