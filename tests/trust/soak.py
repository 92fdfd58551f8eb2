"""Readers and writers in several processes on one folder and one node, with faults, for a while.

Run by hand: ``python tests/trust/soak.py --minutes 10``. It needs Kubo (``IPLDSTORE_KUBO``), and
the disk gets full where it may mount one of its own. It prints figures as JSON and ends with 1 if
anything was lost: every root that a writer reported as frozen has to be there, whole, in the end.
"""

import argparse
import base64
import contextlib
import json
import os
import queue
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import faulty_gateway  # noqa: E402
from node import Node  # noqa: E402
from soak_work import mend, values_of  # noqa: E402

import ipldstore  # noqa: E402
from ipldstore.cid import multihash_of  # noqa: E402

WRITERS, READERS = 3, 2
NUMBERS_OF_A_WRITER = 1_000_000
DISK_BYTES, DISK_BYTES_A_MINUTE = 512 << 20, 64 << 20
FAULTS_OF_GATEWAY = (
    faulty_gateway.honest,
    faulty_gateway.bit_flipped,
    faulty_gateway.cut_off,
    faulty_gateway.empty,
    faulty_gateway.hung_up,
    faulty_gateway.status(503),
    faulty_gateway.page,
)


class Soak:
    """The processes, what they report, and what is done to them."""

    def __init__(self, folder, node, gateway):
        self.blocks = folder / "blocks"
        self.folder, self.node, self.gateway = folder, node, gateway
        self.roots, self.node_roots = {}, {}
        self.counts, self.faults, self.losses = Counter(), Counter(), []
        self.flipped = set()
        self.started = 0
        self.events = queue.Queue()
        self.writers, self.readers, self.others = [], [], []
        self.random = random.Random(7)

    def start(self):
        ipldstore.DirectoryCAStore(self.blocks)
        self.writers = [self.start_writer() for _ in range(WRITERS)]
        self.readers = [self.start_process("read_directory", self.blocks) for _ in range(READERS)]
        self.others = [
            self.start_process("write_node", self.node.url, 10**12),
            self.start_process("read_gateway", self.gateway.url),
        ]

    def start_writer(self):
        self.started += 1
        return self.start_process(
            "write_directory", self.blocks, self.started * NUMBERS_OF_A_WRITER
        )

    def start_process(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / "soak_work.py"), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self.listen, args=(process,), daemon=True).start()
        return process

    def listen(self, process):
        for line in process.stdout:
            if line.endswith("\n"):
                self.events.put(line.split())

    def take_events(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self.take(self.events.get(timeout=left))

    def take(self, event):
        name, *details = event
        if name == "frozen":
            self.roots[int(details[0])] = details[1]
            self.ask(self.random.choice(self.readers), self.roots)
        elif name == "node":
            self.node_roots[int(details[0])] = details[1]
            self.ask(self.others[1], self.node_roots)
        elif name == "lost":
            self.losses.append(" ".join(details))
        self.counts[name] += 1 if name in ("frozen", "node", "lost") else int(details[0])

    def ask(self, reader, roots):
        """Have a reader read one of the roots, if it still listens."""
        number = self.random.choice(list(roots))
        with contextlib.suppress(BrokenPipeError):
            reader.stdin.write(f"{number} {roots[number]}\n")

    def kill_writer(self):
        place = self.random.randrange(WRITERS)
        self.writers[place].kill()
        self.writers[place].wait()
        self.writers[place] = self.start_writer()

    def flip_bit(self):
        """Damage a block of a hierarchy that is reported, and have it read."""
        number = self.random.choice(list(self.roots))
        store = ipldstore.IPLDStore()
        store.update(values_of(number))
        store.freeze()
        cid = self.random.choice([block.cid for block in store.backend.iter_blocks()])
        (file,) = self.blocks.rglob(name_of(cid))
        data = bytearray(file.read_bytes())
        if data:
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            file.write_bytes(data)
        for reader in self.readers:
            reader.stdin.write(f"{number} {self.roots[number]}\n")

    def restart_node(self):
        self.node.kill()
        self.take_events(0.5)
        self.node.start()

    def fill_disk(self):
        filler = self.folder / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
        self.take_events(1)
        filler.unlink()

    def spoil_gateway(self):
        self.gateway.fault = self.random.choice(FAULTS_OF_GATEWAY)

    def do_fault(self, is_own_disk):
        kinds = [self.kill_writer] * 6 + [self.flip_bit] * 6 + [self.spoil_gateway] * 4
        kinds += [self.restart_node] + [self.fill_disk] * is_own_disk
        fault = self.random.choice(kinds)
        if self.roots:
            fault()
            self.faults[fault.__name__] += 1

    def stop(self):
        for process in (*self.writers, *self.readers, *self.others):
            process.kill()
            process.wait()
        self.take_events(1)

    def check(self):
        """Read every root that was reported, in the end; what is damaged can be mended."""
        folder = ipldstore.DirectoryCAStore(self.blocks)
        for number, root in self.roots.items():
            self.check_root(folder, number, root)
        with ipldstore.IPFSStore(self.node.url) as blocks:
            for number, root in self.node_roots.items():
                self.check_root(blocks, number, root)

    def check_root(self, blocks, number, root):
        try:
            try:
                found = dict(ipldstore.IPLDStore(blocks, root=root))
            except ipldstore.CorruptBlockError:
                mend(blocks, number, root)
                found = dict(ipldstore.IPLDStore(blocks, root=root))
                self.counts["mended at the end"] += 1
            if found != values_of(number):
                self.losses.append(f"{number} {root}: other values")
        except ipldstore.IPLDStoreError as error:
            self.losses.append(f"{number} {root}: {error}")

    def memory(self):
        """Return the memory of the processes that live all the time, in KiB."""
        living = {"parent": os.getpid(), "node writer": self.others[0].pid}
        living["gateway reader"] = self.others[1].pid
        living |= {f"reader {i}": process.pid for i, process in enumerate(self.readers)}
        return {name: resident(pid) for name, pid in living.items()}


def name_of(cid):
    """Return the name that Kubo's flatfs gives the file of a block."""
    return f"{base64.b32encode(multihash_of(cid)).decode().rstrip('=')}.data"


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return None


@contextlib.contextmanager
def own_disk(folder, minutes):
    """Mount a disk in memory on a folder; says whether that could be done."""
    folder.mkdir()
    size = DISK_BYTES + int(minutes * DISK_BYTES_A_MINUTE)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    is_mounted = not subprocess.run(command, capture_output=True, check=False).returncode
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def run(minutes, folder):
    with (
        own_disk(folder / "disk", minutes) as is_own_disk,
        Node(folder / "node", offline=True) as node,
        faulty_gateway.FaultyGateway(node.gateway, faulty_gateway.honest) as gateway,
    ):
        soak = Soak(folder / "disk", node, gateway)
        soak.start()
        try:
            soak.take_events(8)
            before = soak.memory()
            end = time.monotonic() + 60 * minutes
            while time.monotonic() < end:
                soak.take_events(1)
                soak.do_fault(is_own_disk)
            after = soak.memory()
        finally:
            soak.stop()
        checked = time.monotonic()
        soak.check()
        return {
            "minutes": minutes,
            "operations": dict(soak.counts),
            "faults": dict(soak.faults),
            "roots": {"folder": len(soak.roots), "node": len(soak.node_roots)},
            "losses": soak.losses,
            "memory at the start, KiB": before,
            "memory at the end, KiB": after,
            "seconds to check all roots": round(time.monotonic() - checked, 1),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args().minutes
    with TemporaryDirectory() as folder:
        figures = run(minutes, Path(folder))
    print(json.dumps(figures, indent=2))
    sys.exit(1 if figures["losses"] else 0)


if __name__ == "__main__":
    main()
