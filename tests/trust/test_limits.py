"""The limits: each with a reason, in use, in one place, and in the documentation as it is."""

import ast
from pathlib import Path

import pytest

import ipldstore
from ipldstore import limits

pytestmark = pytest.mark.once

PACKAGE = Path(ipldstore.__file__).parent
DOCUMENT = PACKAGE.parent / "docs" / "security.md"
SOURCE = (PACKAGE / "limits.py").read_text(encoding="utf-8")

# What this package writes, or says, and no limit on what others send.
OWN = {
    "MAX_DIRECTORY_BLOCK_BYTES in unixfs/directory.py",
    "MAX_BOXES in model/boxes.py",
    "MAX_CHUNK_BYTES in cli/tools/netcdf.py",
    "MAX_INLINE_BYTES in tree/nodes.py",
    "MAX_INLINE_DEPTH in tree/nodes.py",
    "MAX_INTEGER in formats/dagcbor.py",
    "MAX_INTEGER in tree/documents.py",
    "MAX_KEYS in verifying/faults.py",
    "MAX_LINKS in unixfs/file.py",
    "MAX_PAGE_BYTES in tree/cut.py",
}


def reasons():
    """Return the limits and what stands under each of them."""
    found, name = {}, None
    for node in ast.parse(SOURCE).body:
        if isinstance(node, ast.Assign):
            name = node.targets[0].id
            found[name] = None
        elif isinstance(node, ast.Expr) and name is not None:
            found[name] = " ".join(node.value.value.split())
            name = None
    return found


def show(name):
    """Write a limit with its unit."""
    value = getattr(limits, name)
    if name.endswith("SECONDS"):
        return f"{value:,.0f} s"
    if not name.endswith("BYTES") or value < 1024:
        return f"{value:,}"
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if value % (1 << power) == 0:
            return f"{value >> power} {unit}"
    return f"{value:,}"


def make_table():
    rows = [f"| `{name}` | {show(name)} | {reason} |" for name, reason in reasons().items()]
    return "\n".join(["| limit | default | what, and why |", "|---|---|---|", *rows])


def test_each_has_a_reason():
    for name, reason in reasons().items():
        assert reason, f"{name} has no text below it"
        assert getattr(limits, name) > 0


def test_each_is_used():
    sources = [
        path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*.py")
        if path.name != "limits.py"
    ]
    unused = {name for name in reasons() if not any(name in source for source in sources)}
    # a part of another limit
    assert unused <= {"MAX_CAR_HEAD_BYTES"}


def test_the_module_imports_nothing_of_the_package():
    assert "import ipldstore" not in SOURCE
    assert "from ipldstore" not in SOURCE


def test_there_are_no_others():
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if path.name == "limits.py":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Name):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                place = path.relative_to(PACKAGE).as_posix()
                found |= {f"{name} in {place}" for name in names if name.startswith("MAX_")}
    # views bound what they show, not what they read
    shown = (" in views/", " in model/outline.py")
    others = {text for text in found if not any(place in text for place in shown)} - OWN
    assert not others, f"move these to limits.py, or say here that they are no limits: {others}"
    assert found >= OWN, f"these are not there any more: {OWN - found}"


def test_the_documentation_lists_them():
    table = make_table()
    assert table in DOCUMENT.read_text(encoding="utf-8"), f"put into docs/security.md:\n\n{table}"


def test_the_formats_limits_are_those_of_the_specification():
    """Roots depend on these: docs/format.md has them too."""
    assert limits.MAX_SEGMENTS == 128
    assert limits.MAX_SEGMENT_BYTES == 1024
    assert limits.MAX_DOCUMENT_BYTES == 1_048_576
    assert limits.MAX_DOCUMENT_DEPTH == 31
    assert limits.MAX_JSON_BYTES == 16_777_216
