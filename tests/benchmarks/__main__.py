"""Run all benchmarks whose peers are installed: ``python tests/benchmarks``."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = {
    "codec.py": "dag_cbor",
    "zarr_stores.py": "zarr",
    "versions.py": "icechunk",
    "damage.py": "icechunk",
    "million.py": "zarr",
    "car_transfer.py": "zarr",
    "ipfs_node.py": "zarr",
    "onefile.py": "zarr",
    "ocdbt.py": "tensorstore",
    "wire.py": "obstore",
    "verifying.py": "numpy",
    "cluster.py": "distributed",
    "journals.py": "obstore",
}

for name, peer in PROGRAMS.items():
    print(f"\n== {name}", flush=True)
    if find_spec(peer) is None:
        print(f"left out: {peer} is not installed")
    else:
        subprocess.run([sys.executable, str(Path(__file__).with_name(name))], check=True)
