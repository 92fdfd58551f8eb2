"""Modules import from their own layer or a lower one, and every module has a layer."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ipldstore

LAYERS = [
    {"basics", "errors", "limits", "version"},
    {"cid", "dag", "formats", "history", "journals", "tree", "unixfs"},
    {"blockstore"},
    {"backends", "refs", "registry", "transfer"},
    {"model"},
    {"store"},
    {"diffing", "names"},
    {"views"},
    {"faces"},
    {
        "cli",
        "comparing",
        "compression",
        "copying",
        "distributed",
        "fsspec",
        "inventory",
        "opening",
        "references",
        "repository",
        "testing",
        "unnamed",
        "verifying",
        "zarrstores",
        "__main__",
    },
]
LAYER_OF = {name: layer for layer, names in enumerate(LAYERS) for name in names}
TOP = len(LAYERS) - 1
"""The public names of the package itself are at the top, for those who use it as outsiders do."""

FOLDER = Path(ipldstore.__file__).parent
MODULES = {
    "ipldstore." + ".".join(path.relative_to(FOLDER).with_suffix("").parts): path
    for path in FOLDER.rglob("*.py")
    if path != FOLDER / "__init__.py"
}


def part_of(module):
    return module.split(".")[1]


def imports_in(source):
    """Iterate what a module imports, in its functions too, as dotted names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward_imports(layer, source):
    """List what a module of a layer imports from the package's layers above it."""
    found = [name for name in imports_in(source) if name.split(".")[0] == "ipldstore"]
    return [name for name in found if LAYER_OF.get(part_of(f"{name}.public"), TOP) > layer]


def test_every_module_has_a_layer():
    assert len(MODULES) > 20
    unknown = {module for module in MODULES if part_of(module) not in LAYER_OF}
    assert not unknown, f"say here and in the documentation where these belong: {unknown}"


@pytest.mark.parametrize("module", MODULES)
def test_modules_import_downwards(module):
    source = MODULES[module].read_text(encoding="utf-8")
    assert upward_imports(LAYER_OF[part_of(module)], source) == []


def test_no_module_imports_itself_by_way_of_others():
    """Types that are imported for a checker only count, and so do imports in functions."""
    modules = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}
    graph = {
        module: {
            name if name in modules else name.rpartition(".")[0]
            for name in imports_in(path.read_text(encoding="utf-8"))
        }
        & modules.keys()
        for module, path in modules.items()
    }
    TopologicalSorter(graph).prepare()


PURE = [name for name in MODULES if LAYER_OF.get(part_of(name), 9) < 2 and "locks" not in name]


@pytest.mark.parametrize("module", PURE)
def test_the_pure_layers_touch_no_files_and_no_sockets(module):
    impure = {"aiohttp", "asyncio", "os", "pathlib", "requests", "shutil", "socket", "tempfile"}
    source = MODULES[module].read_text(encoding="utf-8")
    assert not impure.intersection(name.split(".")[0] for name in imports_in(source))


@pytest.mark.parametrize(
    ("layer", "source", "found"),
    [
        (0, "import base64", []),
        (1, "from ipldstore.formats import dagcbor", []),
        (1, "from ipldstore.cid import Link", []),
        (1, "def f():\n    from ipldstore.faces import IPLDStore", ["ipldstore.faces.IPLDStore"]),
        (3, "import ipldstore.cli.app", ["ipldstore.cli.app"]),
        (4, "from ipldstore import IPLDStore", ["ipldstore.IPLDStore"]),
        (4, "import ipldstore", ["ipldstore"]),
        (TOP, "import ipldstore", []),
    ],
)
def test_the_check_itself(layer, source, found):
    assert upward_imports(layer, source) == found
