"""The worked bytes of docs/format.md are the blocks that it says they are."""

import re
import struct
import zlib
from pathlib import Path

import dag_cbor
import pytest
from multiformats import CID

from ipldstore.journals.records import Change, Frame, Removal, encode_frame, iter_frames
from ipldstore.journals.steps import Step, decode_step
from ipldstore.tree.documents import Document
from tests.history.theirs import CREATED, FIRST, FIRST_CID, ROOT, TIME, block_of, cid_of, link_to

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
LINE = re.compile(r"^ *((?:(?:[0-9a-f]{2})+ +|(?:[0-9a-f]{2})+$)+)", re.MULTILINE)

CHUNK = CID.decode("bafkreihc4ibtvz7btvualgou5mfbgwncwshmlovmoudgyml7x6crlhcu54")
STEP = {
    "session": 1,
    "kind": "open",
    "time": TIME,
    "nonce": bytes(range(16)),
    "repository": "default",
    "branch": "main",
    "commit": FIRST_CID,
    "base": ROOT,
    "root": ROOT,
    "carries": {},
    "message": "second",
}
SEEN = {"w-000000-00112233445566aa": 70}
ATTRIBUTES = dag_cbor.encode({"n": 1})
THEIRS = [
    ({}, [["a/1", CHUNK]]),
    (SEEN, [["a/.zattrs", ATTRIBUTES], ["a/0", None], ["b"]]),
]
OURS = [
    ({}, [Change("a/1", link_to(CHUNK))]),
    (SEEN, [Change("a/.zattrs", Document(ATTRIBUTES, 1)), Change("a/0", None), Removal("b")]),
]


def blocks():
    """Join the bytes that stand at the beginning of each line."""
    for text in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL):
        yield bytes.fromhex("".join(LINE.findall(text)))


def test_each_is_named_by_its_cid():
    found = list(blocks())[:3]
    assert [len(data) for data in found] == [198, 115, 221]
    for data in found:
        assert f"{len(data)} bytes" in PAGE
        assert f"`{cid_of(data)}`" in PAGE
    assert found[1:] == [block_of(FIRST)[1], block_of(CREATED)[1]]


def test_a_session(monkeypatch):
    """Its step and frames are as dag-cbor and zlib write them, and as ours are written and read."""
    step, *frames = list(blocks())[3:]
    assert step == dag_cbor.encode(STEP)
    ours = {name: link_to(value) for name, value in STEP.items() if isinstance(value, CID)}
    read = decode_step(step, "step-000000")
    assert read == Step(**{name: STEP[name] for name in STEP if name != "session"} | ours)
    assert read.encode() == step

    monkeypatch.setattr("time.time_ns", lambda: TIME * 1000)
    assert frames == [frame_of([TIME, seen, records]) for seen, records in THEIRS]
    assert frames == [encode_frame(records, seen) for seen, records in OURS]
    assert [list(iter_frames(frame)) for frame in frames] == [
        [Frame(0, len(frame), TIME, *what)] for frame, what in zip(frames, OURS, strict=True)
    ]
    for data in (step, *frames):
        assert f"{len(data)} bytes" in PAGE


def frame_of(value):
    payload = dag_cbor.encode(value)
    sizes = struct.pack(">II", len(payload), zlib.crc32(payload))
    return sizes + struct.pack(">I", zlib.crc32(sizes)) + payload
