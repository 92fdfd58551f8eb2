"""The journals of one session in a block store, as one process writes and reads them."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from ipldstore.basics.locks import Process
from ipldstore.blockstore.abilities import KeepsJournals
from ipldstore.cid import Link
from ipldstore.errors import (
    BackendError,
    CodecError,
    InvalidCIDError,
    InvalidNodeError,
    SessionEndedError,
)
from ipldstore.formats import dagcbor
from ipldstore.journals.joining import Origin
from ipldstore.journals.records import Record, encode_frame, iter_frames
from ipldstore.journals.steps import CLOSED, ENDED, NONCE_BYTES, OPEN, Step, decode_step

_NAME = re.compile(r"(step|w|tries)-([0-9]{6})(?:-[0-9a-f]{16})?")
_MOST_STEPS = 999_999
_MOST_TRIES = 10


class Cursor(NamedTuple):
    """How far a journal was read, and what its writer knew of others then."""

    offset: int
    seen: Mapping[str, int]


_UNREAD = Cursor(0, {})

Found = tuple[Origin, Record]


class Journals:
    """The journals of a session; see `docs/format.md` for what they hold.

    `number` and `step` are the open step in which this process writes; `is_behind` says whether all
    is to be read anew, as the session was seen to be at a later one, or this was interrupted. What
    `read` finds counts as read once it is handed to `note_read`, so that an interrupt in between
    loses nothing.
    """

    def __init__(self, blocks: KeepsJournals, session: str) -> None:
        self._blocks = blocks
        self.session = session
        self.number = 0
        self.step = Step(kind=OPEN, time=0, nonce=b"")
        self._encoded = self._closed = b""
        self.is_behind = False
        self._next, self._this = _step_name(1), _step_name(0)
        self._cursors: dict[str, Cursor] = {}
        self._own = ""
        self._start = self._size = 0
        self._is_sure = False
        self._is_stale = False
        self._process: object = None
        # what the own journal says that it was seen of others, and what it does not say yet
        self._told: Mapping[str, int] = {}
        self._untold: dict[str, int] = {}

    # steps

    def begin(self, step: Step) -> None:
        """Make the first step, unless another process of this session did."""
        name = _step_name(0)
        self._blocks.make_journal(self.session, name, step.encode())
        self.enter()

    def enter(self) -> Step:
        """Look which step the session is at, and return it.

        Where it is open, or closed, this goes on from there. Raises `SessionEndedError` if there is
        no such session.
        """
        number = max(map(_number_of_step, self._blocks.list_journals(self.session)), default=-1)
        data = self._read_step(number)
        step = self._decode(number, data)
        if step.kind == ENDED:
            return step
        before = self._read_step(number - 1) if number else b""
        opened = step
        if number and self._decode(number - 1, before).nonce != step.after:
            raise ended(self.session)
        if step.kind == CLOSED:
            self._closed, data, number = data, before, number - 1
            opened = self._decode(number, data)
        else:
            self._own = ""
        if number != self.number and self._cursors:
            self.note_stale()
        self.number, self.step, self._encoded = number, opened, data
        self._next, self._this = _step_name(number + 1), _step_name(number)
        return step

    def _decode(self, number: int, data: bytes) -> Step:
        return decode_step(data, f"{_step_name(number)} of session {self.session}")

    def _read_step(self, number: int) -> bytes:
        data = self._blocks.read_journal(self.session, _step_name(number)) if number >= 0 else None
        if data is None:
            raise ended(self.session)
        return data

    def check_open(self) -> None:
        """Raise `SessionEndedError` unless what was recorded before now counts.

        First it is asked whether the next step is there, then for this one, as the steps of a
        session that ended are removed in their order. A step but the first may be made anew by
        who comes too late, with other bytes.
        """
        if self.number:
            is_over = self._blocks.find_journals(self.session, [self._next])[0]
            data = self._blocks.read_journal(self.session, self._this)
            is_there = data == self._encoded
        else:
            is_over, is_there = self._blocks.find_journals(self.session, [self._next, self._this])
        if is_over or not is_there:
            raise ended(self.session)

    def is_at_last(self) -> bool:
        """Whether there is no later step than the open one, and nothing to be read anew."""
        return not self._is_stale and not self._blocks.find_journals(self.session, [self._next])[0]

    def close(self) -> None:
        """Make the step after which nothing is written that counts; another process may have.

        Raises `SessionEndedError` if the session is over.
        """
        number = self.number + 1
        step = Step(kind=CLOSED, after=self.step.nonce, **fresh())
        is_mine = self._make_step(number, step)
        self._closed = step.encode() if is_mine else self._read_step(number)
        if self._decode(number, self._closed).after != self.step.nonce or not self._is_there():
            if is_mine:
                self._blocks.remove_journal(self.session, _step_name(number))
            raise ended(self.session)

    def _is_there(self) -> bool:
        return self._blocks.find_journals(self.session, [self._this])[0]

    def _is_closed(self) -> bool:
        """Whether the step that this knows as the closed one is there."""
        return self._blocks.read_journal(self.session, self._next) == self._closed

    def reopen(self) -> bool:
        """Make a step in which everything goes on that was read, once this one is closed.

        False if another process did, in whose step what it read counts. Raises `SessionEndedError`
        if the session is over.
        """
        carries = {name: cursor.offset for name, cursor in list(self._cursors.items())}
        # the time stays, by which it is known when the session was begun
        made = {**fresh(), "time": self.step.time}
        step = replace(self.step, carries=carries, after=self._nonce_of_closed(), **made)
        number = self.number + 2
        is_mine = self._make_step(number, step)
        if not self._is_closed():
            if is_mine:
                self._blocks.remove_journal(self.session, _step_name(number))
            raise ended(self.session)
        was_stale = self._is_stale
        self.enter()
        if is_mine and not was_stale:
            self.note_begun()
        return is_mine

    def _nonce_of_closed(self) -> bytes:
        return self._decode(self.number + 1, self._closed).nonce

    def end(self) -> bool:
        """Make the last step, and remove all; False if another process goes on with the session."""
        number = self.number + 2
        step = Step(kind=ENDED, after=self._nonce_of_closed(), **fresh())
        if not self._make_step(number, step):
            data = self._blocks.read_journal(self.session, _step_name(number))
            if data is not None and self._decode(number, data).kind != ENDED:
                return False
        self.remove()
        return True

    def let_go(self) -> None:
        """End the session, whatever step it is at."""
        for _ in range(_MOST_TRIES):
            step = self.enter()
            if step.kind == ENDED:
                self.remove()
                return
            if step.kind == OPEN:
                self.close()
            if self.end():
                return
        raise BackendError(f"session {self.session} is gone on with by others", retryable=True)

    def _make_step(self, number: int, step: Step) -> bool:
        if number > _MOST_STEPS:
            raise BackendError(f"no number is left for a step of session {self.session}")
        return self._blocks.make_journal(self.session, _step_name(number), step.encode())

    def remove(self) -> None:
        """Remove all journals, then the steps, the highest last, by which others know."""
        names = self._blocks.list_journals(self.session)
        for name in sorted(names, key=lambda name: (name.startswith("step"), name)):
            self._blocks.remove_journal(self.session, name)

    def describe(self) -> Unfinished:
        """Say how much was written by how many, and when."""
        sizes = self._list_counting()
        begun = last = self.step.time
        for name in sizes:
            data = self._blocks.read_journal(self.session, name) or b""
            with suppress(InvalidNodeError):  # which is for who goes on with it
                last = max([last, *(frame.time for frame in iter_frames(data))])
        return Unfinished(self.session, self.step, (begun, last), len(sizes), sum(sizes.values()))

    # tries

    def note_try(self, link: Link, root: Link) -> None:
        """Note a commit of what was recorded, before the branch is moved to it."""
        name = f"tries-{self.number + 1:06}-{secrets.token_hex(8)}"
        data = dagcbor.encode([link, root])
        self._blocks.make_journal(self.session, name, data)

    def read_tries(self) -> dict[Link, Link]:
        """Return the commits that were tried, by whatever process, and the root of each.

        Raises `SessionEndedError` if the session is not closed any more: where another process
        committed it, what that one tried may be gone.
        """
        found: dict[Link, Link] = {}
        for name in self._blocks.list_journals(self.session):
            if name.startswith("tries-"):
                data = self._blocks.read_journal(self.session, name)
                if data is not None:
                    link, root = _read_try(data, f"{name} of session {self.session}")
                    found[link] = root
        is_over = self._blocks.find_journals(self.session, [_step_name(self.number + 2)])[0]
        if is_over or not self._is_closed():
            raise ended(self.session)
        return found

    # records

    def append(self, records: Sequence[Record]) -> list[Found]:
        """Append records to the journal of this process; return them as they are read by others."""
        if not self._own or not self._is_sure or self._process is not Process.current:
            self._begin_journal()
        told = dict(self._untold)
        data = encode_frame(records, told)
        # an interrupt, or a fault, leaves it open whether it is there: another journal begins then
        self._is_sure = False
        start = self._start = self._size
        self._blocks.append_journal(self.session, self._own, start, data)
        if told:
            self._told = {**self._told, **told}
        self._size = start + len(data)
        self._is_sure = True
        return [
            (Origin(self._own, start + index, self._told), record)
            for index, record in enumerate(records)
        ]

    @property
    def is_unsure(self) -> bool:
        """Whether what was appended last may be there, or not."""
        return bool(self._own) and not self._is_sure and self._process is Process.current

    def append_aside(self, records: Sequence[Record]) -> tuple[list[Found], dict[str, Cursor]]:
        """Append records to a journal of their own, whatever other threads do meanwhile.

        Returns them as `read` does.
        """
        name = _journal_name(self.number)
        seen = {known: cursor.offset for known, cursor in self._cursors.items() if cursor.offset}
        data = encode_frame(records, seen)
        self._blocks.append_journal(self.session, name, 0, data)
        self.check_open()
        found = [(Origin(name, index, seen), record) for index, record in enumerate(records)]
        return found, {name: Cursor(len(data), seen)}

    def _begin_journal(self) -> None:
        self._process = Process.current
        self._own = _journal_name(self.number)
        self._size, self._told = 0, {}
        self._untold = {}
        for name, cursor in list(self._cursors.items()):
            self._untold.setdefault(name, cursor.offset)  # which other threads note, too

    def take_back(self) -> None:
        """Remove a journal that has nothing but what was appended last, which does not count."""
        if self._own and self._own not in self._cursors:
            self._blocks.remove_journal(self.session, self._own)
            self._own = ""

    def note_appended(self) -> None:
        """Note that what was appended last is taken in.

        Where what was appended before is not, both are left for `read`.
        """
        for name in [name for name, at in self._untold.items() if self._told.get(name) == at]:
            del self._untold[name]
        if self._cursors.get(self._own, _UNREAD).offset == self._start:
            self._cursors[self._own] = Cursor(self._size, self._told)

    def read(self) -> tuple[list[Found], dict[str, Cursor]]:
        """Return what was appended since, also by others, and what to hand to `note_read`.

        Where the writer of a record knew of another one, that one is returned, too.
        """
        cursors: dict[str, Cursor] = {}
        found: list[Found] = []
        wanted = self._list_counting()
        while wanted:
            named: dict[str, int] = {}
            for name, most in wanted.items():
                cursor = cursors.get(name) or self._cursors.get(name, _UNREAD)
                if most > cursor.offset:
                    stop = self._most_of(name)
                    cursors[name] = self._read_from(name, cursor, stop, found, named)
            wanted = {
                name: self._most_of(name)
                for name, position in named.items()
                if position > (cursors.get(name) or self._cursors.get(name, _UNREAD)).offset
                and self._counts(name)
            }
            self._check_progress(wanted, named, cursors)
        return found, cursors

    def _check_progress(
        self, wanted: Mapping[str, int], named: Mapping[str, int], cursors: Mapping[str, Cursor]
    ) -> None:
        listed = self._blocks.list_journals(self.session) if wanted else {}
        for name in wanted:
            if listed.get(name, 0) < named[name]:
                raise BackendError(
                    f"session {self.session}: {named[name]} bytes of journal {name} were read by "
                    f"another process, and {listed.get(name, 0)} are there",
                    retryable=True,
                )

    def _read_from(
        self, name: str, cursor: Cursor, most: int, found: list[Found], named: dict[str, int]
    ) -> Cursor:
        data = self._blocks.read_journal(self.session, name, cursor.offset)
        if data is None:
            return cursor
        offset, seen = cursor
        try:
            for frame in iter_frames(data, offset):
                if frame.stop > most:
                    break
                if frame.seen:
                    seen = {**seen, **frame.seen}
                    for other, position in frame.seen.items():
                        named[other] = max(position, named.get(other, 0))
                found += (
                    (Origin(name, frame.start + index, seen), record)
                    for index, record in enumerate(frame.records)
                )
                offset = frame.stop
        except InvalidNodeError as error:
            raise BackendError(f"session {self.session}, journal {name}: {error}") from error
        return Cursor(offset, seen)

    def note_read(self, cursors: Mapping[str, Cursor]) -> None:
        """Note that what `read` returned is taken in."""
        self._cursors.update(cursors)
        for name, cursor in cursors.items():
            if name != self._own:
                self._untold[name] = cursor.offset

    def read_again(self) -> list[Found]:
        """Return what counts as read."""
        found: list[Found] = []
        for name, cursor in self._cursors.items():
            self._read_from(name, _UNREAD, cursor.offset, found, {})
        return found

    def note_stale(self) -> None:
        """Note that what was taken in is not what counts, until `note_begun`."""
        self._is_stale = self.is_behind = True

    def note_begun(self) -> None:
        """Note that nothing is taken in but what was read since `forget_read`."""
        self._is_stale = self.is_behind = False

    def forget_read(self) -> None:
        """Have `read` begin from the beginning."""
        self.note_stale()
        self._cursors = {}
        self._own = ""

    def _list_counting(self) -> dict[str, int]:
        listed = self._blocks.list_journals(self.session)
        last = max(map(_number_of_step, listed), default=0)
        self.is_behind = self._is_stale or last > self.number + 1
        return {
            name: min(size, self._most_of(name))
            for name, size in listed.items()
            if self._counts(name)
        }

    def _counts(self, name: str) -> bool:
        return name in self.step.carries or name.startswith(f"w-{self.number:06}-")

    def _most_of(self, name: str) -> int:
        return self.step.carries.get(name, 1 << 62)


class Unfinished(NamedTuple):
    """What is known of a session that is neither committed nor abandoned.

    `times` are when it was begun, and when it was written to last.
    """

    session: str
    step: Step
    times: tuple[int, int]
    writers: int
    size: int


def iter_unfinished(blocks: KeepsJournals) -> Iterator[Journals]:
    """Iterate the sessions of all repositories in a block store."""
    for session in blocks.iter_journal_groups():
        journals = Journals(blocks, session)
        try:
            step = journals.enter()
        except SessionEndedError:
            continue
        except (InvalidNodeError, InvalidCIDError) as error:
            raise InvalidNodeError(
                f"session {session} is damaged: repo.abandon({session!r}), or "
                f"`ipldstore abandon {session}`, lets it go: {error}"
            ) from error
        if step.kind != ENDED:
            yield journals


def ended(session: str) -> SessionEndedError:
    """Return the error for a session that is committed, or being so, or abandoned."""
    return SessionEndedError(
        f"session {session} is not open: it was committed or abandoned, or is being committed; "
        "what was written just now does not count. Begin another with repo.writable(branch), or "
        "hand out the one that commits anew"
    )


def new_session() -> str:
    """Return the name of a new session."""
    return secrets.token_hex(16)


def fresh() -> dict[str, Any]:
    """Return what every step has of its own."""
    return {"time": time.time_ns() // 1000, "nonce": secrets.token_bytes(NONCE_BYTES)}


def _step_name(number: int) -> str:
    return f"step-{number:06}"


def _journal_name(number: int) -> str:
    return f"w-{number:06}-{secrets.token_hex(8)}"


def _number_of_step(name: str) -> int:
    found = _NAME.fullmatch(name)
    return int(found[2]) if found and found[1] == "step" else -1


def _read_try(data: bytes, where: str) -> tuple[Link, Link]:
    try:
        value = dagcbor.decode(data)
    except CodecError as error:
        raise InvalidNodeError(f"{where} is damaged: {error}") from error
    if not isinstance(value, list) or [type(item) for item in value] != [Link, Link]:
        raise InvalidNodeError(f"{where} is no try, expected the links of a commit and a root")
    return value[0], value[1]
