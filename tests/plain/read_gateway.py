"""Reads an array with plain zarr from a gateway and prints a few values of it."""

import sys

import zarr


def main(url, name):
    array = zarr.open_group(url, mode="r")[name]
    print(*array.shape, array[0], array[12_345], array[-1], array[500:600].sum())
    assert not any(module.startswith("ipldstore") for module in sys.modules)


if __name__ == "__main__":
    main(*sys.argv[1:])
