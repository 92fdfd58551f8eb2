"""A CAR archive out of and into a folder of blocks, against sha256 and a plain copy of it."""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import Table, seconds

import ipldstore

MIB = 1 << 20


def fill(folder: Path, size: int, chunk: int) -> str:
    store = ipldstore.IPLDStore(ipldstore.DirectoryCAStore(folder))
    for i in range(size // chunk):
        store[f"a/c/{i}"] = os.urandom(chunk)
    return str(store.freeze())


def hash_and_copy(source: Path, destination: Path) -> None:
    """Read a file, hash it with sha256 and write it, in pieces, in one thread."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(MIB))
    with open(source, "rb", buffering=0) as old, open(destination, "wb", buffering=0) as new:
        while count := old.readinto(buffer):
            digest.update(buffer[:count])
            new.write(buffer[:count])


def run_alone(step: str, *arguments: object) -> tuple[float, float]:
    """Run a step in a process of its own, and return its seconds and MiB of memory."""
    command = [sys.executable, __file__, "--step", step, *map(str, arguments)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    time, memory = output.split()
    return float(time), float(memory)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step(name: str, *arguments: str) -> None:
    store = ipldstore.IPLDStore()
    before = peak()
    if name == "export":
        folder, root, archive = arguments
        store = ipldstore.IPLDStore(ipldstore.DirectoryCAStore(folder), root=root)
        taken = seconds(lambda: store.to_car(archive))
    elif name == "import":
        archive, folder = arguments
        store = ipldstore.IPLDStore(ipldstore.DirectoryCAStore(folder))
        taken = seconds(lambda: store.import_car(archive))
    else:
        source, destination = map(Path, arguments)
        taken = seconds(lambda: hash_and_copy(source, destination))
    print(taken, peak() - before)


def measure(folder: Path, root: str, table: Table, memory: dict[str, float]) -> None:
    archive, copy, loaded = folder / "a.car", folder / "copy", folder / "loaded"
    steps = {
        "export": ("export", folder / "blocks", root, archive),
        "copy": ("copy", archive, copy),
        "import": ("import", archive, loaded),
    }
    for name, arguments in steps.items():
        os.sync()
        taken, memory_used = run_alone(*arguments)
        memory[name] = max(memory.get(name, 0), memory_used)
        if name == "copy":
            table.add("export", "sha256 + copy", taken)
            table.add("import", "sha256 + copy", taken)
        else:
            table.add(name, "CAR", taken)
    subprocess.run(["rm", "-rf", archive, copy, loaded], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="MiB in all")
    parser.add_argument("--chunk", type=int, default=1024, help="KiB in a chunk")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="where to put the files")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step(*arguments.step)
        return
    table, memory = Table(), {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        root = fill(folder / "blocks", arguments.size * MIB, arguments.chunk << 10)
        for _ in range(arguments.runs):
            measure(folder, root, table, memory)
    table.show(
        f"{arguments.size:,} MiB in chunks of {arguments.chunk:,} KiB", [("CAR", "sha256 + copy")]
    )
    for name, most in memory.items():
        print(f"  {name}: {most:.0f} MiB above the interpreter with its imports")


if __name__ == "__main__":
    main()
