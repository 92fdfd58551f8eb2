"""Where warnings point to: a line of who uses the package, not one of its own."""

import gc
import warnings
from pathlib import Path
from textwrap import dedent

import pytest

from ipldstore import UnfrozenChangesWarning

pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("default::ipldstore.errors.UnfrozenChangesWarning"),
]

SCRIPTS = {
    "a former name": """
        store = ipldstore.IPLDStore()
        root = store.freeze()
        ipldstore.verify(root, backend=store.blocks)  # here
    """,
    "a former name of a class that inherits": """
        ipldstore.IPLDStore(backend=ipldstore.MappingCAStore())  # here
    """,
    "a former method": """
        class Old(ipldstore.MappingCAStore):  # here
            def put_raw(self, data, codec="raw"):
                return super().put_raw(data, codec)
    """,
    "a cache that fails": """
        cache = ipldstore.DirectoryCAStore("cache")
        shutil.rmtree("cache")
        store = ipldstore.IPLDStore(ipldstore.CachingCAStore(ipldstore.MappingCAStore(), cache))
        store["a"] = bytes(100)  # here
    """,
    "changes that are lost": """
        store = ipldstore.IPLDStore(ipldstore.DirectoryCAStore("blocks"))  # here
        store["a"] = b"1"
        del store
    """,
    "changes of a session that are lost": """
        repo = ipldstore.Repository.create("blocks")
        session = repo.writable("main")  # here
        session["a"] = b"1"
        del session
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_warning_is_at_the_line_of_who_calls(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "import shutil, ipldstore" + dedent(SCRIPTS[name])
    lines = text.splitlines()
    (here,) = (number for number, line in enumerate(lines, 1) if "# here" in line)
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(text, "script.py", "exec"), {"__name__": "user"})
        gc.collect()
    (entry,) = caught
    assert (entry.filename, entry.lineno) == ("script.py", here)
    assert ("lost" in name) == (entry.category is UnfrozenChangesWarning)
