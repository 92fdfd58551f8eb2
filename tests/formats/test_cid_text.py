"""What is said of text that is no CID: where the fault is, and what is known of it."""

import pytest

from ipldstore.cid import parse_text
from ipldstore.errors import InvalidCIDError
from ipldstore.formats.cidtext import looks_like_cid

CID = "bafyreihinzfuyc2oke5cml4eblzr5o3mazvp7mjgdw2ufhpptr26vf7y3i"
V0 = "QmY7Yh4UquoXHLPFo2XbhXkhBvFoPwmQUSa92pxnxjQuPU"
BASE58 = "zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA"


def fault_in(text):
    with pytest.raises(InvalidCIDError) as caught:
        parse_text(text)
    return str(caught.value).removeprefix(f"not a CID: {text!r}: ")


@pytest.mark.parametrize("text", [CID, V0, CID.upper()])
@pytest.mark.parametrize("at", [6, 20, 40])
@pytest.mark.parametrize("letter", ["0", "!", "ü", " ", "\u200b"])
def test_letters_that_the_base_has_not(text, at, letter):
    name = "base58" if text is V0 else "base32"
    fault = fault_in(text[:at] + letter + text[at + 1 :])
    assert fault.startswith(f"{letter!r} at character {at + 1}: {name} has only")


def test_letters_of_other_bases():
    assert fault_in(BASE58[:-1] + "O").startswith("'O' at character 49: base58 has only")
    assert fault_in("f0155122G").startswith("'G' at character 9: base16 has only")


def test_mixed_case():
    assert fault_in(CID[:9] + CID[9:].upper()) == "'N' at character 10: case is mixed"


@pytest.mark.parametrize("text", [CID, V0, CID.upper()])
@pytest.mark.parametrize("cut", [1, 2, 3, 8, 20])
def test_cut_short(text, cut):
    short = text[:-cut]
    assert fault_in(short) == f"{len(short)} characters, expected {len(text)}: it is cut short"


@pytest.mark.parametrize("text", ["bafy", "bafyr", "bafkqaa"])
def test_cut_within_what_says_how_long_it_is(text):
    assert fault_in(text).endswith("expected more: it is cut short")


@pytest.mark.parametrize("more", ["a", "aaaaaaaa", CID])
def test_too_long(more):
    assert fault_in(CID + more).endswith(f"expected 59: {more[:20]!r} at its end is too much")


def test_bits_left_over():
    assert fault_in(CID[:-1] + "b") == "'b' cannot be the last of 59 characters"


@pytest.mark.parametrize("quote", ["'", '"', "`", "<", "\u201c"])
def test_quotes(quote):
    assert fault_in(f"{quote}{CID}{quote}") == f"it begins with {quote!r}, expected the CID alone"


@pytest.mark.parametrize("text", [f" {CID}", f"{CID}\n", f"\t{CID}\r\n"])
def test_white_space(text):
    assert fault_in(text) == "there is white space around it"


@pytest.mark.parametrize("text", ["", "blocks", "missing", "rain", "k", "nothing at all", "~"])
def test_text_that_is_not_meant_as_one(text):
    """Some of it is in a multibase by chance, of which users are not told."""
    assert fault_in(text) == "expected text such as bafyrei... or Qm..."


def test_other_faults_are_told_as_they_were_found():
    assert fault_in("f01551220") == "CID digest cut short: 32 bytes announced, 0 left"


@pytest.mark.parametrize(
    "text", [CID, V0, BASE58, CID.upper(), CID[:40], CID[:20] + "0" + CID[21:]]
)
def test_what_is_meant_as_one(text):
    assert looks_like_cid(text)


@pytest.mark.parametrize("text", ["blocks", "bafy", f"{CID}.car", f"x/{CID}", f"{CID}/a", "b" * 60])
def test_what_may_be_meant_otherwise(text):
    assert not looks_like_cid(text)
