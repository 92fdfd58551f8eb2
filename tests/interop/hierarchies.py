"""A hierarchy with linked directories, a linked document, and an empty value."""

from ipldstore import IPLDStore


def fill(store: IPLDStore) -> IPLDStore:
    for name in ("b", "a"):
        for i in range(200):
            store[f"{name}/{i}"] = b"chunk %s %d " % (name.encode(), i) * 20
        store[f"{name}/.zarray"] = b'{"shape": [200], "fill_value": -0.5, "filters": null}'
    store["a/.zattrs"] = '{"standard_name": "température", "long": "%s"}'.replace(
        "%s", "x" * 10_000
    ).encode()
    store[".zgroup"] = b'{"zarr_format": 2}'
    store["empty"] = b""
    store["again"] = b"chunk a 0 " * 20
    store["large"] = bytes(1 << 20)
    return store
