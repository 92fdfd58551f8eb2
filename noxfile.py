"""The stages of CI, each of which runs alone as well: ``nox --session lint``."""

import os
import re
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "venv"
nox.options.error_on_external_run = True

# hundreds of tests and pages start Python anew, which would compile each module each time
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

README = Path("README.md").read_text(encoding="utf-8")
TESTS = re.findall(r"pip install -e .*pytest$", README, re.MULTILINE)[0]
"""The test command of README."""

NOT_ONCE = '-m "not once"'
"""Leaves out what no version of zarr touches: terminals, disks, faults, interrupts."""

AGAIN = f"{NOT_ONCE} --hypothesis-profile=again"
"""Tries fewer examples of what was tried in full on another Python."""

KNOWS_ZARR = re.compile("zarr|xarray")
FACES = {"faces", "store"}
"""Folders of tests of what differs with the version of zarr, also where that is not named."""


def below_zarr() -> str:
    """Leave out the files of tests that know of zarr in no way, and run on this Python already."""
    files = [path for path in Path("tests").rglob("test_*.py") if "node_modules" not in path.parts]
    below = (
        path
        for path in files
        if not FACES.intersection(path.parts)
        and not KNOWS_ZARR.search(path.read_text(encoding="utf-8"))
    )
    return "".join(f" --ignore={path}" for path in sorted(below))


def run_tests(session: nox.Session, constraints: str, options: str = "", **env: str) -> None:
    """Run the test command of README in the session's environment."""
    env["PIP_CONSTRAINT"] = str(Path(".ci", constraints).absolute())
    session.run("bash", "-c", TESTS, env=env | addopts(options), external=True)


def addopts(options: str) -> dict[str, str]:
    """Return the environment variable that hands pytest more options."""
    given = os.environ.get("PYTEST_ADDOPTS", "--numprocesses=auto --dist=worksteal")
    return {"PYTEST_ADDOPTS": f"{given} {options}"}


@nox.session
def zarr3(session: nox.Session) -> None:
    """Run all tests on the oldest zarr-python 3."""
    run_tests(session, "constraints-zarr3.txt", IPLDSTORE_LARGE="1")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types."""
    session.install("--constraint", ".ci/constraints-zarr3.txt", "--editable", ".[test]", "nox")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation and follow each page as a reader does."""
    session.run("bash", ".ci/docs", session.virtualenv.location, external=True)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz each target for ten seconds."""
    session.install("--editable", ".[fuzz,test]")
    crashes = session.create_tmp()
    session.run("python", "tests/fuzz", "--seconds", "10", "--crashes", crashes, *session.posargs)


@nox.session
def zarr2(session: nox.Session) -> None:
    """Run the tests on zarr-python 2.18."""
    run_tests(session, "constraints-zarr2.txt", NOT_ONCE + below_zarr())


@nox.session(venv_backend="none")
def python313(session: nox.Session) -> None:
    """Run the tests on the newest Python and zarr."""
    command = (
        "python3 -c 'import sys; assert sys.version_info >= (3, 13)'; "
        "lane=$(mktemp -d); trap 'rm -rf $lane' EXIT; "
        f"python3 -m venv $lane; PATH=$lane/bin:$PATH; {TESTS}"
    )
    # node is not in that system; its tests run in the other stages
    session.run("bash", ".ci/python313", command, env={"CI": "", **addopts(AGAIN)})
