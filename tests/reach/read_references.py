"""Read a reference set with plain zarr and fsspec, in a process that never imports ipldstore."""

import json
import sys
from hashlib import sha256

import fsspec
import zarr


def main(url, array):
    options = {"fo": url}
    if zarr.__version__.startswith("3."):  # its file systems are asynchronous, to the last one
        options["remote_options"] = {"asynchronous": True}
    group = zarr.open("reference://", mode="r", storage_options=options)
    values = group[array][:]
    keys = sorted(fsspec.filesystem("reference", fo=url).find(""))
    assert not any(name.partition(".")[0] == "ipldstore" for name in sys.modules)
    print(json.dumps([values.shape, str(values.dtype), sha256(values.tobytes()).hexdigest(), keys]))


if __name__ == "__main__":
    main(*sys.argv[1:])
