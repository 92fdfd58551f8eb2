"""Names of branches, tags and repositories, those of the first two against git."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore.errors import InvalidNameError
from ipldstore.history.names import (
    check_ref_name,
    quote_ref_name,
    unquote_ref_name,
)

GOOD = [
    *(
        "main",
        "v1.0",
        "feature/x",
        "a/b/c/d",
        "é",
        "水",
        "x-",
        "a.b",
        "lock",
        "a.locks",
        "a.lock.b",
    ),
    *("Head", "HEAD/x", "x/HEAD", "a{b}", "a'b", 'a"b', "a%2Fb", "a#b", "a&b", "a;b", "$x", "a]"),
    *("a./b", "b/-c", "bafx", "xbafy", "BAFY", "a\u00a0b", "a\u0085b", "baf/y", "x" * 255),
    "é" * 127 + "x",
]
BAD = [
    ("", "name of a branch or tag has 0 bytes, expected 1 to 255"),
    ("x" * 256, "name of a branch or tag has 256 bytes, expected 1 to 255"),
    ("é" * 128, "name of a branch or tag has 256 bytes, expected 1 to 255"),
    ("\ud800", "name of a branch or tag holds a lone surrogate"),
    *((f"a{sign}b", f": it holds {sign!r}") for sign in " ~^:?*[\\@\0\t\n\x1f\x7f"),
    ("a..b", "'a..b' cannot be the name of a branch or tag: it holds '..'"),
    ("..", "it holds '..'"),
    ("a@{1}", "it holds '@'"),
    ("@", "it holds '@'"),
    ("bafy", "it begins with 'bafy', as CIDs do"),
    ("bafk/x", "it begins with 'bafk', as CIDs do"),
    ("-a", "it begins with a hyphen"),
    ("HEAD", "git has another meaning for it"),
    ("a.", "it ends with a dot"),
    (".", "it ends with a dot"),
    ("/a", "it begins or ends with a slash, or has two in a row"),
    ("a/", "it begins or ends with a slash, or has two in a row"),
    ("a//b", "it begins or ends with a slash, or has two in a row"),
    ("/", "it begins or ends with a slash, or has two in a row"),
    (".a", "a part of it begins with a dot"),
    ("a/.b", "a part of it begins with a dot"),
    ("a.lock", "a part of it ends with '.lock'"),
    ("a.lock/b", "a part of it ends with '.lock'"),
]
OWN = "@", "bafy", "bafk"
"""What git allows."""


@pytest.mark.parametrize("name", GOOD)
def test_allowed(name):
    check_ref_name(name)


@pytest.mark.parametrize(("name", "message"), BAD)
def test_refused(name, message):
    with pytest.raises(InvalidNameError) as caught:
        check_ref_name(name)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", [None, 5, b"main", ["main"]])
def test_what_is_no_text(name):
    with pytest.raises(InvalidNameError, match=f"is {type(name).__name__}, expected str"):
        check_ref_name(name)


def git_allows(name):
    command = ["git", "check-ref-format", "--branch", name]
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


def we_allow(name):
    try:
        check_ref_name(name)
    except InvalidNameError:
        return False
    return True


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@needs_git
@pytest.mark.once
@pytest.mark.parametrize("name", [*GOOD, *(name for name, _ in BAD)], ids=ascii)
def test_git_agrees(name):
    if len(name.encode(errors="replace")) <= 255 and "\0" not in name and name.isprintable():
        assert we_allow(name) == (git_allows(name) and not name.startswith(OWN) and "@" not in name)


@needs_git
@pytest.mark.once
@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "é",
                ".",
                "/",
                "-",
                ".lock",
                "{",
                "}",
                "~",
                " ",
                "\x01",
                "\x7f",
                "HEAD",
                "[",
                "\\",
            ]
        ),
        max_size=5,
    ).map("".join)
)
@settings(deadline=None, max_examples=60)
def test_git_agrees_on_any(name):
    assert we_allow(name) == git_allows(name)


@pytest.mark.parametrize(
    ("name", "text"),
    [("main", "main"), ("a/b", "a%2Fb"), ("é#1&%", "%C3%A9%231%26%25"), ("a+b", "a%2Bb")],
)
def test_in_urls(name, text):
    assert quote_ref_name(name) == text
    assert unquote_ref_name(text) == name


@pytest.mark.parametrize("name", GOOD)
def test_all_names_pass_through_urls(name):
    quoted = quote_ref_name(name)
    assert quoted.isascii()
    assert not set(quoted) & set("/?#@&;=+ ")
    assert unquote_ref_name(quoted) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [("%ff", "is not UTF-8"), ("a%20b", "holds ' '"), ("", "0 bytes"), ("a%00", "holds '.x00'")],
)
def test_refused_in_urls(text, message):
    with pytest.raises(InvalidNameError, match=message):
        unquote_ref_name(text)
