"""A Python that runs the code blocks of a page, one after the other, in one namespace.

Reads one JSON object a line from the file descriptor of its first argument, and answers on that of
the second. It uses the standard library only, so that it runs where nothing else is installed.
"""

import doctest
import json
import os
import sys
import traceback

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run_code(text, name, line, namespace):
    """Run a block as a module would be; return what went wrong."""
    try:
        exec(compile("\n" * line + text, name, "exec"), namespace)
    except BaseException:
        return traceback.format_exc()
    return ""


def run_session(text, name, line, namespace):
    """Run what was typed at the prompt, and compare the answers; return what went wrong."""
    example = doctest.DocTestParser().get_doctest(text, {}, name, name, line)
    example.globs = namespace
    report = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=_FLAGS)
    runner.run(example, out=report.append, clear_globs=False)
    return "".join(report)


def main(requests, answers):
    kinds = {"python": run_code, "pycon": run_session}
    namespace = sys.modules["__main__"].__dict__
    namespace["__name__"] = "__main__"
    with open(requests) as requests, open(answers, "w") as answers:
        for line in requests:
            block = json.loads(line)
            failure = kinds[block.pop("kind")](**block, namespace=namespace)
            sys.stdout.flush()
            print(json.dumps(failure), file=answers, flush=True)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    main(int(sys.argv[1]), int(sys.argv[2]))
