"""Fuzz with atheris: ``python tests/fuzz --seconds 60``, or one target ``--only tree``.

Each target runs in a process of its own, as many at once as ``--jobs`` says. An input that a
target does not stand is written to the folder ``--crashes`` and makes the exit code 1. With
``--save``, inputs that reach new code join the corpora in tests/data/fuzz.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from corpus import load_corpus, save_corpus

NAMES = (
    *("car", "carfile", "cid", "dag", "dagcbor", "history", "json", "packed"),
    *("tree", "unixfs", "verify", "views"),
)
MAX_BYTES = 4096
MEMORY_MIB = 1024
INPUT_SECONDS = 20


def fuzz_one(target: str, options: argparse.Namespace) -> dict[str, object]:
    """Fuzz a target in a process, and return what came of it."""
    from seeds import seeds_of  # imports ipldstore, which the child has to instrument first

    with tempfile.TemporaryDirectory() as folder:
        begun = [*seeds_of(target), *load_corpus(target)]
        found = Path(folder, "found")
        found.mkdir()
        for number, data in enumerate(begun):
            (found / f"{number:06}").write_bytes(data)
        done = start(
            target,
            found,
            f"-max_total_time={options.seconds}",
            f"-artifact_prefix={options.crashes}/{target}-",
            "-use_value_profile=1",
        )
        if options.save and done.returncode == 0:
            smallest = Path(folder, "smallest")
            smallest.mkdir()
            start(target, smallest, str(found), "-merge=1")
            save_corpus(target, [path.read_bytes() for path in smallest.iterdir()])
        count = len(list(found.iterdir()))
    if done.returncode != 0:
        print(done.stderr[-4000:], file=sys.stderr)
    runs = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    return {
        "target": target,
        "runs": int(runs[1]) if runs else 0,
        "seconds": options.seconds,
        "new": count - len(begun),
        "failed": done.returncode != 0,
    }


def start(target: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run libFuzzer in a process of its own."""
    return subprocess.run(
        [
            *(sys.executable, __file__, "--child", target, str(folder), *options),
            *(f"-rss_limit_mb={MEMORY_MIB}", f"-timeout={INPUT_SECONDS}"),
            *(f"-max_len={MAX_BYTES}", "-print_final_stats=1"),
        ],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def child(target: str, arguments: list[str]) -> None:
    """Run libFuzzer in this process."""
    import atheris

    with atheris.instrument_imports(include=["ipldstore"]):
        import targets

    def run(data: bytes) -> None:
        targets.run(target, data)

    again = f"{sys.executable} {__file__} --child {target}"  # how -merge=1 starts itself
    atheris.Setup([again, *arguments], run)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to fuzz each target")
    parser.add_argument("--only", choices=NAMES, action="append", help="a target; all by default")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--crashes", type=Path, default=Path("crashes"))
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    options.crashes.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda name: fuzz_one(name, options), options.only or NAMES))
    for result in results:
        print(json.dumps(result))
    return any(result["failed"] for result in results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
    else:
        raise SystemExit(main())
