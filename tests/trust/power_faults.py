"""Has strace stop a writer, or fail its calls to the system, at one call; for the three stores.

Run as a script it writes as `power_script` does, with fsync, and prints what it was promised, or
the name of the error that stopped it.
"""

import os
import subprocess
import sys
from pathlib import Path

CALLS = {
    "directory": {"mkdir": 18, "write": 18, "fsync": 60, "rename": 18},
    "sqlite": {"pwrite64": 70, "fdatasync": 16},
    "car": {"pwrite64": 34, "fsync": 14},
}
"""What each store calls when all is written, and at least how often.

SQLite takes no notice of folders that cannot be synced.
"""


def run_with_fault(kind, folder, call, number, fault):
    """Write to a new store, with a fault at one call; return the promises, and what ended it."""
    from power_recorder import need_strace

    need_strace()
    command = [sys.executable, "-B", "-W", "ignore", __file__, kind, folder]
    inject = f"inject={call}:{fault}:when={number}"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject, *command],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    *said, end = [*done.stdout.splitlines(), "killed"][: -1 if done.returncode == 0 else None]
    assert end == "killed" or done.returncode == 0, done.stderr
    return said, end


def main(kind, folder):
    from power_script import THIRD, make_archive, write

    def say(text):
        # neither of the calls that are made to fail
        os.writev(1, [f"{text}\n".encode()])

    try:
        write(kind, folder, True, make_archive(THIRD), say)
        say("done")
    except Exception as error:
        say(type(error).__name__)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(*sys.argv[1:])
