"""Runs code in a process with little memory, a deadline and, where asked for, a small stack."""

import subprocess
import sys
import textwrap

BEGIN = """
import resource, sys, threading
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

def work():
{body}

failed = []
def run():
    try:
        work()
    except BaseException:
        import traceback
        traceback.print_exc()
        failed.append(True)

threading.stack_size({stack})
thread = threading.Thread(target=run)
thread.start()
thread.join()
sys.exit(len(failed))
"""


def run_contained(body, *, memory=1 << 30, stack=256 << 10, seconds=60):
    """Run the body of a function in a thread of a new process, and return what it printed.

    A crash, an error and no end in time fail the test.
    """
    text = textwrap.indent(textwrap.dedent(body), "    ")
    program = BEGIN.format(memory=memory, stack=stack, body=text)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-3000:]}"
    return done.stdout
