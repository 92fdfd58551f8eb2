"""Fresh environments for the pages, with nothing in them but what a page says to install."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from page import ROOT

UV = shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)

_OURS = re.compile(r"ipldstore(\[.+\])?")


def build_wheel(folder):
    """Build the package as it would be on an index, and return the file."""
    _run(UV, "build", "--quiet", "--out-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def make_environment(folder, installs, wheel):
    """Make an environment, run the lines of `pip install` in it, and return its programs."""
    _run(UV, "venv", "--quiet", "--python", sys.executable, folder)
    for line in installs:
        what = [_ours(word, wheel) for word in shlex.split(line)]
        _run(UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *what)
    return folder / "bin"


def _ours(word, wheel):
    found = _OURS.fullmatch(word)
    return word if found is None else f"ipldstore{found[1] or ''} @ {wheel.as_uri()}"


def _run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stderr}"
