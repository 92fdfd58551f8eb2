"""The command line: ``ipldstore``, or ``python -m ipldstore``."""

from __future__ import annotations

import sys
import warnings

from ipldstore.errors import UnfrozenChangesWarning


def main() -> None:
    """Run the command that ``sys.argv`` names and exit.

    The exit code is one of those that ``ipldstore --help`` explains.
    """
    from ipldstore.cli.frame.escaping import escaped_output, hold_closed_streams
    from ipldstore.cli.frame.interruption import Interruption

    hold_closed_streams()
    # a command that fails says so itself
    warnings.simplefilter("ignore", UnfrozenChangesWarning)
    interruption = Interruption()
    with interruption.on_signals(), escaped_output():
        try:
            from ipldstore.cli.app import app
            from ipldstore.cli.frame.completion import PROGRAM, prepare_to_answer

            prepare_to_answer()
            code = app(prog_name=PROGRAM, standalone_mode=False, obj=interruption)
        except SystemExit:
            raise
        except BaseException as error:
            from ipldstore.cli.frame.reporting import report

            code = report(error, interruption)
        interruption.leave_if_interrupted(code)
    sys.exit(code)
