"""Repositories from a shell: put and commit, log and show, branches, tags, merging and undoing."""

from __future__ import annotations

import json
import os
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr_folders import ABSENT_ROOT, CLASSIC_ROOT, CONSOLIDATED_ROOT, write_files

from ipldstore import CID, CARStore, DirectoryCAStore, Repository, SessionEndedError
from ipldstore.cid import as_link, parse_text
from ipldstore.cli.frame.options import REPOSITORY
from ipldstore.refs.states import DEFAULT_REPOSITORY
from tests.histories import NOON, History, make_state, put_state

# as the `dag_cbor` package encodes these commits, made at noon and a microsecond later each
FIRST = "bafyreibk75rb2icwhvomev5kgsweboz72kkpfuyc56df5fnv23y3h44svm"
SECOND = "bafyreibphikpshgdjdxusjtineo7p5mzrff7g2cq4jslyd7ap7j3jri7xq"
THIRD = "bafyreiefauvxghnksluhbequ3ukjkrh47ovxu3aawmauk36zmkufmc7fei"

EVIL = "\x1b]0;pwned\x07\x1b[2J\x9b31m\r\x7f\u202e\u2066\x85 fine"
EVIL_NAME = "\x9b31m\u202e\u2066\x85x"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commits be made at noon of 5 January 2026, and a microsecond later each."""
    times = count(2 * NOON)  # an operation takes one, too
    monkeypatch.setattr("ipldstore.repository.committing.now", lambda: next(times) // 2)


@pytest.fixture
def stored(call: Any, clock: None, classic: Path, consolidated: Path) -> None:
    """A repository with two commits on the default branch."""
    assert call("put", "consolidated.zarr").code == call("init").code == 0
    said = ["-m", "first\n\nin two lines", "--author", "Ada", "--metadata", "run=7"]
    put = call("put", "classic.zarr", "--branch", "main", *said)
    assert put.out.decode().split() == [CLASSIC_ROOT, FIRST]
    done = call("commit", CONSOLIDATED_ROOT, "-m", "second")
    assert done == (0, f"{SECOND}\n".encode(), "committed to branch 'main'\n")


def put_value(call: Any, value: bytes, branch: str = "main", key: str = "a/0") -> list[str]:
    """Put the Zarr folder with another value, and return the root and the commit."""
    write_files(Path("classic.zarr"), {key: value})
    done = call("put", "classic.zarr", "--branch", branch)
    assert done.code == 0
    found: list[str] = done.out.decode().split()
    return found


def lines(done: Any) -> list[str]:
    assert done.code == 0
    text: str = done.out.decode()
    return text.splitlines()


def test_the_repository_that_is_meant() -> None:
    assert REPOSITORY == DEFAULT_REPOSITORY


@pytest.mark.parametrize("place", ["blocks", "other", "sqlite:x.db", "x.car"])
def test_init(place: str, call: Any) -> None:
    made = call("init", *([place] if place != "blocks" else []), "--default", "trunk", "--json")
    assert (made.code, made.err) == (0, "")
    facts = json.loads(made.out)
    repo = Repository(place)
    assert facts == {
        "blocks": place,
        "repository": "default",
        "default": "trunk",
        "state": str(repo.cid),
    }
    assert (repo.default, repo.branches) == ("trunk", {})
    repo.close()
    again = call("init", place)
    assert (again.code, again.out) == (1, b"")
    assert "has a repository 'default' already" in again.err
    second = call("init", place, "--repository", "second")
    assert second.code == (2 if place == "x.car" else 0)


def test_init_says_what_it_made(call: Any) -> None:
    made = call("init")
    assert (made.code, made.out) == (0, b"")
    assert made.err == f"made repository 'default' in {DirectoryCAStore('blocks')!r}: " + (
        "a commit makes branch 'main'\n"
    )
    for more in ([], ["--all"]):
        said = "branch 'main' has no commit yet: the first one makes it\n"
        assert call("log", *more) == (0, b"", said)
        assert call("log", *more, "--json") == (0, b"", "")
    assert call("branch") == (0, b"", "there is no branch yet: a commit makes 'main'\n")


@pytest.mark.parametrize(
    "arguments", [["other", "--default", "a..b"], ["other", "--repository", "../x"]]
)
def test_init_with_a_name_that_cannot_be_makes_nothing(arguments: list[str], call: Any) -> None:
    assert call("init", *arguments).code == 2
    assert os.listdir() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["put", "classic.zarr", "--branch", "main"],
        ["commit", CLASSIC_ROOT, "-m", "x"],
        ["log"],
        ["show"],
        ["branch"],
        ["branch", "trial"],
        ["tag", "-d", "v1"],
        ["merge", "trial"],
        ["push", "other"],
        ["pull", "other"],
        ["reset", "main", "trial"],
        ["undo"],
        ["expire", "--keep-last", "1"],
        ["operations"],
        ["sessions"],
        ["abandon", "5e5510"],
    ],
    ids=lambda value: "-".join(value[:2]),
)
def test_where_there_is_no_repository(arguments: list[str], call: Any, classic: Path) -> None:
    nothing = call(*arguments)
    assert (nothing.code, nothing.out) == (3, b"")
    assert nothing.err.startswith("error: no folder of blocks 'blocks' (option --blocks): ")
    assert "`ipldstore init` makes one with a repository" in nothing.err
    assert not os.path.exists("blocks")
    call("put", "classic.zarr")
    before = sorted(Path("blocks").rglob("*"))
    refused = call(*arguments)
    assert (refused.code, refused.out) == (3, b"")
    assert refused.err.startswith("error: no repository 'default' in ")
    assert "`ipldstore init`" in refused.err
    assert sorted(Path("blocks").rglob("*")) == before


@pytest.mark.usefixtures("stored")
def test_log(call: Any, run: Any) -> None:
    assert lines(call("log")) == [
        "●  bafyreibphikpsh  2026-01-05 12:00 (main)  second",
        "●  bafyreibk75rb2i  2026-01-05 12:00  first - Ada",
    ]
    assert lines(call("log", "main~1")) == ["●  bafyreibk75rb2i  2026-01-05 12:00  first - Ada"]
    assert lines(call("log", "-n", "1")) == lines(call("log"))[:1]
    assert lines(call("log", "-n", "0", "--json")) == []
    assert call("log", "main", "--all").code == 2
    put_value(call, b"x")
    first, *rest = lines(call("log"))
    assert first.endswith(" (main)  put 'classic.zarr'")
    assert len(rest) == 2


@pytest.mark.usefixtures("stored")
def test_log_as_json(call: Any) -> None:
    second, first = map(json.loads, lines(call("log", "--json")))
    assert first == {
        "commit": FIRST,
        "root": CLASSIC_ROOT,
        "parents": [],
        "refs": [],
        "time": "2026-01-05T12:00:00.000000Z",
        "author": "Ada",
        "message": "first\n\nin two lines",
        "metadata": {"run": "7"},
    }
    assert second == {
        "commit": SECOND,
        "root": CONSOLIDATED_ROOT,
        "parents": [FIRST],
        "refs": ["main"],
        "time": "2026-01-05T12:00:00.000001Z",
        "author": "",
        "message": "second",
        "metadata": {},
    }
    assert lines(call("log", f"main@{first['time']}", "--json"))[0].startswith(
        f'{{"commit":"{FIRST}"'
    )


@pytest.mark.usefixtures("stored")
def test_log_of_all(call: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    call("branch", "trial", "main~1")
    put_value(call, b"x", "trial")
    drawn = lines(call("log", "--all"))
    assert [line[:5] for line in drawn] == ["●  ba", "│ ●  ", "├─╯", "●  ba"]
    assert len(lines(call("log"))) == 2
    assert len(lines(call("log", "--all", "--json"))) == 3
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    plain = lines(run("log", "--all"))
    assert [line[:5] for line in plain] == ["*  ba", "| *  ", "+-+", "*  ba"]


@pytest.mark.usefixtures("stored")
def test_log_shows_what_it_has_before_a_block_is_missing(call: Any) -> None:
    root = as_link(FIRST)
    blocks = DirectoryCAStore("blocks")
    gone = [path for path in Path("blocks").rglob("*.data") if b"in two lines" in path.read_bytes()]
    assert len(gone) == 1
    gone[0].unlink()
    assert not blocks.has(root)
    done = call("log")
    assert (done.code, done.out.decode().splitlines()) == (
        3,
        ["●  bafyreibphikpsh  2026-01-05 12:00 (main)  second"],
    )
    assert FIRST in done.err


@pytest.mark.usefixtures("stored")
def test_show(call: Any) -> None:
    assert lines(call("show")) == [
        f"commit    {SECOND}",
        f"root      {CONSOLIDATED_ROOT}",
        f"parent    {FIRST}",
        "refs      main",
        "time      2026-01-05 12:00:00 UTC",
        "",
        "    second",
        "",
        "    added   removed   changed  chunks of",
        "        1         0         0  other keys",
        "        1         0         0  all",
    ]
    assert lines(call("show", "main~1")) == [
        f"commit    {FIRST}",
        f"root      {CLASSIC_ROOT}",
        "time      2026-01-05 12:00:00 UTC",
        "author    Ada",
        "metadata  run=7",
        "",
        "    first",
        "",
        "    in two lines",
        "",
        "    added   removed   changed  chunks of",
        "        1         0         0  a",
        "        4         0         0  other keys",
        "        5         0         0  all",
    ]


@pytest.mark.usefixtures("stored")
def test_show_as_json(call: Any) -> None:
    (line,) = lines(call("show", "--json"))
    (logged,) = lines(call("log", "-n", "1", "--json"))
    none = {"added": 0, "removed": 0, "changed": 0}
    changes = {"added": 1, "removed": 0, "changed": 0, "arrays": {}, "other": {**none, "added": 1}}
    assert json.loads(line) == {**json.loads(logged), "changes": changes}


def test_metadata_of_others(call: Any, workplace: Path) -> None:
    with Repository.create(DirectoryCAStore("blocks")) as repo:
        metadata = {"run": {"ids": [1, None, True], "key": b"\0\xff"}}
        with repo.writable(message="made by a library", metadata=metadata) as store:
            store["a"] = b"x"
    (line,) = lines(call("show", "--json"))
    expected = {"run": {"ids": [1, None, True], "key": {"/": {"bytes": "AP8"}}}}
    assert json.loads(line)["metadata"] == expected
    assert 'metadata  run={"ids": [1, null, true], "key": {"/": {"bytes": "AP8"}}}' in lines(
        call("show")
    )


def test_what_was_let_go_is_not_compared(call: Any, workplace: Path) -> None:
    blocks = DirectoryCAStore("blocks")
    history = History(blocks)
    tip = history.chain(2)[1]
    put_state(blocks, make_state({"main": tip}, shallow=[tip]))
    shown = lines(call("show"))
    assert shown[-1].startswith("what changed is not known: ")
    assert json.loads(call("show", "--json").out)["changes"] is None
    assert len(lines(call("log"))) == 1


@pytest.mark.usefixtures("stored")
def test_put_on_a_branch(call: Any) -> None:
    same = call("put", "consolidated.zarr", "--branch", "main", "-m", "the same")
    assert same.out.decode().split() == [CONSOLIDATED_ROOT, SECOND]
    assert "branch 'main' has this root already\n" in same.err
    other = call("put", "classic.zarr", "--branch", "main")
    assert other.out.decode().split() == [CLASSIC_ROOT, THIRD]
    assert other.err.startswith("committed to branch 'main'\n")
    again = json.loads(call("put", "classic.zarr", "--branch", "main", "--json").out)
    assert (again["root"], again["commit"]) == (CLASSIC_ROOT, THIRD)
    shown = json.loads(call("show", "--json").out)
    assert (shown["commit"], shown["message"]) == (THIRD, "put 'classic.zarr'")


@pytest.mark.usefixtures("stored")
def test_put_on_what_is_no_branch_writes_nothing(call: Any) -> None:
    call("tag", "v1")
    write_files(Path("classic.zarr"), {"a/0": b"not kept"})
    for name, guess in (("trial", ""), ("v1", ""), ("main~1", " did you mean 'main'?")):
        refused = call("put", "classic.zarr", "--branch", name)
        assert (refused.code, refused.out) == (3, b"")
        assert refused.err == (
            f"error: there is no branch {name!r}:{guess} `ipldstore branch {name}` makes it\n"
        )
    assert not any(path.stat().st_size == 8 for path in Path("blocks").rglob("*.data"))


@pytest.mark.parametrize(
    "options",
    [
        ["-m", "x"],
        ["--author", "Ada"],
        ["--metadata", "a=b"],
        ["--branch", "main", "--metadata", "ab"],
        ["--branch", "main", "--metadata", "=b"],
        ["--branch", "main", "--metadata", "a=b", "--metadata", "a=c"],
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together(options: list[str], call: Any, classic: Path) -> None:
    done = call("put", "classic.zarr", *options)
    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith("Usage: ipldstore put")
    assert not os.path.exists("blocks")


@pytest.mark.usefixtures("stored")
def test_commit(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = call("commit", CONSOLIDATED_ROOT, "-m", "again")
    assert (refused.code, refused.out) == (1, b"")
    assert refused.err.startswith("error: nothing to commit: branch 'main' is ")
    monkeypatch.setenv("IPLDSTORE_AUTHOR", "Grace")
    back = call("commit", "main~1", "-m", "as before", "--metadata", "a=b=c", "--json")
    facts = json.loads(back.out)
    assert facts == {"branch": "main", "commit": facts["commit"], "root": CLASSIC_ROOT}
    shown = json.loads(call("show", facts["commit"], "--json").out)
    assert (shown["author"], shown["metadata"]) == ("Grace", {"a": "b=c"})
    assert call("commit", f"{CLASSIC_ROOT}/a", "-m", "a part").code == 2
    assert call("commit", CLASSIC_ROOT, "-m", "x", "--branch", "trial").code == 3
    assert call("commit", ABSENT_ROOT, "-m", "x").code == 3


@pytest.mark.usefixtures("stored")
def test_branches(call: Any) -> None:
    made = call("branch", "trial", "main~1")
    assert made == (0, f"{FIRST}\n".encode(), "made branch 'trial'\n")
    assert lines(call("branch")) == [
        "* main   bafyreibphikpsh  second",
        "  trial  bafyreibk75rb2i  first",
    ]
    found = [json.loads(line) for line in lines(call("branch", "--json"))]
    assert found == [
        {"name": "main", "commit": SECOND, "default": True, "message": "second"},
        {
            "name": "trial",
            "commit": FIRST,
            "default": False,
            "message": "first\n\nin two lines",
        },
    ]
    assert json.loads(call("branch", "third", "trial", "--json").out) == {
        **found[1],
        "name": "third",
    }
    deleted = call("branch", "--delete", "trial")
    assert deleted.out.decode() == f"{FIRST}\n"
    assert "`ipldstore undo trial` brings it back" in deleted.err
    assert call("undo", "trial").code == 0
    assert json.loads(call("branch", "-d", "trial", "--json").out) == found[1]
    assert len(lines(call("branch"))) == 2


@pytest.mark.usefixtures("stored")
def test_tags(call: Any) -> None:
    assert lines(call("tag")) == []
    assert call("tag", "v1", "main~1") == (0, f"{FIRST}\n".encode(), "made tag 'v1'\n")
    assert lines(call("tag", "v1.10", "--json"))
    assert lines(call("tag")) == [
        "v1     bafyreibk75rb2i  first",
        "v1.10  bafyreibphikpsh  second",
    ]
    assert [json.loads(line) for line in lines(call("tag", "--json"))] == [
        {"name": "v1", "commit": FIRST, "message": "first\n\nin two lines"},
        {"name": "v1.10", "commit": SECOND, "message": "second"},
    ]
    assert lines(call("log", "-n", "1"))[0].partition("(")[2].startswith("main, v1.10)")
    assert call("tag", "-d", "v1").code == 0
    assert len(lines(call("tag"))) == 1


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["branch", "v1"], 1, "'v1' is a tag already"),
        (["tag", "main"], 1, "'main' is a branch already"),
        (["branch", "-d", "main"], 1, "'main' is the default branch"),
        (["branch", "-d", "v1"], 3, "there is no branch 'v1': `ipldstore branch` lists them"),
        (["tag", "-d", "main"], 3, "there is no tag 'main': `ipldstore tag` lists them"),
        (
            ["branch", "new", "mian"],
            3,
            "the repository has no branch or tag 'mian': did you mean 'main'?",
        ),
        (["branch", "a b"], 2, "'a b' cannot be the name of a branch or tag"),
        (["reset", "v1", "main"], 3, "'v1' is a tag, which never moves, expected a branch"),
        (
            ["merge", "main", "--into", "trial"],
            3,
            "there is no branch 'trial' in the repository: it has one branch, 'main'",
        ),
        (["abandon", "5e5510"], 3, "there is no session '5e5510' that is not committed"),
        (["undo", "nothing"], 1, "nothing was done to 'nothing'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_refusals(arguments: list[str], code: int, message: str, call: Any) -> None:
    call("tag", "v1")
    before = call("operations").out
    done = call(*arguments)
    assert (done.code, done.out) == (code, b"")
    assert done.err.startswith(f"error: {message}")
    assert call("operations").out == before


@pytest.mark.parametrize("arguments", [["-d"], ["-d", "a", "main"]], ids=" ".join)
@pytest.mark.parametrize("command", ["branch", "tag"])
def test_what_is_deleted_is_named(command: str, arguments: list[str], call: Any) -> None:
    assert call(command, *arguments).code == 2


@pytest.mark.usefixtures("stored")
def test_merging_what_goes_together(call: Any) -> None:
    call("branch", "trial")
    _, commit = put_value(call, b"x", "trial")
    moved = call("merge", "trial")
    assert moved == (0, f"{commit}\n".encode(), "branch 'main' moved on to 'trial'\n")
    has = call("merge", "trial~1")
    assert has == (0, f"{commit}\n".encode(), "branch 'main' has 'trial~1' already\n")
    put_value(call, b"y", "trial")
    write_files(Path("classic.zarr"), {"a/0": b"x"})
    put_value(call, b"z", key="b")
    merged = call("merge", "trial", "--author", "Ada")
    assert merged.err == "merged 'trial' into branch 'main'\n"
    assert call("cat", "ipld:///main/b").out == b"z"
    assert call("cat", "ipld:///main/a/0").out == b"y"
    shown = json.loads(call("show", "--json").out)
    assert (shown["message"], shown["author"]) == ("Merge trial into main", "Ada")
    assert len(shown["parents"]) == 2
    again = json.loads(call("merge", "main", "--into", "trial", "--json").out)
    assert again == {
        "branch": "trial",
        "commit": shown["commit"],
        "root": shown["root"],
        "conflicts": [],
    }


@pytest.fixture
def apart(call: Any, stored: None) -> None:
    """Two branches that changed the same chunk, attribute and key, and one more of each."""
    call("branch", "trial")
    for branch, value in (("main", "1"), ("trial", "2")):
        write_files(
            Path("classic.zarr"),
            {".zattrs": f'{{"by":"{value}","{branch}":0}}'.encode(), "x": value.encode()},
        )
        put_value(call, value.encode(), branch)


CONFLICTS = [
    {"kind": "chunk", "path": "a", "name": "a/0", "chunk": [0], "why": "changed by both"},
    {"kind": "attribute", "path": "", "name": "by", "chunk": None, "why": "added by both"},
    {"kind": "document", "path": "", "name": "x", "chunk": None, "why": "added by both"},
]


@pytest.mark.usefixtures("apart")
def test_conflicts(call: Any) -> None:
    before = call("operations").out
    refused = call("merge", "trial")
    assert refused.code == 1
    assert sorted(refused.out.decode().splitlines()) == [
        "attribute . by: added by both",
        "chunk     a/0: changed by both",
        "document  x: added by both",
    ]
    assert refused.err == (
        "nothing is merged: 3 conflicts, of which --ours keeps what 'main' has, and --theirs "
        "takes the other\n"
    )
    told = call("merge", "trial", "--json")
    assert (told.code, told.err) == (1, "")
    facts = json.loads(told.out)
    assert sorted(facts.pop("conflicts"), key=str) == sorted(CONFLICTS, key=str)
    assert facts == {"branch": "main", "commit": None, "root": None}
    assert call("operations").out == before


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize(("side", "value"), [("--ours", b"1"), ("--theirs", b"2")])
def test_conflicts_that_are_settled(side: str, value: bytes, call: Any) -> None:
    assert call("merge", "trial", side, "-m", "settled").code == 0
    for key in ("a/0", "x"):
        assert call("cat", f"ipld:///main/{key}").out == value
    attributes = json.loads(call("cat", "ipld:///main/.zattrs").out)
    assert attributes == {"by": value.decode(), "main": 0, "trial": 0}
    assert json.loads(call("show", "--json").out)["message"] == "settled"
    assert call("merge", "trial", "--ours", "--theirs").code == 2


@pytest.mark.usefixtures("stored")
def test_resetting_and_undoing(call: Any) -> None:
    back = call("reset", "main", "main~1")
    assert back.out.decode() == f"{FIRST}\n"
    assert "`ipldstore undo main` takes that back" in back.err
    undone = call("undo", "--json")
    facts = json.loads(undone.out)
    assert (facts["kind"], facts["ref"]) == ("reset", "main")
    assert (facts["before"], facts["after"]) == (SECOND, FIRST)
    assert len(lines(call("log"))) == 2
    assert lines(call("undo", "main"))[0].split()[3:] == ["undo", SECOND, "main"]
    assert json.loads(call("reset", "main", SECOND, "--json").out) == {
        "branch": "main",
        "commit": SECOND,
    }


@pytest.mark.usefixtures("stored")
def test_operations(call: Any) -> None:
    call("tag", "v1", "main~1")
    call("tag", "-d", "v1")
    listed = [line.split() for line in lines(call("operations"))]
    assert [words[3:] for words in listed] == [
        ["delete", "-", "v1"],
        ["tag", FIRST, "v1"],
        ["commit", SECOND, "main"],
        ["commit", FIRST, "main"],
        ["init", "-", "-"],
    ]
    assert listed[2][:3] == ["2026-01-05", "12:00:00", "UTC"]
    found = [json.loads(line) for line in lines(call("operations", "--json"))]
    assert found[0]["before"] == FIRST
    assert found[0]["after"] is None
    assert found[2] == {
        "state": found[2]["state"],
        "kind": "commit",
        "ref": "main",
        "before": FIRST,
        "after": SECOND,
        "time": "2026-01-05T12:00:00.000001Z",
    }
    assert found[0]["state"] == str(Repository(DirectoryCAStore("blocks")).cid)


@pytest.mark.usefixtures("stored")
def test_repositories_side_by_side(call: Any) -> None:
    call("init", "--repository", "second", "--default", "trunk")
    done = call("commit", CLASSIC_ROOT, "-m", "elsewhere", "--repository", "second", "--json")
    assert json.loads(done.out)["branch"] == "trunk"
    assert len(lines(call("log", "--repository", "second"))) == 1
    assert len(lines(call("log"))) == 2
    assert call("log", "trunk").code == 3


@pytest.mark.usefixtures("stored")
def test_what_is_not_named(call: Any) -> None:
    call("reset", "main", "main~1")
    none = call("roots")  # an earlier state of the repository names it
    assert (none.code, none.out) == (0, b"")
    assert none.err.startswith("not listed: what a repository leads to or led to (`ipldstore log ")
    write_files(Path("classic.zarr"), {"a/0": b"x", "g/b/.zarray": b"{}", "g/.zgroup": b"{}"})
    (root,) = lines(call("put", "classic.zarr"))
    history = History(DirectoryCAStore("blocks"))
    commits = [
        str(CID(history.commit(root=parse_text(text)))) for text in (CLASSIC_ROOT, ABSENT_ROOT)
    ]
    for path in Path("blocks").rglob("*.data"):
        is_commit = any(part in path.read_bytes() for part in (b"commit 0", b"commit 1"))
        os.utime(path, ns=(0, NOON * 1000 - is_commit * 10**9))
    assert lines(call("roots")) == [
        f"hierarchy 2026-01-05 12:00:00 UTC {root} a, g/b",
        *sorted(
            f"commit    2026-01-05 11:59:59 UTC {commit} {arrays}"
            for commit, arrays in zip(commits, "a-", strict=True)
        ),
    ]
    found = [json.loads(line) for line in lines(call("roots", "--json"))]
    assert found[0] == {
        "cid": root,
        "kind": "hierarchy",
        "time": "2026-01-05T12:00:00.000000Z",
        "arrays": ["a", "g/b"],
    }
    assert {entry["cid"]: entry["arrays"] for entry in found[1:]} == {
        commits[0]: ["a"],
        commits[1]: None,
    }


def test_the_root_of_an_archive_is_named(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    assert len(lines(call("roots"))) == 1
    call("export", CLASSIC_ROOT, "x.car")
    assert lines(call("roots", "--blocks", "x.car")) == []
    assert call("roots", "--blocks", "nowhere").code == 3
    assert call("roots", "--blocks", "gateway+http://127.0.0.1:9").code == 5


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_what_others_said_steers_no_terminal(
    form: list[str], call: Any, run: Any, workplace: Path
) -> None:
    blocks = DirectoryCAStore("blocks")
    with Repository.create(blocks, author=EVIL) as repo:
        metadata = {EVIL: EVIL, "more": [EVIL]}
        with repo.writable(message=f"{EVIL}\n{EVIL}", metadata=metadata) as store:
            store[EVIL] = b"x"
        repo.branch(EVIL_NAME)
        repo.tag(f"{EVIL_NAME}/tag")
        for branch, value in (("main", b"1"), (EVIL_NAME, b"2")):
            with repo.writable(branch) as store:
                store[EVIL] = value
        session = repo.resume(repo.writable(EVIL_NAME, message=EVIL).id)
        session["a"] = b"1"
    for arguments in (
        ["log", "--all"],
        ["show", EVIL_NAME],
        ["branch"],
        ["tag"],
        ["operations"],
        ["sessions"],
        ["abandon", session.id],
        ["roots"],
        ["merge", EVIL_NAME],
        ["branch", f"{EVIL_NAME}2", EVIL_NAME],
        ["branch", "-d", f"{EVIL_NAME}2"],
        ["show", f"{EVIL_NAME}3"],
        ["reset", EVIL_NAME, "main"],
        ["undo"],
    ):
        done = call(*arguments, *form)
        for written in (done.out.decode(), done.err):
            assert all(char.isprintable() or char == "\n" for char in written), written
            assert "Traceback" not in written
        assert done.code == {"merge": 1}.get(
            arguments[0], 3 if arguments[-1] == f"{EVIL_NAME}3" else 0
        )


def test_times_of_others(call: Any, workplace: Path) -> None:
    blocks = DirectoryCAStore("blocks")
    history = History(blocks)
    put_state(blocks, make_state({"main": history.chain(30)[-1]}))
    assert len(lines(call("log"))) == 30
    found = [json.loads(line)["time"] for line in lines(call("log", "-n", "2", "--json"))]
    assert found == ["2026-01-06T17:00:00.000000Z", "2026-01-06T16:00:00.000000Z"]


@pytest.mark.once
def test_putting_into_a_repository_in_a_car_file(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.arange(6.0))
    assert call("init", "x.car").code == 0
    for group in ("g1", "g2"):
        put = call("put", "a.npy", "--into", group, "--branch", "main", "--blocks", "x.car")
        assert put.code == 0, put.err
    with CARStore("x.car", read_only=True) as blocks:
        repo = Repository(blocks)
        assert len(list(repo.log())) == 2
        assert {key.partition("/")[0] for key in repo.readonly() if "/" in key} == {"g2"}


@pytest.mark.usefixtures("stored")
def test_sessions(call: Any) -> None:
    assert lines(call("sessions")) == []
    with Repository("blocks") as repo:
        begun = repo.writable(message="begun\nin two lines")
        session = repo.resume(begun.id)
        session["a/1"] = b"1"
        (known,) = repo.sessions()
    (line,) = lines(call("sessions"))
    times = f"{known.last:%Y-%m-%d %H:%M:%S} UTC"
    assert line == f"{times}  {begun.id}  main  1 writer  {known.size} bytes  begun"
    (shown,) = lines(call("sessions", "--json"))
    assert json.loads(shown) == {
        "id": begun.id,
        "branch": "main",
        "base": SECOND,
        "message": "begun\nin two lines",
        "begun": f"{known.begun:%Y-%m-%dT%H:%M:%S.%fZ}",
        "last": f"{known.last:%Y-%m-%dT%H:%M:%S.%fZ}",
        "writers": 1,
        "bytes": known.size,
    }
    assert call("abandon", begun.id) == (
        0,
        f"{line}\n".encode(),
        "abandoned a session that was not committed\n",
    )
    assert lines(call("sessions")) == []
    with pytest.raises(SessionEndedError):
        session["a/2"] = b"2"


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_damaged_session_is_abandoned_and_is_in_nobodys_way(call: Any, form: list[str]) -> None:
    with Repository("blocks") as repo:
        damaged, whole = repo.writable().id, repo.writable().id
    Path(f"blocks/ipldstore/journals-{damaged}/step-000000").write_bytes(b"\xa0")
    assert f"`ipldstore abandon {damaged}`" in call("sessions").err
    assert call("abandon", whole).code == 0
    done = call("abandon", damaged, *form)
    assert done.code == 0
    if form:
        assert json.loads(done.out) == {
            **dict.fromkeys(["branch", "base", "message", "begun", "last", "writers", "bytes"]),
            "id": damaged,
        }
    else:
        assert lines(done) == [f"{damaged}  damaged"]
    assert lines(call("sessions")) == []


@pytest.mark.usefixtures("stored")
def test_verifying_all_versions(call: Any) -> None:
    with Repository("blocks") as repo:
        state, blocks = str(repo.cid), repo.info().blocks
    done = call("verify")
    assert (done.code, done.out) == (0, b"")
    assert done.err.startswith(f"verified {blocks} blocks, ")
    done = call("verify", "--json")
    facts = json.loads(done.out)
    assert (facts["root"], facts["blocks"], facts["ok"]) == (state, blocks, True)
    of_one = json.loads(call("verify", "main", "--json").out)
    assert (of_one["root"], of_one["ok"]) == (CONSOLIDATED_ROOT, True)
    assert of_one["blocks"] < blocks


@pytest.mark.usefixtures("stored")
def test_damage_of_an_earlier_version_is_found_and_mended(call: Any) -> None:
    for root in (CLASSIC_ROOT, CONSOLIDATED_ROOT):
        assert call("copy", root, "backup").code == 0
    DirectoryCAStore("blocks").remove_block(as_link(CLASSIC_ROOT))
    assert call("verify", "main").code == 0
    done = call("verify")
    assert done.code == 3
    (line,) = done.out.decode().splitlines()
    assert line.startswith(f"missing     {CLASSIC_ROOT} /: ")
    assert line.endswith(f"; in {FIRST} first")
    mended = call("verify", "--repair-from", "backup")
    assert (mended.code, mended.out) == (0, b"")
    assert "repaired 1 block\n" in mended.err
    assert call("verify", "--journal", "noted").code == 0


@pytest.mark.usefixtures("stored")
def test_extra_are_blocks_of_no_version(call: Any) -> None:
    with Repository("blocks") as repo:
        lost = as_link(repo.blocks.put_raw(b"lost", "raw"))
        now, *before = (link for link, _ in repo._versions.iter_states())
    listed = [line.split() for line in lines(call("verify", "--extra"))]
    assert {kind for kind, _ in listed} == {"extra"}
    found = {as_link(cid)[2:] for _, cid in listed}  # whatever the codec is listed as
    assert found == {link[2:] for link in (lost, *before)}
    assert now[2:] not in found


@pytest.mark.usefixtures("stored")
def test_info_of_a_repository(call: Any) -> None:
    with Repository("blocks") as repo:
        found, blocks = repo.info(), repr(repo.blocks)
    facts = json.loads(call("info", "--json").out)
    assert facts == {"repository": "default", "store": blocks, **vars(found)}
    assert (facts["commits"], facts["branches"], facts["tags"]) == (2, 1, 0)
    assert facts["old_bytes"] > 0
    shown = dict(line.split(maxsplit=1) for line in lines(call("info")))
    assert shown["state"] == found.state
    assert shown["all"].startswith(f"{found.blocks} blocks, ")
    assert shown["old"].endswith(" that no branch or tag is at")


@pytest.mark.parametrize("command", ["verify", "info"])
def test_neither_a_root_nor_a_repository(command: str, call: Any, classic: Path) -> None:
    done = call(command)
    assert (done.code, done.out) == (3, b"")
    assert "`ipldstore init` makes one" in done.err
    call("put", "classic.zarr")
    done = call(command)
    assert (done.code, done.out) == (3, b"")
    assert "no repository 'default' in" in done.err
    assert done.err.endswith("(or name a ROOT, such as a CID or FILE.car)\n")
