"""CIDs: golden ones, every spelling of one, what is refused, and each hash function."""

import base64
import hashlib
import random

import pytest
from blake3 import blake3
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from multiformats import CID, multibase, multihash, varint

from ipldstore.cid import (
    CODECS,
    Link,
    as_link,
    codec_of,
    encode_base32,
    identity_data,
    make_link,
    multihash_of,
    parse_link,
    parse_text,
    split,
    to_text,
    verify_block,
    with_codec,
)
from ipldstore.errors import CorruptBlockError, InvalidCIDError
from ipldstore.formats.cidobject import to_cid
from ipldstore.formats.hashes import HASHES
from ipldstore.formats.varint import decode_varint, encode_varint

HELLO = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
EMPTY_FOLDER_V0 = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
EMPTY_FOLDER_V1 = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"

GOLDEN = [
    (b"", "raw", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
    (b"hello", "raw", HELLO),
    (b"\xa0", "dag-cbor", "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"),
    (b"\x0a\x02\x08\x01", "dag-pb", EMPTY_FOLDER_V1),
]

DIGESTS = {
    "sha2-256": lambda data: hashlib.sha256(data).digest(),
    "sha2-384": lambda data: hashlib.sha384(data).digest(),
    "sha2-512": lambda data: hashlib.sha512(data).digest(),
    "sha3-224": lambda data: hashlib.sha3_224(data).digest(),
    "sha3-256": lambda data: hashlib.sha3_256(data).digest(),
    "sha3-384": lambda data: hashlib.sha3_384(data).digest(),
    "sha3-512": lambda data: hashlib.sha3_512(data).digest(),
    "blake2b-256": lambda data: hashlib.blake2b(data, digest_size=32).digest(),
    "blake2b-512": lambda data: hashlib.blake2b(data, digest_size=64).digest(),
    "blake2s-256": lambda data: hashlib.blake2s(data, digest_size=32).digest(),
    "blake3": lambda data: blake3(data).digest(),
}

# All of the multibase table but the two that the multiformats package cannot write as text.
BASES = [base.name for base in multibase.table() if base.name not in ("identity", "base256emoji")]

DIGEST = hashlib.sha256(b"hello").digest()
SHA2_256 = b"\x12\x20" + DIGEST


def written(digest: bytes, hash_code: int = 0x12, codec: int = 0x55, version: int = 1) -> bytes:
    """Write a binary CID with the multiformats package's varints, sound or not."""
    return b"".join(map(varint.encode, (version, codec, hash_code, len(digest)))) + digest


@pytest.mark.parametrize(("data", "codec", "text"), GOLDEN)
def test_golden_cids(data, codec, text):
    link = make_link(data, codec)
    assert str(link) == text
    assert parse_text(text) == link
    assert codec_of(link) == CODECS[codec]
    assert bytes(link) == bytes(CID.decode(text))


@pytest.mark.parametrize("base", BASES)
def test_every_multibase_spells_the_same_link(base):
    cid = CID.decode(HELLO)
    text = multibase.encode(bytes(cid), base)
    assert as_link(text) == bytes(cid)
    assert str(as_link(text)) == HELLO
    assert as_link(cid.set(base=base)) == bytes(cid)


def test_both_versions_spell_the_same_link():
    v0 = CID.decode(EMPTY_FOLDER_V0)
    expected = bytes(CID.decode(EMPTY_FOLDER_V1))
    for spelling in (
        EMPTY_FOLDER_V0,
        bytes(v0),
        Link(bytes(v0)),
        v0,
        v0.set(base="base32", version=1),
    ):
        link = as_link(spelling)
        assert type(link) is Link
        assert link == expected
        assert str(link) == EMPTY_FOLDER_V1


def test_a_link_shows_its_text():
    link = parse_text(HELLO)
    assert str(link) == HELLO
    assert repr(link) == f"Link('{HELLO}')"
    assert to_text(bytes(link)) == HELLO
    assert str(to_cid(link)) == HELLO
    assert to_cid(link) == CID.decode(HELLO)


@pytest.mark.parametrize("other", [None, 7, ["bafk"], bytearray(36), object()])
def test_other_types_are_no_cids(other):
    with pytest.raises(TypeError, match=type(other).__name__):
        as_link(other)


@given(st.integers(0, 2**63 - 1))
@settings(deadline=None, max_examples=examples(50))
def test_varints_are_those_of_multiformats(number):
    data = encode_varint(number)
    assert data == varint.encode(number)
    assert decode_varint(b"\xff" + data + b"\xff", 1) == (number, 1 + len(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short"),
        (b"\x80", "cut short"),
        (b"\xff" * 8, "cut short"),
        (b"\x80\x00", "not minimal"),
        (b"\x81\x80\x00", "not minimal"),
        (b"\xff" * 9, "longer than 9"),
        (b"\xff" * 9 + b"\x01", "longer than 9"),
    ],
)
def test_bad_varints(data, message):
    with pytest.raises(InvalidCIDError, match=message):
        decode_varint(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x81\x00\x55" + SHA2_256,
        b"\x01\xd5\x00" + SHA2_256,
        b"\x01\x55\x92\x00\x20" + DIGEST,
        b"\x01\x55\x12\xa0\x00" + DIGEST,
        b"\x01" + b"\xff" * 9 + b"\x01" + SHA2_256,
        b"\x01\x55" + b"\xff" * 9 + b"\x01" + SHA2_256,
        b"\x00\x55" + SHA2_256,
        written(DIGEST, version=2),
        written(DIGEST, version=3),
        written(DIGEST, version=0x12),
        written(DIGEST[:31]),
        written(DIGEST + b"\0"),
        written(DIGEST[:20]),
        written(DIGEST, hash_code=0x13),
        written(DIGEST * 2, hash_code=0xB220),
        written(DIGEST[:31], hash_code=0x1E),
        written(bytes(129), hash_code=0x99),
        written(bytes(129), hash_code=0),
        written(DIGEST) + b"\0",
        SHA2_256 + b"\0",
        SHA2_256[:-1],
        b"\x00" + written(DIGEST),
        HELLO.encode(),
    ],
)
def test_malformed_bytes(data):
    with pytest.raises(InvalidCIDError):
        as_link(data)
    with pytest.raises(InvalidCIDError):
        as_link(multibase.encode(data, "base32") if data else "")


