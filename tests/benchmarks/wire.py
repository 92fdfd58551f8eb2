"""What stores cost at the wire: requests, bytes, seconds and dollars of one S3 server.

ipldstore, plain Zarr on obstore and on s3fs, and Icechunk do the same things through zarr-python,
in turn, with latency added to each request. s3fs and Icechunk are left out where they are not
installed. Every step begins with a client of its own, so that nothing is cached.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import zarr
from contestants import PEERS, SMALL, Ours, Place, make_array, small_chunk
from line import SPAWN, CountingLine, Passed
from timing import Table, seconds

sys.path[:0] = [str(Path(__file__).parents[1])]
from servers import S3  # noqa: E402

FOLDER = "/dev/shm"
STEPS = {
    "write": "write 4,096 chunks of 16 KiB, commit",
    "open": "open an array",
    "read": "read all of it",
    "128": "the same, with zarr's `async.concurrency` of 128",
    "random": "41 chunks at random",
    "row": "a row of 64 chunks",
    "again": "write the same again, in a new process",
    "update": "20 times, change a chunk and commit",
    "append": "20 times, append 64 chunks and commit",
    "groups": "make 300 groups, commit",
    "shards": "write 16 shards of 4 MiB, commit",
    "inner": "41 of their 4,096 inner chunks",
    "large": "write 64 chunks of 1 MiB, commit",
    "reread": "read them",
    "small": "100 of 200,000 chunks of 1 KiB",
}
METHODS = ("GET", "HEAD", "LIST", "PUT", "POST", "DELETE")


Results: TypeAlias = dict[tuple[str, str], list[tuple[float, Passed]]]
"""What each run of a step gave for a contestant: seconds, and what passed the line."""


class KeepAliveS3(S3):
    """The server of the tests, which leaves connections open as Amazon's does.

    Files that came into its folder by another way have a tag too, which Icechunk asks for.
    """

    def command(self) -> list[str]:
        program, *rest, folder = super().command()
        return [program, "--keep-alive", *rest, "--default-etag=laid-down", folder]


@dataclass(frozen=True)
class Sizes:
    """How much of everything: chunks along a side, commits, groups, small chunks."""

    side: int = 64
    commits: int = 20
    groups: int = 300
    small: int = 200_000
    picked: int = 100
    shard: int = 4 << 20

    @property
    def edge(self) -> int:
        return self.side * 128

    def data(self, seed: int) -> Any:
        return np.random.default_rng(seed).integers(0, 256, (self.edge, self.edge), "u1")

    def pick(self, count: int, seed: int) -> Any:
        return np.random.default_rng(seed).choice(self.side**2, count, replace=False)

    def one_percent(self, seed: int) -> Any:
        return self.pick(-(-(self.side**2) // 100), seed)

    def random_small(self) -> list[int]:
        picked = np.random.default_rng(0).choice(self.small, self.picked, replace=False)
        return sorted(picked.tolist())


QUICK = Sizes(side=8, commits=2, groups=3, small=500, picked=5, shard=1 << 18)


def write_again(peer: Any, place: Place, root: str | None, data: Any) -> float:
    """Write what is there already, in a process that knows nothing of it; return the seconds."""

    def write() -> None:
        contestant = peer(place, root)
        zarr.open_array(contestant.begin(), path="a")[:] = data
        contestant.commit()
        contestant.close()

    return seconds(write)


class Course:
    """All steps of one contestant with one latency."""

    def __init__(self, peer: Any, place: Place, line: CountingLine, latency: float) -> None:
        self.peer, self.place = peer, place
        self._line, self._latency = line, latency
        self.root: str | None = None
        self.results: dict[str, tuple[float, Passed]] = {}

    def step(self, name: str, work: Callable[[Any], object]) -> None:
        """Do something with a client that is new."""

        def run() -> None:
            contestant = self.peer(self.place, self.root)
            work(contestant)
            self.root = contestant.root
            contestant.close()

        self._line.begin(self._latency)
        taken = seconds(run)
        self.results[name] = taken, self._line.read()

    def step_elsewhere(self, name: str, data: Any) -> None:
        with SPAWN.Pool(1) as pool:
            self._line.begin(self._latency)
            taken = pool.apply(write_again, (self.peer, self.place, self.root, data))
            self.results[name] = taken, self._line.read()


def run_course(course: Course, sizes: Sizes, seed: int) -> None:
    data = sizes.data(seed)

    def write(contestant: Any) -> None:
        store = contestant.begin()
        make_array(store, "a", data.shape, (128, 128))[:] = data
        contestant.commit()

    course.step("write", write)
    course.step("open", open_array)
    run_reads(course, sizes, data, seed)
    course.step_elsewhere("again", data)
    run_changes(course, sizes, seed)
    run_shards(course, sizes, data, seed)
    run_large(course, sizes, np.roll(data, 1))


def open_array(contestant: Any, name: str = "a") -> Any:
    return zarr.open_array(contestant.store, path=name, mode="r")


def run_reads(course: Course, sizes: Sizes, data: Any, seed: int) -> None:
    def read_all(contestant: Any) -> None:
        assert np.array_equal(open_array(contestant)[:], data)

    def read_row(contestant: Any) -> None:
        assert np.array_equal(open_array(contestant)[128:256], data[128:256])

    course.step("read", read_all)
    with zarr.config.set({"async.concurrency": 128}):
        course.step("128", read_all)
    picked = sizes.one_percent(seed)
    course.step("random", lambda contestant: read_points(contestant, "a", sizes, picked, data))
    course.step("row", read_row)


def read_points(contestant: Any, name: str, sizes: Sizes, picked: Any, data: Any) -> None:
    """Read one cell of each of some chunks, all in one selection."""
    rows, columns = picked // sizes.side * 128, picked % sizes.side * 128
    found = open_array(contestant, name).vindex[rows, columns]
    assert np.array_equal(found, data[rows, columns])


def commits(contestant: Any, count: int) -> Iterator[Any]:
    """Iterate the array `a` to be changed, and commit what was done to it."""
    array = None
    for _ in range(count):
        if array is None or not contestant.is_lasting:
            array = zarr.open_array(contestant.begin(), path="a")
        yield array
        contestant.commit()


def run_changes(course: Course, sizes: Sizes, seed: int) -> None:
    picked = sizes.pick(sizes.commits, seed)
    new = np.random.default_rng((seed, 1)).integers(0, 256, (128, sizes.edge), "u1")

    def update(contestant: Any) -> None:
        for number, array in enumerate(commits(contestant, sizes.commits)):
            row, column = picked[number] // sizes.side * 128, picked[number] % sizes.side * 128
            array[row : row + 128, column : column + 128] = np.roll(new[:, :128], number)

    def append(contestant: Any) -> None:
        for number, array in enumerate(commits(contestant, sizes.commits)):
            array.append(np.roll(new, 1000 + number))

    def make_groups(contestant: Any) -> None:
        root = zarr.open_group(contestant.begin(), mode="a")
        for number in range(sizes.groups):
            root.create_group(f"g{number}")
        contestant.commit()

    course.step("update", update)
    course.step("append", append)
    course.step("groups", make_groups)


def run_shards(course: Course, sizes: Sizes, data: Any, seed: int) -> None:
    side = int(sizes.shard**0.5)

    def write(contestant: Any) -> None:
        store = contestant.begin()
        array = make_array(store, "s", data.shape, (128, 128), shards=(side, side))
        array[:] = data
        contestant.commit()

    picked = sizes.one_percent(seed)
    course.step("shards", write)
    course.step("inner", lambda contestant: read_points(contestant, "s", sizes, picked, data))


def run_large(course: Course, sizes: Sizes, data: Any) -> None:
    side = sizes.edge // 8

    def write(contestant: Any) -> None:
        store = contestant.begin()
        make_array(store, "l", data.shape, (side, side))[:] = data
        contestant.commit()

    def read(contestant: Any) -> None:
        assert np.array_equal(open_array(contestant, "l")[:], data)

    course.step("large", write)
    course.step("reread", read)


def run_small(course: Course, sizes: Sizes) -> None:
    numbers = sizes.random_small()
    wanted = np.array([small_chunk(number)[7] for number in numbers], "u1")

    def read(contestant: Any) -> None:
        found = open_array(contestant, "small").vindex[[n * SMALL + 7 for n in numbers]]
        assert np.array_equal(found, wanted)

    course.step("small", read)


@dataclass
class Summary:
    """The medians of a step."""

    seconds: float
    passed: Passed

    @classmethod
    def of(cls, results: list[tuple[float, Passed]]) -> Summary:
        middle = statistics.median(taken for taken, _ in results)
        # the counts hardly differ: by blocks that are still on their way when they are looked for
        passed = sorted((passed for _, passed in results), key=lambda p: p.requests.total())
        return cls(middle, passed[len(passed) // 2])


def show(latency: float, results: Results) -> None:
    print(f"\n{latency:g} ms a request")
    heads = "".join(f"{method:>7}" for method in METHODS)
    print(f"  {'step':<7} {'':<10}{heads} {'sent MB':>9} {'recv MB':>9} {'s':>8} {'cents':>8}")
    for (step, name), found in results.items():
        it = Summary.of(found)
        counts = "".join(f"{it.passed.requests[method]:>7}" for method in METHODS)
        sizes = f"{it.passed.sent / 1e6:>9.2f} {it.passed.received / 1e6:>9.2f}"
        money = f"{it.passed.dollars * 100:>8.4f}"
        print(f"  {step:<7} {name:<10}{counts} {sizes} {it.seconds:>8.3f} {money}")


def show_markdown(results: Results) -> None:
    """Print the table of the documentation: requests, megabytes both ways, seconds, cents."""
    names = list(dict.fromkeys(name for _, name in results))
    print("\n| | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for step in dict.fromkeys(step for step, _ in results):
        cells = (describe(Summary.of(results[step, name])) for name in names)
        print(f"| {STEPS[step]} | " + " | ".join(cells) + " |")


def describe(it: Summary) -> str:
    megabytes = (it.passed.sent + it.passed.received) / 1e6
    cents = it.passed.dollars * 100
    sizes = short(megabytes, 3), short(it.seconds, 2), short(cents, 2)
    return " · ".join([f"{it.passed.requests.total():,}", *sizes])


def short(number: float, digits: int) -> str:
    return np.format_float_positional(number, digits, unique=False, fractional=False, trim="-")


def show_ratios(results: Results) -> None:
    table = Table()
    for (step, name), found in results.items():
        for taken, _ in found:
            table.add(step, name, taken)
    table.show("seconds", [(Ours.name, peer.name) for peer in PEERS[1:]])


def measure(server: S3, line: CountingLine, sizes: Sizes, arguments: argparse.Namespace) -> None:
    def place_of(name: str) -> Place:
        endpoint = f"http://127.0.0.1:{line.port}"
        return Place(endpoint, "wire", server.folder / "buckets", name, server.key, server.secret)

    server.create("wire")
    roots = {
        peer: peer.lay_down(place_of(f"small-{peer.name}"), sizes.small, sizes.random_small())
        for peer in PEERS
    }
    for latency in arguments.latency:
        results: Results = {}
        for run in range(arguments.runs):
            for peer in PEERS:
                place = place_of(f"{peer.name}-{latency:g}-{run}")
                course = Course(peer, place, line, latency / 1000)
                run_course(course, sizes, run)
                course.place, course.root = place_of(f"small-{peer.name}"), roots[peer]
                run_small(course, sizes)
                for step, result in course.results.items():
                    results.setdefault((step, peer.name), []).append(result)
        steps = list(STEPS)
        results = dict(sorted(results.items(), key=lambda item: steps.index(item[0][0])))
        show(latency, results)
        show_ratios(results)
        if arguments.markdown:
            show_markdown(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 20, 50], help="ms")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="little data, once, with 20 ms")
    kind.add_argument("--markdown", action="store_true", help="the table of the documentation too")
    parser.add_argument(
        "--folder", default=FOLDER if Path(FOLDER).is_dir() else None, help="where the bucket is"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.runs, arguments.latency = 1, [20]
    with ExitStack() as resources:
        folder = resources.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder))
        server = resources.enter_context(KeepAliveS3(Path(folder)))
        line = resources.enter_context(CountingLine(server.port))
        measure(server, line, QUICK if arguments.quick else Sizes(), arguments)


if __name__ == "__main__":
    main()
