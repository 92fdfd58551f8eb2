"""Does something at any of the points of a call where CPython would deliver a signal.

CPython looks for signals when a function begins, after a call of anything, and when a loop goes
round; not, for instance, between the acquiring of a lock by ``with`` and the body. The points
found here are these, in the modules of the package, and a few more.
"""

import dis
import sys
from functools import cache
from pathlib import Path

import ipldstore

PACKAGE = str(Path(ipldstore.__file__).parent)

_BEFORE_POINTS = {
    code
    for name, code in dis.opmap.items()
    if name in {"CALL", "CALL_KW", "CALL_FUNCTION_EX", "RESUME"} or name.startswith("JUMP_BACKWARD")
}


@cache
def _handlers(code):
    """Return the exception handler that is in force at each instruction, by its offset."""
    table = dis._parse_exception_table(code)
    return {
        offset: next((entry.target for entry in table if entry.start <= offset < entry.end), None)
        for offset in range(0, len(code.co_code), 2)
    }


class _Trace:
    """Counts the points of a call, and acts at one of them, counted from 1."""

    def __init__(self, act, at, within):
        self.seen = 0
        self._act = act
        self._at = at
        self._within = within
        self._last = {}

    def begin(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(self._within):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self.go_on

    def go_on(self, frame, event, argument):
        if event == "opcode":
            last = self._last.get(frame)
            self._last[frame] = frame.f_lasti
            if last is not None and self._is_point(frame.f_code, last, frame.f_lasti):
                self.seen += 1
                if self.seen == self._at:
                    self._act()
        elif event == "return":
            self._last.pop(frame, None)
        return self.go_on

    def _is_point(self, code, last, offset):
        # a signal arrives at the end of the instruction before: where another handler is in force
        # here than there, such as where `with` is left, it cannot be played
        if code.co_code[last] not in _BEFORE_POINTS:
            return False
        handlers = _handlers(code)
        return handlers[last] == handlers[offset]


def act_at(point, act, work, *, within=PACKAGE):
    """Call `work`, and `act` in the middle of it, at a point; return how many points it had.

    What `act` raises is raised at the point. `within` is the start of the file names, or a tuple
    of such, of the modules in which points count.
    """
    trace = _Trace(act, point, within)
    before = sys.gettrace()
    sys.settrace(trace.begin)
    try:
        work()
    finally:
        sys.settrace(before)
    return trace.seen


def count_points(work, *, within=PACKAGE):
    """Call `work` and return how many points it has."""
    return act_at(0, None, work, within=within)


def _interrupt():
    raise KeyboardInterrupt


def interrupt_at(point, work, *, within=PACKAGE):
    """Call `work` and interrupt it at a point; return whether it was interrupted."""
    try:
        act_at(point, _interrupt, work, within=within)
    except KeyboardInterrupt:
        return True
    return False
