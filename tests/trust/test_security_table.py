"""Every test that docs/security.md names is there, under the heading of what it has to hold."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:::(\w+))?`")
GROUPS = [
    "DAG-CBOR",
    "CIDs",
    "CAR archives",
    "DAGs",
    "JSON documents",
    "Disk",
    "Network",
    "Terminals and secrets",
]


@cache
def names_in(path):
    """Return the tests in a file, those of classes as ``Class::test``."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}::{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            }
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in names if name.rpartition("::")[2].startswith("test_")}


def section(title):
    return TEXT.partition(f"\n### {title}\n")[2].partition("\n#")[0]


def rows_of(title):
    rows = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_every_test_that_is_named_is_there():
    named = NAMED.findall(TEXT)
    assert len(named) > 60
    for file, *names in named:
        path = ROOT / file
        assert path.is_file(), file
        assert "::".join(filter(None, names)) in names_in(path), f"{file} has no {names}"


def test_nothing_is_named_in_another_way():
    assert TEXT.count("`tests/") == len(NAMED.findall(TEXT))


@pytest.mark.parametrize("title", GROUPS)
def test_every_group_has_a_table(title):
    assert section(title), f"no heading {title!r}"
    for row in rows_of(title):
        assert len(row) == 3, row
        assert all(row), row
        assert NAMED.search(row[2]), row


@pytest.mark.parametrize("title", [title for title in GROUPS if title != "Disk"])
def test_groups_are_filled(title):
    assert len(rows_of(title)) >= 4
