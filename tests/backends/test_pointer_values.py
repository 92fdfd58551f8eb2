"""What pointers are called, and how files and objects say what one is at."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID, multihash

from ipldstore import BackendError, InvalidCIDError, InvalidNameError, Link
from ipldstore.blockstore.pointers import (
    check_pointer_name,
    decode_pointer,
    encode_pointer,
    parse_pointer_path,
    pointer_path,
)
from ipldstore.limits import MAX_POINTER_BYTES
from ipldstore.testing import HELLO_RAW

pytestmark = pytest.mark.once

GOLDEN = HELLO_RAW.encode() + b" 000102030405060708090a0b0c0d0e0f\n"
LONGEST = CID("base32", 1, "raw", multihash.wrap(bytes(128), "identity"))


def test_golden_value():
    assert decode_pointer(GOLDEN, "it") == bytes(CID.decode(HELLO_RAW))
    written = encode_pointer(HELLO_RAW)
    assert re.fullmatch(HELLO_RAW.encode() + rb" [0-9a-f]{32}\n", written)
    assert len(written) == 93


def test_no_two_are_alike():
    assert len({encode_pointer(HELLO_RAW) for _ in range(100)}) == 100


@pytest.mark.parametrize("spelling", [HELLO_RAW, CID.decode(HELLO_RAW), LONGEST, str(LONGEST)])
def test_every_form_of_a_cid_comes_back(spelling):
    written = encode_pointer(spelling)
    assert len(written) < MAX_POINTER_BYTES
    read = decode_pointer(written, "it")
    assert type(read) is Link
    assert str(read) == str(spelling)


@pytest.mark.parametrize(
    "damaged",
    [
        *(GOLDEN[:end] for end in range(len(GOLDEN))),
        bytes(len(GOLDEN)),
        GOLDEN + b"\n",
        GOLDEN * 2,
        GOLDEN.upper(),
        b"\n" + GOLDEN,
        b" 000102030405060708090a0b0c0d0e0f\n",
        b"b" + GOLDEN,
    ],
)
def test_damaged_value_is_refused(damaged):
    with pytest.raises(BackendError, match=r"^here is damaged: \d+ bytes, .* digits; so$"):
        decode_pointer(damaged, "here", "; so")


@given(st.binary(max_size=200) | st.from_regex(rb"[a-z2-7]{1,200} [0-9a-f]{32}\n", fullmatch=True))
def test_any_bytes_are_a_cid_or_refused(data):
    try:
        cid = decode_pointer(data, "it")
    except BackendError:
        return
    assert data.split(b" ")[0] == str(cid).encode()


@given(st.text(max_size=70))
def test_any_text_is_a_name_or_refused(text):
    is_name = re.fullmatch("[a-z0-9][a-z0-9_-]{0,63}", text) is not None
    try:
        check_pointer_name(text)
    except InvalidNameError:
        assert not is_name
        assert parse_pointer_path(f"ipldstore/pointer-{text}") != text
    else:
        assert is_name
        assert pointer_path(text) == f"ipldstore/pointer-{text}"
        assert parse_pointer_path(pointer_path(text)) == text


@pytest.mark.parametrize("name", [None, b"default", 1])
def test_a_name_is_text(name):
    with pytest.raises(InvalidNameError, match="expected str"):
        check_pointer_name(name)


@pytest.mark.parametrize("path", ["", "default", "pointer-", "xpointer-a", "pointer-A", "trial-a"])
def test_other_paths_hold_no_pointer(path):
    assert parse_pointer_path(path) is None


@pytest.mark.parametrize(
    "link", [Link(b"xyz"), Link(b""), Link(b"\x01\x55\x00\xf4\x03" + bytes(500))]
)
def test_what_could_not_be_read_back_is_not_written(link):
    with pytest.raises(InvalidCIDError):
        encode_pointer(link)
