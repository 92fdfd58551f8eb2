"""The drawing of which version came from which."""

from datetime import UTC, datetime

from hypothesis import given, strategies

from ipldstore.views.ancestry import Drawn, draw_html, draw_text, iter_ancestry_lines

TIME = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)


def drawn(link, parents="", refs=(), message=None, author=""):
    cid = f"bafyrei{link * 52}"
    return Drawn(
        link, list(parents), cid, refs, TIME, author, f"add {link}" if message is None else message
    )


def graph_of(versions, **options):
    """Return the drawing without what is said of versions."""
    lines = iter_ancestry_lines(versions, **options)
    return [line.partition("  bafyrei")[0] for line in lines]


def test_what_is_said():
    versions = [drawn("b", "a", ("main", "v1"), "grow it\n\nby a day", "me"), drawn("a")]
    assert draw_text(versions).splitlines() == [
        "●  bafyreibbbbbbbb  2026-01-05 12:30 (main, v1)  grow it - me",
        "●  bafyreiaaaaaaaa  2026-01-05 12:30  add a",
    ]


def test_nothing_is_nothing():
    assert draw_text([]) == ""


def test_a_merge():
    versions = [drawn("d", "bc"), drawn("c", "a"), drawn("b", "a"), drawn("a")]
    assert graph_of(versions) == ["●", "├─╮", "│ ●", "● │", "├─╯", "●"]
    assert graph_of(versions, ascii_only=True) == ["*", "+-+", "| *", "* |", "+-+", "*"]


def test_lines_that_cross():
    versions = [
        drawn("i", "h", ("main",)),
        drawn("h", "gf"),
        drawn("x", "e", ("old",)),
        drawn("g", "ed"),
        drawn("f", "c"),
        drawn("e", "d"),
        drawn("d", "b"),
        drawn("c", "b"),
        drawn("b", "a"),
        drawn("a"),
    ]
    assert graph_of(versions) == [
        *("●", "●", "├─╮", "│ │ ●", "● │ │", "├─┼─┤", "│ ● │", "│ │ ●", "├─┼─╯"),
        *("● │", "│ ●", "├─╯", "●", "●"),
    ]


def test_three_parents_that_are_drawn_already():
    versions = [drawn("x", "m"), drawn("y", "n"), drawn("z", "mn"), drawn("m"), drawn("n")]
    assert graph_of(versions) == ["●", "│ ●", "│ │ ●", "├─┼─┤", "│ ├─╯", "● │", "  ●"]


def test_many_side_by_side():
    """Lines beyond forty are not drawn, so that a log cannot grow with the square of its length."""
    tips = [Drawn(f"tip {n}", [f"root {n}"], "bafyreix", (), TIME, "", "") for n in range(100)]
    roots = [Drawn(f"root {n}", [], "bafyreix", (), TIME, "", "") for n in range(100)]
    merge = Drawn("merge", [f"tip {n}" for n in range(100)], "bafyreix", (), TIME, "", "")
    lines = graph_of([merge, *tips, *roots])
    assert len(lines) == 300
    assert max(map(len, lines)) == 79


def test_two_that_have_nothing_in_common():
    assert graph_of([drawn("a"), drawn("b")]) == ["●", "●"]


def test_foreign_text_steers_no_terminal():
    text = draw_text([drawn("a", message="\x1b[2J\u202e" + "x" * 100, author="a\nb")])
    assert text.isprintable()
    assert "\\x1b[2J\\u202e" in text
    assert text.endswith("... - a\\nb")
    (line,) = iter_ancestry_lines([drawn("a", message="ü")], ascii_only=True)
    assert line.isascii()


def test_html_is_escaped():
    html = draw_html([drawn("a", message="<script>", refs=("a<b",))])
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


@given(strategies.data())
def test_any_history(data):
    """Each version is drawn once, in its place, and every line that begins also ends."""
    count = data.draw(strategies.integers(1, 12))
    versions = []
    for index in range(count):
        later = list(range(index + 1, count))
        parents = (
            data.draw(strategies.lists(strategies.sampled_from(later), unique=True, max_size=4))
            if later
            else []
        )
        versions.append(Drawn(index, parents, "bafyreix", (), TIME, "", ""))
    lines = graph_of(versions)
    assert sum(line.count("●") for line in lines) == count
    widest = max(map(len, lines))
    assert all(set(line) <= set("●│─┼├╮┤╯╰ ") for line in lines)
    assert widest <= 2 * count