@pytest.mark.parametrize("whole", [written(DIGEST), SHA2_256, written(b"abc", hash_code=0)])
def test_every_cut_of_a_cid_is_refused(whole):
    assert parse_link(whole) == whole
    for size in range(len(whole)):
        with pytest.raises(InvalidCIDError):
            parse_link(whole[:size])


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: b"\x01\x55" + data))
@settings(deadline=None, max_examples=examples(200))
def test_arbitrary_bytes_are_a_cid_or_refused(data):
    try:
        link = parse_link(data)
    except InvalidCIDError:
        return
    assert link == data
    assert as_link(to_text(link)) == as_link(data)


@given(st.text(max_size=80) | st.text("bafykreiqm234567Qz", max_size=80))
@settings(deadline=None, max_examples=examples(200))
def test_arbitrary_text_is_a_cid_or_refused(text):
    with pytest.raises(InvalidCIDError):
        parse_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "not a cid",
        HELLO[:-1],
        HELLO + "a",
        HELLO + "=",
        HELLO + "\n",
        " " + HELLO,
        HELLO.capitalize(),
        HELLO[0] + HELLO[1:].upper(),
        # the last character carries bits that are no part of the bytes
        HELLO[:-1] + "r",
        "z" + EMPTY_FOLDER_V0,
        multibase.encode(bytes(CID.decode(EMPTY_FOLDER_V0)), "base32"),
        EMPTY_FOLDER_V0[:-1],
        EMPTY_FOLDER_V0 + "1",
        "/ipfs/" + HELLO,
        "ипфс" + HELLO,
    ],
)
def test_malformed_text(text):
    with pytest.raises(InvalidCIDError):
        as_link(text)


def test_long_text_is_refused_before_it_is_decoded(monkeypatch):
    longest = written(bytes(128), hash_code=0)
    base2 = multibase.encode(longest, "base2")
    assert len(base2) > 512
    calls = []
    monkeypatch.setattr(multibase, "from_str", calls.append)
    for text in (base2, "z" * 513, "b" + "a" * 10**6):
        with pytest.raises(InvalidCIDError, match="at most 512"):
            parse_text(text)
    assert not calls
    with pytest.raises(InvalidCIDError):
        parse_text("z" * 512)
    assert calls


@pytest.mark.parametrize("size", [0, 1, 128])
def test_identity_cids_carry_their_data(size):
    data = bytes(range(size))
    link = as_link(written(data, hash_code=0))
    assert identity_data(link) == data
    assert as_link(str(link)) == link
    verify_block(link, data)
    with pytest.raises(CorruptBlockError):
        verify_block(link, data + b"x")


def test_other_cids_carry_no_data():
    assert identity_data(parse_text(HELLO)) is None
    assert identity_data(as_link(written(DIGEST, codec=0x0129))) is None
    assert identity_data(as_link(written(b"abc", hash_code=0, codec=0x0129))) == b"abc"


def test_every_hash_function_has_a_second_source():
    assert DIGESTS.keys() == HASHES.keys()


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("data", [b"", b"hello", bytes(100_000)])
def test_hash_functions(name, data):
    link = make_link(data, "raw", name)
    digest = DIGESTS[name](data)
    wrapped = multihash.wrap(digest, name)
    assert bytes(link) == b"\x01\x55" + wrapped
    assert multihash_of(link) == wrapped
    assert to_cid(link) == CID("base32", 1, "raw", wrapped)
    assert split(link) == (0x55, multihash.get(name).code, digest)
    verify_block(link, data)
    verify_block(link, memoryview(data))
    with pytest.raises(CorruptBlockError, match=str(link)):
        verify_block(link, data + b"\0")


def test_codecs_and_hash_functions_must_be_known():
    with pytest.raises(InvalidCIDError, match="dag-json"):
        make_link(b"", "dag-json")
    with pytest.raises(InvalidCIDError, match="md5"):
        make_link(b"", "raw", "md5")


def test_blocks_of_unknown_hash_functions_are_not_verified():
    link = as_link(written(DIGEST[:16], hash_code=0xD5))  # md5
    with pytest.raises(InvalidCIDError, match="0xd5"):
        verify_block(link, b"hello")


def test_long_codec_codes():
    text = "baguqeeraaoewnxu7nonjagzawtdmvczkiyaj73v6amn2xscc2q3jbqf4eivq"  # dag-json, 0x0129
    link = as_link(text)
    assert codec_of(link) == 0x0129
    assert str(link) == text
    assert make_link(b"x", 0x0129) == bytes(
        CID("base32", 1, "dag-json", multihash.digest(b"x", "sha2-256"))
    )
    assert with_codec(link, 0x55) == b"\x01\x55" + multihash_of(link)
    assert with_codec(with_codec(link, 0x55), 0x0129) == link


def test_multiformats_may_not_know_a_code():
    link = as_link(written(DIGEST, codec=0x7FFFFFFF))
    with pytest.raises(InvalidCIDError, match=str(link)):
        to_cid(link)


@pytest.mark.parametrize("size", [*range(130), 50_000])
def test_base32_of_any_length(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert encode_base32(data) == base64.b32encode(data).decode().lower().rstrip("=")
