"""DAG-PB blocks that are a second form of what has one already, as links and as UnixFS."""

import pytest
from hostile_blocks import field

from ipldstore import CodecError, InvalidNodeError, MappingCAStore
from ipldstore.cid import as_link
from ipldstore.dag import links_of
from ipldstore.unixfs.nodes import decode_node, iter_pb_links

LEAF = bytes(as_link("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"))
LINK = field(2, field(1, LEAF) + field(2, b"a") + field(3, 1))
PAYLOAD = field(1, field(1, 1))

REFUSED = {
    "data between links": (LINK + PAYLOAD + LINK, "between links"),
    "data before and after": (PAYLOAD + LINK + PAYLOAD, "data twice"),
    "data twice": (LINK + PAYLOAD + PAYLOAD, "data twice"),
    "another field": (LINK + PAYLOAD + field(3, b"x"), "field 3"),
    "a number as data": (LINK + field(1, 7), "field 1"),
    "a number as a link": (field(2, 7) + PAYLOAD, "field 2"),
    "link without a cid": (field(2, field(2, b"a")) + PAYLOAD, "without a CID"),
    "link with nothing": (field(2, b"") + PAYLOAD, "without a CID"),
    "name before cid": (field(2, field(2, b"a") + field(1, LEAF)) + PAYLOAD, "in order"),
    "size before name": (
        field(2, field(1, LEAF) + field(3, 1) + field(2, b"a")) + PAYLOAD,
        "in order",
    ),
    "name twice": (field(2, field(1, LEAF) + field(2, b"a") * 2) + PAYLOAD, "in order"),
    "size as bytes": (field(2, field(1, LEAF) + field(3, b"1")) + PAYLOAD, "in order"),
    "another field of a link": (field(2, field(1, LEAF) + field(4, 1)) + PAYLOAD, "in order"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_second_form_is_refused(fault):
    block, message = REFUSED[fault]
    with pytest.raises(CodecError, match=message):
        list(iter_pb_links(block))
    cid = MappingCAStore().make_cid(block, "dag-pb")
    with pytest.raises(InvalidNodeError, match=message):
        decode_node(cid, block)
    with pytest.raises(InvalidNodeError, match=message):
        links_of(cid, block)


@pytest.mark.parametrize("block", [LINK + LINK + PAYLOAD, PAYLOAD + LINK + LINK])
def test_data_on_either_side_of_the_links_is_read(block):
    assert list(iter_pb_links(block)) == [LEAF, LEAF]
    node = decode_node(MappingCAStore().make_cid(block, "dag-pb"), block)
    assert [(link.link, link.name, link.size) for link in node.links] == [(LEAF, b"a", 1)] * 2


def test_name_and_size_may_be_left_out():
    block = field(2, field(1, LEAF)) + PAYLOAD
    node = decode_node(MappingCAStore().make_cid(block, "dag-pb"), block)
    assert [(link.link, link.name, link.size) for link in node.links] == [(LEAF, b"", None)]
