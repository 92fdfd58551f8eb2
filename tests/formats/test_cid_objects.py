"""The CIDs that users are given: a ``multiformats.CID`` that compares, sorts and prints as text."""

import copy
import json
import operator
import pickle
import subprocess
import sys

import dag_cbor
import multiformats
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.lib.pretty import pretty

import ipldstore
from ipldstore import IPLDStore, MappingCAStore
from ipldstore.cid import make_link, to_text
from ipldstore.formats.cidobject import to_cid

EMPTY = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
LINKS = st.binary(max_size=20).map(make_link)


@pytest.fixture
def root():
    return IPLDStore().freeze()


def test_a_root_is_its_text(root):
    ours_first, text_first = [root, EMPTY], [EMPTY, root]
    assert operator.eq(*ours_first)
    assert operator.eq(*text_first)
    assert not operator.ne(*ours_first)
    assert not operator.ne(*text_first)
    assert (str(root), f"{root}", f"{root:.8}") == (EMPTY, EMPTY, EMPTY[:8])
    assert repr(root) == f"CID('{EMPTY}')"


@pytest.mark.parametrize("base", ["base16", "base32upper", "base36", "base58btc", "base64url"])
def test_text_of_any_base_is_equal(root, base):
    assert root == multiformats.CID.decode(EMPTY).set(base=base).encode()


@pytest.mark.parametrize(
    "other", ["", "a", EMPTY[:-1], f"{EMPTY} ", EMPTY[:-1] + "b", None, 3, EMPTY.encode()]
)
def test_nothing_else_is_equal(root, other):
    assert root != other
    assert other != root


def test_the_other_face_of_a_file_is_equal():
    version_0 = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"  # the empty file, by ``ipfs add``
    assert to_cid(bytes(multiformats.CID.decode(version_0))) == version_0


def test_it_is_a_cid_of_multiformats(root):
    plain = multiformats.CID.decode(EMPTY)
    assert isinstance(root, multiformats.CID)
    assert root == plain
    assert plain == root
    assert hash(root) == hash(plain)
    assert {root, plain, IPLDStore().freeze()} == {plain}
    assert EMPTY not in {root: 0}
    assert bytes(root) == bytes(plain)
    assert (root.version, root.codec.name, root.base.name) == (1, "dag-cbor", "base32")
    assert dag_cbor.decode(dag_cbor.encode({"link": root})) == {"link": plain}


def test_one_made_before_does_not_take_its_class_away():
    link = make_link(b"seen by multiformats first")
    held = multiformats.CID.decode(to_text(link))
    ours = to_cid(link)
    assert type(ours) is ipldstore.CID
    assert type(multiformats.CID.decode(to_text(link))) is multiformats.CID
    assert held == ours


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_pickles(root, protocol):
    again = pickle.loads(pickle.dumps(root, protocol))
    assert type(again) is ipldstore.CID
    assert again == root


def test_it_is_unpickled_where_nothing_was_made_yet(root):
    program = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])) == sys.argv[2])"
    command = [sys.executable, "-c", program, pickle.dumps(root).hex(), EMPTY]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


def test_it_is_copied(root):
    assert [type(copy.copy(root)), type(copy.deepcopy(root))] == [ipldstore.CID] * 2
    assert copy.deepcopy([root]) == [EMPTY]


@given(st.lists(LINKS, max_size=6))
def test_they_sort_as_text(links):
    texts = [to_text(link) for link in links]
    mixed = [to_cid(link) if n % 2 else to_text(link) for n, link in enumerate(links)]
    plain = [multiformats.CID.decode(text) for text in texts[::2]]
    assert [str(cid) for cid in sorted(map(to_cid, links))] == sorted(texts)
    assert [str(cid) for cid in sorted(mixed)] == sorted(texts)
    assert all(
        (to_cid(link) < other) == (to_text(link) < str(other)) for link in links for other in plain
    )


@given(LINKS, LINKS)
def test_comparisons_agree(one, other):
    a, b = to_cid(one), to_cid(other)
    assert (a < b, a <= b, a > b, a >= b, a == b) == (
        str(a) < str(b),
        str(a) <= str(b),
        str(a) > str(b),
        str(a) >= str(b),
        str(a) == str(b),
    )
    assert (a < str(b), a == str(b)) == (a < b, a == b)


def test_it_is_not_sorted_among_numbers(root):
    with pytest.raises(TypeError):
        _ = root < 3


def test_text_that_is_no_cid_sorts_as_it_is(root):
    assert "a" < root < "c"


def test_notebooks_show_the_text(root):
    assert pretty([root]) == f"[{EMPTY}]"


def test_json_takes_its_text(root):
    assert json.loads(json.dumps({"root": str(root)})) == {"root": EMPTY}
    with pytest.raises(TypeError):
        json.dumps(root)


def test_users_make_one_of_text():
    assert ipldstore.CID(EMPTY.upper()) == EMPTY
    with pytest.raises(ipldstore.InvalidCIDError):
        ipldstore.CID("bafy")


def test_all_that_gives_a_cid_gives_one():
    store = IPLDStore(MappingCAStore({}))
    store["a"] = b"chunk"
    given_out = [
        store.freeze(),
        store.root_cid,
        store.normalize(),
        store.to_unixfs(),
        IPLDStore().import_car(store.to_car()),
        store.backend.put(b"chunk"),
        store.backend.put({"a": 1}),
    ]
    assert {type(cid) for cid in given_out} == {ipldstore.CID}
