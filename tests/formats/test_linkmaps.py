"""Maps of links, against the `dag-cbor` package."""

from __future__ import annotations

import sys

import dag_cbor
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from ipldstore.cid import as_link
from ipldstore.formats.linkmaps import encode_link_map

assert np  # which writes them, where it is loaded

NAMES = st.one_of(
    st.integers(0, 2000).map(str),
    st.from_regex(r"[0-9]{1,3}\.[0-9]{1,2}", fullmatch=True),
    st.text(max_size=30),
)
HASHES = st.one_of(st.just("sha2-256"), st.just("sha2-256"), st.sampled_from(["sha2-512", "sha1"]))


def digest_of(name: str, data: bytes) -> CID:
    size = {"sha2-256": 32, "sha2-512": 64, "sha1": 20}[name]
    return CID("base32", 1, "raw", (name, data[:size]))


LINKS = st.builds(digest_of, HASHES, st.binary(min_size=64, max_size=64))
ALIKE = st.builds(digest_of, st.just("sha2-256"), st.binary(min_size=64, max_size=64))


@given(st.one_of(st.dictionaries(NAMES, ALIKE), st.dictionaries(NAMES, LINKS)))
def test_as_the_package_writes_it(links: dict[str, CID]) -> None:
    encoded = encode_link_map({name: as_link(bytes(cid)) for name, cid in links.items()})
    assert encoded == dag_cbor.encode(links)


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize("names", [range(300), range(299, -1, -1), [7, 3, 12, 10, 100]])
def test_numbers(names: object, is_loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_loaded:
        monkeypatch.delitem(sys.modules, "numpy")
    links = {str(name): digest_of("sha2-256", bytes([name % 256]) * 64) for name in names}  # type: ignore[attr-defined]
    encoded = encode_link_map({name: as_link(bytes(cid)) for name, cid in links.items()})
    assert encoded == dag_cbor.encode(links)
