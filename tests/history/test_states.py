"""States of repositories against the package dag-cbor, and against blocks that are none."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import dag_cbor
import pytest
from examples import examples
from hypothesis import given, settings

from ipldstore.cid import make_link
from ipldstore.errors import InvalidNameError, InvalidNodeError
from ipldstore.history.state import Operation, State, decode_state
from tests.history.theirs import (
    ABSENT,
    COLLECTING,
    COLLECTING_CID,
    CREATED,
    CREATED_CID,
    FIRST_CID,
    ONE,
    RAW,
    SECOND_CID,
    THREE,
    TIME,
    TWO,
    V0,
    block_of,
    changed,
    cid_of,
    link_to,
    other_types,
    states,
)

# As in docs/format.md.
CREATED_BLOCK = bytes.fromhex(
    "a86474616773a0656e6f6e636550000102030405060708090a0b0c0d0e0f6764656661756c74646d61696e677368"
    "616c6c6f7780686272616e63686573a1646d61696ed82a5825000171122005f7dcd3f6edfec818785adfa0bfca8b"
    "8c21db35acd5b551b2df56c6625fc6eb69636f6c6c656374656400696f7065726174696f6ea462746fd82a582500"
    "0171122005f7dcd3f6edfec818785adfa0bfca8b8c21db35acd5b551b2df56c6625fc6eb63726566646d61696e64"
    "6b696e6466636f6d6d69746474696d651b000647a2cc6970006a7265706f7369746f727901"
)
COLLECTING_BLOCK = bytes.fromhex(
    "aa6474616773a1627631d82a5825000171122005f7dcd3f6edfec818785adfa0bfca8b8c21db35acd5b551b2df56"
    "c6625fc6eb656e6f6e636550101112131415161718191a1b1c1d1e1f6764656661756c74646d61696e677368616c"
    "6c6f7782d82a5825000171122005f7dcd3f6edfec818785adfa0bfca8b8c21db35acd5b551b2df56c6625fc6ebd8"
    "2a58250001711220a00e806603e91ec7be2887b5396de4c0a9306cebb64b2c97a510a7cee0fab4dd686272616e63"
    "686573a264622fc3bcd82a5825000171122005f7dcd3f6edfec818785adfa0bfca8b8c21db35acd5b551b2df56c6"
    "625fc6eb646d61696ed82a58250001711220a00e806603e91ec7be2887b5396de4c0a9306cebb64b2c97a510a7ce"
    "e0fab4dd6870726576696f7573783b6261667972656965786c6e6e626765373762706b723767716b3476326b3575"
    "77336a376d3478773776346978626e7676667971696472646f66336569636f6c6c656374656403696f7065726174"
    "696f6ea2646b696e6467636f6c6c6563746474696d651b000647a2cc6970006a636f6c6c656374696e67646d6172"
    "6b6a7265706f7369746f727901"
)


def as_ours(value):
    """Make a state of what the package dag-cbor takes."""
    fields = {name: item for name, item in value.items() if name != "repository"}
    for name in ("branches", "tags"):
        fields[name] = {ref: link_to(cid) for ref, cid in value[name].items()}
    fields["shallow"] = {link_to(cid) for cid in value["shallow"]}
    fields["operation"] = as_operation(value["operation"])
    if "previous" in value:
        fields["previous"] = make_link_of(value["previous"])
    return State(**fields)


def as_operation(value):
    names = {"from": "before", "to": "after"}
    return Operation(
        **{
            names.get(name, name): link_to(item) if name in names else item
            for name, item in value.items()
        }
    )


def make_link_of(text):
    return link_to(type(ONE).decode(text))


created = as_ours(CREATED)


@pytest.mark.parametrize(
    ("value", "block", "cid"),
    [(CREATED, CREATED_BLOCK, CREATED_CID), (COLLECTING, COLLECTING_BLOCK, COLLECTING_CID)],
)
def test_golden_blocks(value, block, cid):
    assert dag_cbor.encode(value) == block
    assert cid_of(block) == cid
    assert as_ours(value).encode() == block
    assert make_link(block, "dag-cbor") == bytes(cid)
    assert decode_state(link_to(cid), block) == as_ours(value)


def test_what_is_read():
    state = decode_state(link_to(COLLECTING_CID), COLLECTING_BLOCK)
    assert state.branches == {"main": bytes(SECOND_CID), "b/ü": bytes(FIRST_CID)}
    assert state.tags == {"v1": bytes(FIRST_CID)}
    assert state.default == "main"
    assert state.shallow == {bytes(FIRST_CID), bytes(SECOND_CID)}
    assert state.operation == Operation(kind="collect", time=TIME)
    assert state.previous == bytes(CREATED_CID)
    assert state.nonce == bytes(range(16, 32))
    assert state.collecting == "mark"
    assert state.collected == 3
    first = decode_state(link_to(CREATED_CID), CREATED_BLOCK)
    assert first.previous is None
    assert first.collecting is None
    assert first.operation.before is None
    assert first.operation.after == bytes(FIRST_CID)


@given(states())
@settings(deadline=None, max_examples=examples(100))
def test_both_encode_the_same_bytes(value):
    link, data = block_of(value)
    ours = as_ours(value)
    assert ours.encode() == data
    decoded = decode_state(link, data)
    assert decoded == ours
    assert hash(decoded) == hash(ours)
    assert decoded.encode() == data


def operation(**fields):
    return {"operation": changed(CREATED["operation"], **fields)}


def refs(count):
    return {f"b{number}": ONE for number in range(count)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        *((dict.fromkeys([name], ABSENT), f"{name} is missing") for name in CREATED),
        ({"repository": 2}, "repository is 2, expected 1"),
        ({"repository": 2, "later": True}, "repository is 2, expected 1"),
        ({"repository": True}, "repository is a boolean, expected an integer"),
        ({"later": 1}, "'later' is no field of it"),
        ({"previous": None}, "previous is null"),
        ({"collecting": None}, "collecting is null"),
        ({"branches": {"a b": ONE}}, "'a b' cannot be the name of a branch or tag: it holds ' '"),
        ({"tags": {"": ONE}}, "name of a branch or tag has 0 bytes, expected 1 to 255"),
        ({"branches": {"a": RAW}}, f"branch 'a' is {RAW}, expected a CIDv1 of codec dag-cbor"),
        ({"branches": {"a": V0}}, "branch 'a' is bafybei.*, expected a CIDv1 of codec dag-cbor"),
        ({"tags": {"a": str(ONE)}}, "tag 'a' is text, expected a link"),
        ({"tags": {"main": ONE}}, "'main' is both a branch and a tag"),
        ({"branches": refs(1000), "tags": {"a": ONE} | refs(1000)}, "2001 branches and tags, at"),
        ({"default": "@"}, "'@' cannot be the name of a branch or tag: it holds '@'"),
        ({"shallow": [RAW]}, f"a shallow commit is {RAW}, expected a CIDv1 of codec dag-cbor"),
        ({"shallow": [{}]}, "a shallow commit is a map, expected a link"),
        ({"shallow": [ONE, ONE]}, "shallow commits are repeated or out of order"),
        (
            {"shallow": sorted([ONE, TWO, THREE], key=bytes, reverse=True)},
            "shallow commits are repeated or out of order",
        ),
        (operation(kind=ABSENT), "kind is missing"),
        (operation(time=ABSENT), "time is missing"),
        (operation(later=1), "'later' is no field of it"),
        (operation(**{"from": None}), "from is null"),
        (operation(ref=ABSENT), "the operation has to, and no ref"),
        (operation(ref=ABSENT, to=ABSENT, **{"from": ONE}), "the operation has from, and no ref"),
        (operation(ref="a..b"), r"'a..b' cannot be the name of a branch or tag: it holds '\.\.'"),
        (operation(to=RAW), f"the operation's to is {RAW}, expected a CIDv1 of codec dag-cbor"),
        (operation(kind=""), "the operation's kind has 0 bytes, at least 1"),
        (operation(kind="é" * 129), "the operation's kind has 258 bytes, at most 256"),
        (operation(time=-1), "the operation's time is -1, expected 0 to 253402300799999999"),
        ({"previous": ""}, "not a CID"),
        ({"previous": str(RAW)}, f"previous is {RAW}, expected a CIDv1 of codec dag-cbor"),
        ({"previous": ONE.encode("base58btc")}, f"previous is 'z.*, expected {ONE}"),
        ({"previous": str(V0)}, "previous is 'Qm.*, expected bafybei"),
        ({"nonce": bytes(15)}, "nonce has 15 bytes, at least 16"),
        ({"nonce": bytes(17)}, "nonce has 17 bytes, at most 16"),
        ({"collecting": ""}, "collecting has 0 bytes, at least 1"),
        ({"collecting": "x" * 257}, "collecting has 257 bytes, at most 256"),
        ({"collected": -1}, "collected is -1, expected 0 to 9223372036854775807"),
        ({"collected": 2**63}, "collected is 9223372036854775808, expected 0 to"),
        ({"later": bytes(1 << 20)}, "it has .* bytes, at most 1048576"),
    ],
)
def test_refused_states(fields, message):
    link, data = block_of(changed(CREATED, **fields))
    with pytest.raises(InvalidNodeError, match=f"^block {link} holds no state: {message}"):
        decode_state(link, data)


TYPES = {
    "repository": int,
    "branches": dict,
    "tags": dict,
    "default": str,
    "shallow": list,
    "operation": dict,
    "nonce": bytes,
    "collected": int,
    "previous": str,
    "collecting": str,
}


@pytest.mark.parametrize(("name", "sample"), other_types(TYPES), ids=repr)
def test_a_field_of_another_type_is_refused(name, sample):
    link, data = block_of(COLLECTING | {name: sample})
    where = {"default": "name of a branch or tag"}.get(name, name)
    with pytest.raises(InvalidNodeError, match=f"holds no state: .*({where}|{name} is null)"):
        decode_state(link, data)


@pytest.mark.parametrize("name", ["branches", "tags"])
@pytest.mark.parametrize("sample", [None, True, 7, "text", b"bytes", [ONE], {"a": ONE}], ids=repr)
def test_a_branch_that_leads_to_no_commit(name, sample):
    link, data = block_of(CREATED | {name: {"x": sample}})
    with pytest.raises(InvalidNodeError, match=r"'x' is .*, expected a link"):
        decode_state(link, data)


@pytest.mark.parametrize(
    ("name", "sample"),
    other_types({"kind": str, "time": int, "ref": str, "from": type(ONE), "to": type(ONE)}),
    ids=repr,
)
def test_an_operation_with_a_field_of_another_type(name, sample):
    link, data = block_of(CREATED | operation(**{name: sample}))
    with pytest.raises(InvalidNodeError, match=f"{name} is|name of a branch or tag is"):
        decode_state(link, data)


def test_every_cut_is_refused():
    for size in range(len(CREATED_BLOCK)):
        data = CREATED_BLOCK[:size]
        with pytest.raises(InvalidNodeError, match="holds no state"):
            decode_state(make_link(data, "dag-cbor"), data)


@pytest.mark.parametrize("value", [[CREATED], "repository", 1, None, {}])
def test_what_is_no_map_of_a_state(value):
    link, data = block_of(value)
    with pytest.raises(InvalidNodeError, match=r"expected a map|repository is missing"):
        decode_state(link, data)


def test_blocks_of_another_codec():
    with pytest.raises(InvalidNodeError, match="its codec is 0x70, expected 0x71"):
        decode_state(make_link(CREATED_BLOCK, "dag-pb"), CREATED_BLOCK)


def test_the_largest_there_may_be():
    """Names, links and shallow commits at their limits fit into the block."""
    longest = {f"{number:04}{'x' * 251}": link_to(ONE) for number in range(1998)}
    state = State(
        branches=longest | {"é" * 127 + "x": link_to(ONE)},
        tags={"b": link_to(ONE)},
        default="é" * 127 + "x",
        shallow={make_link(b"%d" % number, "dag-cbor") for number in range(10_000)},
        operation=Operation(kind="x" * 256, ref="y" * 255, time=TIME),
        previous=link_to(ONE),
        nonce=bytes(16),
        collecting="x" * 256,
        collected=2**63 - 1,
    )
    data = state.encode()
    assert decode_state(make_link(data, "dag-cbor"), data) == state
    with pytest.raises(InvalidNodeError, match="10001 shallow commits, at most 10000"):
        replace(state, shallow=state.shallow | {make_link(b"one more", "dag-cbor")})
    long = {make_link(b"%d" % number, "dag-cbor", "sha2-512") for number in range(10_000)}
    with pytest.raises(InvalidNodeError, match=r"the state has .* bytes, at most 1048576"):
        replace(state, shallow=long)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"branches": {"a b": link_to(ONE)}}, InvalidNameError, "'a b' cannot be the name"),
        ({"branches": {5: link_to(ONE)}}, InvalidNameError, "is int, expected str"),
        ({"branches": {"a": bytes(ONE)}}, InvalidNodeError, "branch 'a' is bytes"),
        ({"default": None}, InvalidNameError, "is NoneType, expected str"),
        ({"shallow": {bytes(ONE)}}, InvalidNodeError, "a shallow commit is bytes"),
        ({"previous": str(ONE)}, InvalidNodeError, "previous is text, expected a link"),
        ({"nonce": link_to(ONE)}, InvalidNodeError, "nonce is a link, expected bytes"),
        ({"collecting": b"mark"}, InvalidNodeError, "collecting is bytes, expected text"),
        ({"collected": True}, InvalidNodeError, "collected is a boolean, expected an integer"),
        ({"operation": {"kind": "x"}}, InvalidNodeError, "operation is a map, expected Operation"),
    ],
)
def test_states_that_are_not_made(fields, error, message):
    with pytest.raises(error, match=message):
        replace(created, **fields)


def test_a_state_does_not_change():
    branches = {"main": link_to(ONE)}
    state = replace(created, branches=branches)
    block = state.encode()
    branches["b"] = link_to(TWO)
    assert state.branches == {"main": bytes(ONE)}
    for change in (state.branches, state.tags):
        with pytest.raises(TypeError):
            change["b"] = link_to(TWO)
    with pytest.raises(FrozenInstanceError):
        state.default = "b"
    with pytest.raises(FrozenInstanceError):
        state.operation.kind = "b"
    assert state.encode() == block


def test_equal_states_are_one_block():
    assert replace(created, shallow=[]) == created
    assert replace(created, branches={"main": link_to(ONE)}) != created
    assert replace(created, nonce=bytes(16)) != created
    assert len({created, replace(created), replace(created, collected=1)}) == 2


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_copies(protocol):
    state = decode_state(link_to(COLLECTING_CID), COLLECTING_BLOCK)
    for again in (pickle.loads(pickle.dumps(state, protocol)), copy.deepcopy(state)):
        assert again == state
        assert again.branches == state.branches
