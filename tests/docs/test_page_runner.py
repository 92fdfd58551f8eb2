"""The runner of the documentation's pages: what is as shown passes, and nothing else."""

import re
import sys
from pathlib import Path

import pytest
from page import ROOT, parse_page
from reader import Reader
from shell import MismatchError, matches


def follow(folder, text):
    """Follow a page in this environment."""
    programs = Path(sys.executable).parent
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder)}
    with Reader(folder, environment) as reader:
        reader.follow(parse_page(ROOT / "docs" / "page.md", text))


def fenced(language, text):
    return f"```{language}\n{text}\n```\n"


PASSES = {
    "output": fenced("console", "$ echo one; echo two\none\ntwo"),
    "wildcard": fenced("console", "$ seq 5\n1\n...\n5"),
    "wildcard in a line": fenced("console", "$ echo took 5 s\ntook ... s"),
    "session": fenced("console", "$ a=5\n$ cd /") + fenced("console", "$ echo $a $PWD\n5 /"),
    "lines": fenced("console", "$ for i in 1 2; do\n>   echo $i\n> done\n1\n2"),
    "status": fenced("console", "$ false\n$ echo $?\n1"),
    "behind": fenced("console", "$ (echo ready; exec sleep 60) &\nready\n$ kill $!"),
    "python": fenced("python", "a = 5") + fenced("pycon", ">>> a\n5"),
    "variables": fenced("console", "$ export A=5")
    + fenced("pycon", ">>> import os; os.environ['A']\n'5'"),
    "file": fenced("{code-block} python\n:caption: five.py\n", "a = 5")
    + fenced("pycon", ">>> import five\n>>> five.a\n5")
    + fenced("console", "$ cat five.py\na = 5"),
    "not run": "<!-- not run: a reason -->\n\n" + fenced("console", "$ false"),
    "error": fenced(
        "pycon", ">>> 1 / 0\nTraceback (most recent call last):\nZeroDivisionError: ..."
    ),
}
FAILS = {
    "other output": (fenced("console", "$ echo one\ntwo"), "--- printed\none"),
    "output not shown": (fenced("console", "$ echo one"), "--- printed\none"),
    "output of errors": (fenced("console", "$ echo one >&2"), "--- printed\none"),
    "status": (fenced("console", "$ false"), "exit status 1"),
    "status between": (fenced("console", "$ false\n$ true"), "exit status 1"),
    "python": (fenced("python", "1 / 0"), "page.md:1"),
    "answer": (fenced("pycon", ">>> 1 + 1\n3"), "Expected:"),
    "end of the interpreter": (fenced("python", "import os; os._exit(0)"), "interpreter ended"),
    "end of the shell": (fenced("console", "$ exit"), "shell ended"),
    "no command": (fenced("console", "ls"), "expected `$ command`"),
}


@pytest.mark.parametrize("text", PASSES.values(), ids=PASSES)
def test_page_that_tells_the_truth_passes(tmp_path, text):
    follow(tmp_path, text)


@pytest.mark.parametrize(("text", "report"), FAILS.values(), ids=FAILS)
def test_page_that_does_not_fails(tmp_path, text, report):
    with pytest.raises(MismatchError, match=re.escape(report)):
        follow(tmp_path, text)


def test_parts_of_a_page():
    text = (
        "<!-- needs: ipfs s3:bucket -->\n\n"
        + fenced("console", "$ pip install 'ipldstore[objects]' redis\n$ true")
        + fenced("text", "a drawing")
        + fenced("{toctree}", "page")
        + "<!-- not run: a\nreason -->\n\n"
        + fenced("python", ">>> 1")
        + "\n    indented\n"
    )
    page = parse_page(ROOT / "docs" / "page.md", text)
    assert page.needs == ("ipfs", "s3:bucket")
    assert page.installs == ["'ipldstore[objects]' redis"]
    kinds = [(block.kind, block.reason) for block in page.blocks]
    assert kinds == [("console", ""), ("text", ""), ("pycon", "a reason"), ("indented", "")]
    assert page.blocks[0].line == 3


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("", ""), ("...", ""), ("...", "a\nb\n"), ("a ... c", "a b c\n"), ("a\n...\nb", "a\nb\n")],
)
def test_output_as_shown(shown, printed):
    assert matches(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("", "a\n"), ("a", ""), ("a ... c", "a\nc\n"), ("...\nb", "b\nc\n"), ("a.c", "abc\n")],
)
def test_output_not_as_shown(shown, printed):
    assert not matches(shown, printed)
