"""Revisions: what is one, and which commit it names."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore.cid import Link
from ipldstore.errors import InvalidNodeError, RevisionError
from ipldstore.history.graph import Graph
from ipldstore.history.revisions import parse_revision, resolve_revision
from tests.histories import EMPTY, HOUR, NOON, History, make_state
from tests.history.theirs import names

history = History()
# a - b - c ------- m - d   main
#      \           /
#       x - y ----'         side
a, b, c = history.chain(3)
x, y = history.chain(2, b)
m = history.commit(c, y, message="merge\n\nof both")
(d,) = history.chain(1, m)
LETTER = {a: "a", b: "b", c: "c", x: "x", y: "y", m: "m", d: "d"}
LINK = {letter: link for link, letter in LETTER.items()}
state = make_state({"main": d, "side": y, "feature/x": x}, {"v1": b})


def find(text, state=state, history=history):
    return resolve_revision(parse_revision(text), state, Graph(history.load, state.shallow))


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        *(("main", "d"), ("v1", "b"), ("feature/x", "x"), ("~0", "d"), ("^0", "d"), ("^", "m")),
        *(("main~", "m"), ("main~1", "m"), ("main~2", "c"), ("main~~", "c"), ("main~3~", "a")),
        *(("main~0", "d"), ("main^0^0~00", "d"), ("main~4", "a"), ("main~04", "a")),
        *(("main^", "m"), ("main^1", "m"), ("main^^2", "y"), ("main^^2~", "x"), ("main~^2^", "x")),
        *((f"{m}^2", "y"), (str(y), "y"), (f"{str(m)[:11]}", "m"), (f"{str(m)[:20]}^2", "y")),
        *((f"{str(x)[:58]}~1", "b"), (f"f{m.hex()}^2", "y")),
        # a at noon of 5 January 2026, then each an hour after the one before
        *(("main@2026-01-05", "d"), ("@2026-01-05", "d"), ("@9999-12-31", "d")),
        *(("main@2026-01-05T12:00", "a"), ("main@2026-01-05T12:00Z", "a")),
        *(("main@2026-01-05T13:59:59.999999Z", "b"), ("main@2026-01-05T14:00:00", "c")),
        *(("main@2026-01-05T14:30+01:00", "b"), ("main@2026-01-05T08:00-05:00", "b")),
        *(("main@2026-01-05T17:00", "m"), ("side@2026-01-05T17:00", "y")),
        *(("main@2026-01-05~", "m"), ("main^^2@2026-01-05T15:00:00.5", "x")),
        ("main@2026-01-05@2026-01-05T14:00", "c"),
    ],
)
def test_what_names_a_commit(text, letter):
    assert LETTER[find(text)] == letter


def test_a_day_ends_at_midnight_utc():
    midnight = int(datetime(2026, 1, 6, tzinfo=UTC).timestamp()) * 1_000_000
    history = History()
    last = history.commit(time=midnight - 1)
    state = make_state({"main": history.commit(last, time=midnight)})
    assert find("main@2026-01-05", state, history) == last
    assert find("main@2026-01-06", state, history) == state.branches["main"]


def test_the_last_along_first_parents_though_times_go_back():
    history = History()
    early = history.commit(time=NOON)
    late = history.commit(early, time=NOON + 9 * HOUR)
    state = make_state({"main": history.commit(late, time=NOON + HOUR)})
    assert find("@2026-01-05T14:00", state, history) == state.branches["main"]
    assert find("~@2026-01-05T14:00", state, history) == early


MALFORMED = [
    ("", "an empty text is no revision: the default branch is '~0'"),
    ("main~x", "'main~x' is no revision: 'x' at character 6, expected ~N, ^N or @DATE"),
    ("main~-1", "'-1' at character 6"),
    ("main~1.5", "'.5' at character 7"),
    ("main~\u0661", "'\u0661' at character 6"),
    (f"main~{'1' * 19}", "'1' at character 24"),
    ("main^{commit}", "'{commit}' at character 6"),
    ("main@", "'' at character 6 is no date: expected a day such as 2026-01-05"),
    ("main@2026-01", "'2026-01' at character 6 is no date: expected a day"),
    ("main@2026-13-05", "'2026-13-05' at character 6 is no date: month must be in 1..12"),
    ("main@2026-01-05T25:00", "is no date: hour must be in 0..23"),
    ("main@2026-01-05T12", "is no date: expected"),
    ("main@2026-01-05 12:00", "is no date: expected"),
    ("main@2026-01-05T12:00+1", "is no date: expected"),
    ("main@2026-01-05T12:00+25:00", "is no date: "),
    ("main@20260105", "is no date: expected"),
    ("main@\u0662026-01-05", "is no date: expected"),
    ("main@{yesterday}", "is no date: expected"),
    ("ma in", "'ma in' is no revision: 'ma in' cannot be the name of a branch or tag: it holds"),
    ("main..side", "it holds '..'"),
    ("HEAD", "git has another meaning for it"),
    ("x" * 256, "name of a branch or tag has 256 bytes"),
    ("\ud800", "holds a lone surrogate"),
    ("bafy", "'bafy' has 4 characters: the beginning of a commit's CID needs 11, as the"),
    ("bafyreiabc~2", "'bafyreiabc' has 10 characters: the beginning of a commit's CID needs 11"),
    ("bafkreiabcdefg", "is no commit's CID: "),
    ("bafyreiABCDEFG", "is no commit's CID: 'A' at character 8: case is mixed"),
    ("bafyrei1bcdefg", "is no commit's CID: '1' at character 8: base32 has only a to z"),
    (f"{a}a", "is no commit's CID: 60 characters, expected 59"),
]


@pytest.mark.parametrize(("text", "message"), MALFORMED)
def test_what_is_malformed(text, message):
    with pytest.raises(RevisionError) as caught:
        parse_revision(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("text", [None, 1, b"main", a])
def test_what_is_no_text(text):
    with pytest.raises(RevisionError, match=f"is {type(text).__name__}, expected str"):
        parse_revision(text)


REFS = "its branches are 'feature/x', 'main', 'side'; it has one tag, 'v1'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mian", f"no branch or tag 'mian': did you mean 'main'? {REFS}"),
        ("qqqq~2", f"no branch or tag 'qqqq': {REFS}"),
        ("bafyreizzzz", f"no commit's CID begins with 'bafyreizzzz' in the repository: {REFS}"),
        ("main~5", "'~5' goes 5 commits back from 'main', which has 4 before it along first"),
        ("~999999", "'~999999' goes 999999 commits back from the default branch, which has 4"),
        ("main~2~3", "'~3' goes 3 commits back from 'main~2', which has 2 before it along first"),
        ("main^2", "'^2' is parent 2 of 'main', which has 1"),
        ("main~^3", "'^3' is parent 3 of 'main~', which has 2"),
        ("main~4^", "'^' is parent 1 of 'main~4', which has none"),
        (
            "main@2026-01-04",
            f"'@2026-01-04' is before 'main' began, of which the first commit, {a}, is of "
            "2026-01-05T12:00:00Z",
        ),
        ("main@0001-01-01T00:00+14:00", "is before 'main' began"),
    ],
)
def test_what_names_no_commit(text, message):
    with pytest.raises(RevisionError) as caught:
        find(text)
    assert message in str(caught.value)
    assert "let go" not in str(caught.value)


@pytest.mark.parametrize("text", ["main~3", "main~2^", "main@2026-01-05T13:30", "main~~~~"])
def test_what_was_let_go(text):
    shallow = make_state({"main": d}, shallow=[c])
    with pytest.raises(RevisionError, match=f": the parents of {c} were let go$"):
        find(text, shallow)
    assert find("main~2", shallow) == c


def test_a_default_branch_without_a_commit():
    with pytest.raises(RevisionError) as caught:
        find("~2", make_state({}, default="trunk"))
    assert str(caught.value) == (
        "the default branch 'trunk' has no commit yet: the repository has no branch or tag"
    )
    assert find("^", make_state({"main": a, "trunk": b}, default="trunk")) == a


def test_many_names_are_not_all_shown():
    state = make_state({f"b{number:02}": a for number in range(14)})
    with pytest.raises(RevisionError) as caught:
        find("qqqq", state)
    assert str(caught.value).endswith("'b09' and 4 more; it has no tag")


@pytest.mark.parametrize(("count", "more"), [(2, ""), (5, ""), (6, " and more"), (9, " and more")])
def test_a_beginning_of_several(count, more):
    """Blocks are taken from under CIDs that begin alike; whoever loads them would verify them."""
    links = [Link(b"\1\x71\x12\x20" + bytes(31) + bytes([number])) for number in range(count)]
    data = {
        link: history.read(history.commit(message=f"{number}\nmore")).encode()
        for number, link in enumerate(links)
    }
    state = make_state({f"b{number}": link for number, link in enumerate(links)})
    graph = Graph(data.__getitem__)
    with pytest.raises(RevisionError) as caught:
        resolve_revision(parse_revision(f"{str(links[0])[:30]}~1"), state, graph)
    shown = re.findall(r"(bafyrei\w+) '(\d)'", str(caught.value))
    assert shown == [
        (str(links[number]), str(number)) for number in reversed(range(max(0, count - 5), count))
    ]
    assert str(caught.value).endswith(f"'{more}")
    assert resolve_revision(parse_revision(str(links[1])), state, graph) == links[1]


def test_a_commit_that_no_branch_leads_to():
    alone = history.commit(a)
    assert find(str(alone)) == alone
    assert find(f"{alone}~") == a
    with pytest.raises(RevisionError, match="no commit's CID begins with"):
        find(str(alone)[:15])


def test_a_cid_that_is_no_commit():
    data = b"\xa0"
    with pytest.raises(InvalidNodeError, match="holds no commit"):
        resolve_revision(parse_revision(str(EMPTY)), state, Graph({EMPTY: data}.__getitem__))


steps = st.one_of(
    st.tuples(st.sampled_from("~^"), st.integers(0, 10**18 - 1)).map(lambda step: (*step, None)),
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)).map(lambda date: ("@", None, date)),
)


@given(
    st.just("") | names.filter(lambda name: not name.startswith(("bafy", "bafk"))), st.lists(steps)
)
@settings(deadline=None)
def test_what_is_written_is_read(name, steps):
    text = name + "".join(
        f"{kind}{date.isoformat() if number is None else number}" for kind, number, date in steps
    )
    if not text:
        return
    found = parse_revision(text)
    assert (found.text, found.start) == (text, name)
    assert [(step.kind, step.number) for step in found.steps] == [
        (kind, round(date.replace(tzinfo=UTC).timestamp() * 1e6) if number is None else number)
        for kind, number, date in steps
    ] or any(date and date.microsecond for *_, date in steps)


@given(st.text("main~^@0123456789-:TZ+.bafyrei/ ", max_size=20))
@settings(deadline=None)
def test_any_text_is_a_revision_or_refused(text):
    try:
        found = find(text)
    except RevisionError as error:
        assert len(str(error)) < 1000
    else:
        assert type(found) is Link
        assert re.match(r"main|[~^@]", text)
