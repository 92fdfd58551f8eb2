"""The page about the command line names every command, option, variable, code and schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from ipldstore.cli.app import app

pytestmark = pytest.mark.once

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
TEXT = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^### `ipldstore ([^`]+)`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(TEXT))
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][a-z-]*")


def commands(group: Any, path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        nested = hasattr(command, "commands")
        found |= commands(command, f"{name} ") if nested else {path + name: command}
    return found


COMMANDS = commands(typer.main.get_command(app))


def options_of(command: Any) -> set[str]:
    options = {
        name
        for parameter in command.params
        if parameter.param_type_name == "option"
        for name in [*parameter.opts, *parameter.secondary_opts]
    }
    return options - {"--help", "-h"}


def test_every_command_has_a_section() -> None:
    assert sorted(SECTIONS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_and_arguments(name: str) -> None:
    rows = [line for line in SECTIONS[name].splitlines() if line.startswith("| `")]
    listed = {option for row in rows for option in OPTION.findall(row.split("|")[1])}
    assert listed - {"--blocks"} == options_of(COMMANDS[name]) - {"--blocks", "--json"}
    usage = SECTIONS[name].partition("```text\n")[2].partition("\n```")[0]
    assert usage.startswith(f"ipldstore {name}")
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            assert parameter.metavar in usage
    assert ("[--blocks STORE]" in usage) == ("--blocks" in options_of(COMMANDS[name]))
    assert "[--json]" in usage


def test_options_of_the_program() -> None:
    names = options_of(typer.main.get_command(app))
    assert names == {"--version", "--show-completion"}
    assert all(f"`{name}" in TEXT for name in names)


def test_schemas_are_linked() -> None:
    linked = set(re.findall(r"\]\(json/([a-z-]+)\.json\)", TEXT))
    assert linked == {path.stem for path in (REFERENCE / "json").glob("*.json")}


def test_exit_codes_and_variables() -> None:
    for code in (0, 1, 2, 3, 4, 5, 130, 141):
        assert re.search(rf"^\| {code} \|", TEXT, re.MULTILINE)
    for name in (
        "IPLDSTORE_AUTHOR",
        "IPLDSTORE_BLOCKS",
        "NO_COLOR",
        "TERM",
        "COLUMNS",
        "IPFS_PATH",
        "IPFS_API",
    ):
        assert f"| `{name}` |" in TEXT


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_an_example(name: str, call: Any) -> None:
    shown = call(*name.split(), "--help")
    example = shown.out.decode().strip().splitlines()[-1].strip()
    assert example.startswith(f"Example: ipldstore {name}")
    assert max(map(len, shown.out.decode().splitlines())) <= 80
    arguments = example.removeprefix("Example: ipldstore ").split()
    assert set(OPTION.findall(" ".join(arguments))) - {"-lR"} <= options_of(COMMANDS[name])
