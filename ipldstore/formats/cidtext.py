"""Text that is no CID: what is known of why, and where in it the fault is."""

from __future__ import annotations

import base64
import re

from ipldstore.errors import InvalidCIDError
from ipldstore.formats.varint import decode_varint

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ALPHABETS = {
    "b": ("base32", f"{_LETTERS}234567", "a to z and 2 to 7"),
    "B": ("base32", f"{_LETTERS.upper()}234567", "A to Z and 2 to 7"),
    "Q": ("base58", _BASE58, "letters but I, O and l, and 1 to 9"),
    "z": ("base58", _BASE58, "letters but I, O and l, and 1 to 9"),
    "k": ("base36", f"0123456789{_LETTERS}", "0 to 9 and a to z"),
    "f": ("base16", "0123456789abcdef", "0 to 9 and a to f"),
}
_V0_LENGTH = 46
_QUOTES = "\"'`<([{\u2018\u2019\u201c\u201d\u00ab"
_BEGINNING = re.compile(r"(?i:baf[a-z])|Qm|zb2|zdj|k51|k2|f01")
_LIKE_ONE = re.compile(rf"(?:{_BEGINNING.pattern})[0-9A-Za-z]{{30,}}")


def looks_like_cid(text: str) -> bool:
    """Whether text can hardly be meant as anything but a CID, such as the name of a file."""
    return _LIKE_ONE.fullmatch(text) is not None


def fault_of(text: str, reason: str) -> str:
    """Say what is wrong with text that is no CID.

    A CID has no check digits: a letter in place of another one of the same base shows only when no
    block is found. `reason` is what was wrong where it was read.
    """
    if text != text.strip():
        return "there is white space around it"
    if text and text[0] in _QUOTES:
        return f"it begins with {text[0]!r}, expected the CID alone"
    if _BEGINNING.match(text) is None:
        return "expected text such as bafyrei... or Qm..."
    name, alphabet, letters = _ALPHABETS[text[0]]
    for at, letter in enumerate(text, 1):
        if letter not in alphabet:
            is_mixed = name == "base32" and letter.swapcase() in alphabet
            why = "case is mixed" if is_mixed else f"{name} has only {letters}"
            return f"{letter!r} at character {at}: {why}"
    return _length_fault(text) or reason


def _length_fault(text: str) -> str | None:
    """Say by how much text in the right letters is too short or too long, if that is known."""
    if text[0] == "Q":
        expected = _V0_LENGTH
    elif text[0] in "bB":
        try:
            expected = _base32_length(text)
        except InvalidCIDError:
            return None
    else:
        return None
    found = f"{len(text)} characters, expected {expected or 'more'}"
    if not expected or len(text) < expected:
        return f"{found}: it is cut short"
    if len(text) > expected:
        return f"{found}: {text[expected:][:20]!r} at its end is too much"
    return None if text[0] == "Q" else f"{text[-1]!r} cannot be the last of {expected} characters"


def _base32_length(text: str) -> int:
    """Return how many characters a CID in base32 has by what it begins with; 0 if that is cut."""
    body = text[1:].upper()
    data = base64.b32decode(body + "A" * (-len(body) % 8))[: len(body) * 5 // 8]
    position = size = 0
    for _ in ("version", "codec", "hash function", "size of the digest"):
        if all(byte > 0x7F for byte in data[position:]):
            return 0
        size, position = decode_varint(data, position)
    return 1 + -(-8 * (position + size) // 5)
