"""Makes the pictures in docs/images: ``PYTHONPATH=tests python tests/docs/screenshots.py``.

Needs tmux, and an IPFS node's program in the variable ``IPLDSTORE_KUBO``. The picture of the
notebook view is made with ``--chromium PROGRAM``.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr
from node import Node
from rich.console import Console
from rich.text import Text

import ipldstore
from ipldstore.views.picture import plot_changes

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PROMPT = "$ "
DEADLINE = 60
FRAME = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size:
{char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-family: system-ui, sans-serif; font-size: 16px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


class Terminal:
    """A tmux session of some columns, in a folder."""

    def __init__(self, columns: int, folder: Path, environment: dict[str, str]) -> None:
        self.columns = columns
        self._socket = folder / f"tmux-{columns}"
        self._environment = environment
        self._tmux(
            *("new-session", "-d", "-x", str(columns), "-y", "40", "-c", str(folder)),
            "bash --norc --noprofile",
        )
        self._tmux("send-keys", f"PS1='{PROMPT}'; clear", "Enter")

    def _tmux(self, *command: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-S", str(self._socket), *command],
            env=self._environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p", "-e").rstrip()

    def run(self, command: str, until: str | None = None) -> str:
        """Type a command, and return the screen when it is done, or shows a text."""
        self._tmux("send-keys", "clear", "Enter")
        self._wait(lambda screen: screen == PROMPT.strip())
        self._tmux("send-keys", "-l", command)
        self._tmux("send-keys", "Enter")
        if until is not None:
            shown = self._wait(lambda screen: until in screen)
            self._wait(self._is_done)
            return shown
        return self._wait(self._is_done).rsplit("\n", 1)[0]

    @staticmethod
    def _is_done(screen: str) -> bool:
        return screen.count("\n") > 0 and screen.endswith(f"\n{PROMPT.strip()}")

    def _wait(self, holds: object) -> str:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            screen = self.screen()
            if holds(screen):
                return screen
            time.sleep(0.02)
        raise TimeoutError(f"the terminal shows:\n{self.screen()}")

    def close(self) -> None:
        self._tmux("kill-server")


def save(name: str, screen: str, columns: int) -> None:
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen), soft_wrap=True)
    path = IMAGES / f"{name}-{columns}.svg"
    text = console.export_svg(title="", code_format=FRAME, unique_id="t")
    path.write_text(re.sub(r"[ \t]+\n", "\n", text), encoding="utf-8")
    print(path.name, path.stat().st_size, "bytes")


def make_files(folder: Path) -> None:
    """Write a year of rain, and a version of it with corrected days."""
    rng = np.random.default_rng(2026)
    time_, lat, lon = np.arange(365), np.linspace(-89, 89, 90), np.linspace(0, 358, 180)
    rain = rng.gamma(0.3, 4, (365, 90, 180)).astype("f4")
    dataset = xr.Dataset(
        {"rain": (("time", "lat", "lon"), rain), "station": ("site", np.arange(12))},
        {"time": time_, "lat": lat, "lon": lon},
        {"title": "Rain"},
    )
    options = {"encoding": {"rain": {"chunksizes": (73, 45, 90)}}}
    dataset.to_netcdf(folder / "rain.nc", **options)
    dataset.rain[150:160] *= 1.1
    dataset.to_netcdf(folder / "rain-corrected.nc", **options)


def shoot(folder: Path, environment: dict[str, str]) -> None:
    put = "ipldstore put {} --blocks {} 2>/dev/null"
    first, second = (
        subprocess.run(
            put.format(name, "blocks"),
            shell=True,
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for name in ("rain.nc", "rain-corrected.nc")
    )
    for columns in (80, 120):
        terminal = Terminal(columns, folder, environment)
        try:
            terminal.run(f"OLD={first} NEW={second}")
            command = f"ipldstore put rain.nc --blocks other{columns}"
            save("put-running", terminal.run(command, until="chunks/s"), columns)
            save("put", terminal.run("ipldstore put rain.nc"), columns)
            save("tree", terminal.run("ipldstore tree $OLD"), columns)
            save("diff", terminal.run("ipldstore diff $OLD $NEW"), columns)
            save("publish", terminal.run("ipldstore publish $NEW --name rain"), columns)
        finally:
            terminal.close()
    plot_changes(
        first, second, IMAGES / "changes.svg", blocks=ipldstore.DirectoryCAStore(folder / "blocks")
    )


def shoot_view(folder: Path, chromium: str) -> None:
    """Make the picture of what a notebook shows."""
    store = ipldstore.IPLDStore.from_car(folder / "data.car")
    page = folder / "view.html"
    body = f"<meta charset=utf-8><body style='margin:12px'>{store._repr_html_()}"
    page.write_text(body, encoding="utf-8")
    switches = "headless no-sandbox disable-gpu disable-quic no-first-run disable-sync "
    switches += "disable-background-networking disable-component-update hide-scrollbars"
    subprocess.run(
        [
            chromium,
            *(f"--{switch}" for switch in switches.split()),
            f"--user-data-dir={folder / 'chromium'}",
            f"--screenshot={IMAGES / 'notebook.png'}",
            "--window-size=860,240",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_files(folder)
        with Node(folder / "node") as node:
            environment = {
                **os.environ,
                "HOME": temporary,
                "IPFS_PATH": str(node.path),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "LC_ALL": "C.UTF-8",
                "TERM": "xterm-256color",
            }
            shoot(folder, environment)
        if arguments.chromium:
            command = "ipldstore put rain.nc --blocks data.car"
            subprocess.run(shlex.split(command), cwd=folder, env=environment, check=True)
            shoot_view(folder, arguments.chromium)


if __name__ == "__main__":
    main()
