"""Every page of the documentation, followed literally in a fresh environment."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from environments import UV, build_wheel, make_environment
from outside import skip_without
from page import FREE, PAGES, RUN, read_page

PROGRAMS = {
    "ipfs": ("IPLDSTORE_KUBO", "ipfs"),
    "s3": ("IPLDSTORE_S3", "versitygw"),
    "gs": ("IPLDSTORE_GCS", "fake-gcs-server"),
    "redis-server": ("", "redis-server"),
    "git": ("", "git"),
}
NOT_RUN = {
    ("docs/contributing.md", "it is what runs this page"),
    ("docs/contributing.md", "each takes minutes"),
    ("docs/how-to/job-arrays.md", "it needs MPI"),
    ("docs/how-to/long-writes.md", "it needs an interrupt"),
    ("docs/how-to/move-from-another-store.md", "py-hamt needs Python 3.12"),
}
"""Code that is shown and cannot be run: the page, and the reason that it gives."""

ALL = [read_page(path) for path in PAGES]
SECONDS = 240


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    if UV is None:
        pytest.skip("no uv, which is in the extra `docs`: .ci/docs runs the pages")
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.parametrize("page", [p for p in ALL if p.to_run], ids=lambda page: page.name)
def test_page_does_what_it_says(page, wheel, tmp_path):
    for need in page.needs:
        variable, program = PROGRAMS[need.partition(":")[0]]
        if not os.environ.get(variable) and shutil.which(program) is None:
            skip_without(f"no {program}, which the page needs")
    installs = page.installs or ["ipldstore"]
    programs = make_environment(tmp_path / "venv", installs, wheel)
    follow(page, programs, tmp_path)


def follow(page, programs, folder):
    """Follow a page where nothing leads out, and end all that it left running."""
    here = Path(__file__).parent
    alone = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    process = subprocess.Popen(
        [*alone, sys.executable, here / "follow.py", page.path, programs, folder],
        env=os.environ | {"PYTHONPATH": str(here.parent)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == 0, printed


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_code_is_run(page):
    known = {*RUN, *FREE, "file"}
    if page.name == "README.md":  # two of its commands are what .ci/run itself looks up there
        known.add("indented")
    odd = [(b.line, b.kind) for b in page.blocks if b.kind not in known and not b.reason]
    assert odd == [], f"expected {', '.join(RUN)}, {', '.join(FREE)} or a file"


def test_code_that_is_not_run_is_listed():
    left_out = {(page.name, block.reason) for page in ALL for block in page.blocks if block.reason}
    assert left_out == NOT_RUN
