"""The command line: ``ipldstore``, or ``python -m ipldstore``."""

from __future__ import annotations


def main() -> None:
    """Run the command that ``sys.argv`` names and exit.

    Raises
    ------
    SystemExit
        Always, with one of the exit codes that ``ipldstore --help`` explains.
    """
    from ipldstore.cli.app import app

    app(prog_name="ipldstore")
