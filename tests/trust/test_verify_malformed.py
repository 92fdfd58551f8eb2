"""Verification of blocks that hash right and are not what stands in their place; and limits."""

import pytest
from hierarchy_blocks import Made

from ipldstore import InvalidNodeError, IPLDStore, IPLDStoreError, verify

pytestmark = pytest.mark.once

SEGMENTS = 128


def only(report):
    (problem,) = report.problems
    return problem


def kinds_of(root, blocks):
    return [(problem.kind, problem.keys) for problem in verify(root, blocks).problems]


class TestMalformed:
    """Blocks that hash right and hold something wrong; each is refused by a reader too."""

    def check(self, made, root, key, *expected):
        assert kinds_of(root, made) == list(expected)
        with pytest.raises(IPLDStoreError):
            IPLDStore(made, root=root)[key]

    def test_dag_cbor_that_is_not_canonical(self):
        made = Made()
        directory = made.keep(bytes.fromhex("a261620061610 0".replace(" ", "")), "dag-cbor")
        root = made.cbor({"x": directory, "y": {"0": made.raw(b"chunk")}})
        self.check(made, root, "x/a", ("malformed", ("x/",)))

    def test_a_value_where_a_directory_has_to_be(self):
        made = Made()
        root = made.cbor({"x": made.cbor(7)})
        self.check(made, root, "x/a", ("malformed", ("x/",)))

    def test_a_directory_where_a_document_has_to_be(self):
        made = Made()
        root = made.cbor({"x": {".zattrs": made.cbor({"0": made.raw(b"chunk")})}})
        self.check(made, root, "x/.zattrs", ("malformed", ("x/.zattrs",)))

    def test_a_document_where_a_directory_has_to_be(self):
        made = Made()
        document = made.cbor({"a": 1})
        root = made.cbor({"x": document, ".zattrs": document})
        self.check(made, root, "x/a", ("malformed", ("x/",)))

    def test_a_block_may_be_both(self):
        made = Made()
        both = made.cbor({".zattrs": {}})
        root = made.cbor({"x": both, ".zattrs": both})
        report = verify(root, made)
        assert (report.ok, report.blocks) == (True, 2)

    @pytest.mark.parametrize("codec", ["dag-json", "git-raw"])
    def test_a_codec_that_no_entry_has(self, codec):
        made = Made()
        root = made.cbor({"x": {"0": made.keep(b"{}", codec)}})
        self.check(made, root, "x/0", ("malformed", ("",)))

    def test_pages_out_of_order(self):
        made = Made()
        chunk = made.raw(b"chunk")
        one, two = made.cbor({"1": chunk}), made.cbor({"2": chunk})
        for pages in ([["2", two], ["1", one]], [["1", one], ["1", one]]):
            root = made.cbor({"x": made.cbor(pages)})
            self.check(made, root, "x/1", ("malformed", ("x/",)))

    def test_a_page_that_begins_elsewhere(self):
        made = Made()
        chunk = made.raw(b"chunk")
        one, two = made.cbor({"1": chunk}), made.cbor({"3": chunk})
        root = made.cbor({"x": [["1", one], ["2", two]]})
        self.check(made, root, "x/2", ("malformed", ("x/",)))

    def test_a_page_that_goes_on_into_the_next(self):
        made = Made()
        chunk = made.raw(b"chunk")
        one, two = made.cbor({"1": chunk, "2": chunk}), made.cbor({"2": chunk})
        root = made.cbor({"x": [["1", one], ["2", two]]})
        self.check(made, root, "x/1", ("malformed", ("x/",)))
        assert only(verify(root, made)).cid == str(one)

    def test_a_page_may_be_sound_in_one_directory_and_not_in_another(self):
        made = Made()
        chunk = made.raw(b"chunk")
        one, two = made.cbor({"1": chunk, "2": chunk}), made.cbor({"2": chunk})
        root = made.cbor({"bad": [["1", one], ["2", two]], "good": [["1", one]]})
        self.check(made, root, "bad/1", ("malformed", ("bad/",)))
        assert IPLDStore(made, root=root)["good/2"] == b"chunk"

    def test_a_list_of_maps_and_lists(self):
        made = Made()
        chunk = made.raw(b"chunk")
        page = made.cbor({"1": chunk})
        inner = made.cbor([["2", made.cbor({"2": chunk})]])
        root = made.cbor({"x": [["1", page], ["2", inner]]})
        problem = only(verify(root, made))
        assert (problem.kind, problem.keys, problem.cid) == ("malformed", ("x/",), str(root))
        with pytest.raises(InvalidNodeError):
            list(IPLDStore(made, root=root))

    def test_a_file_whose_sizes_do_not_add_up(self):
        made = Made()
        leaf = made.raw(b"12345")
        for file in (made.file([leaf], [5], total=6), made.file([leaf], [5, 5])):
            root = made.cbor({"x": {"0": file}})
            self.check(made, root, "x/0", ("malformed", ("x/0",)))

    def test_a_file_that_announces_other_sizes_than_its_leaves_have(self):
        made = Made()
        file = made.file([made.raw(b"12345"), made.raw(b"678")], [5, 4])
        root = made.cbor({"x": {"0": file}})
        self.check(made, root, "x/0", ("malformed", ("x/0",)))
        assert "has 3 bytes of content, 4 announced" in only(verify(root, made)).message

    def test_a_leaf_that_is_right_for_one_file_and_wrong_for_another(self):
        made = Made()
        leaf = made.raw(b"12345")
        root = made.cbor({"x": made.file([leaf], [5]), "y": made.file([leaf], [4]), "z": leaf})
        self.check(made, root, "y", ("malformed", ("y",)))

    def test_a_file_of_files(self):
        made = Made()
        inner = made.file([made.raw(b"12345")], [5], content=b"67")
        root = made.cbor({"x": made.file([inner, inner], [7, 7])})
        assert verify(root, made).ok
        assert IPLDStore(made, root=root)["x"] == b"6712345" * 2
        wrong = made.cbor({"x": made.file([inner, inner], [7, 8])})
        self.check(made, wrong, "x", ("malformed", ("x",)))

    def test_a_file_that_leads_to_something_else(self):
        made = Made()
        for other in (made.cbor({}), made.keep(b"\x0a\x02\x08\x01", "dag-pb")):
            root = made.cbor({"x": made.file([other], [0])})
            assert kinds_of(root, made) == [("malformed", ("x",))]

    def test_dag_pb_that_is_none(self):
        made = Made()
        root = made.cbor({"x": made.keep(b"\xff" * 9, "dag-pb")})
        self.check(made, root, "x", ("malformed", ("x",)))


class TestLimits:
    def test_keys_of_128_segments_are_sound_and_of_129_are_not(self):
        for depth, expected in ((SEGMENTS, []), (SEGMENTS + 1, ["limit"])):
            made = Made()
            below = made.raw(b"chunk")
            for _ in range(depth):
                below = made.cbor({"a": below})
            report = verify(below, made)
            assert [problem.kind for problem in report.problems] == expected
            if not expected:
                assert IPLDStore(made, root=below)["/".join("a" * depth)] == b"chunk"

    def test_a_directory_that_is_too_deep_at_one_place_only(self):
        made = Made()
        below = made.cbor({"a": {"a": {"a": made.raw(b"chunk")}}})
        chain = [below]
        for _ in range(SEGMENTS - 3):
            chain.append(made.cbor({"a": chain[-1]}))
        assert verify(chain[-1], made).ok
        root = made.cbor({"near": below, "far": chain[-1]})
        problem = only(verify(root, made))
        assert (problem.kind, problem.cid) == ("limit", str(below))

    def test_a_chain_of_5000_blocks(self):
        made = Made()
        below = made.raw(b"chunk")
        for _ in range(5000):
            # as the package dag-cbor does it, which takes seconds: {"a": below}
            below = made.keep(b"\xa1\x61a\xd8\x2a\x58\x25\x00" + bytes(below), "dag-cbor")
        report = verify(below, made)
        assert only(report).kind == "limit"
        assert report.blocks == 5001

    def test_lists_of_pages_nest_eight_deep(self):
        for depth, expected in ((8, []), (9, ["limit"])):
            made = Made()
            below = made.cbor({"1": made.raw(b"chunk")})
            for _ in range(depth):
                below = made.cbor([["1", below]])
            report = verify(made.cbor({"x": below}), made)
            assert [problem.kind for problem in report.problems] == expected
            root = made.cbor({"x": below})
            if expected:
                with pytest.raises(InvalidNodeError):
                    IPLDStore(made, root=root)["x/1"]
            else:
                assert IPLDStore(made, root=root)["x/1"] == b"chunk"

    def test_files_nest_eight_deep(self):
        for depth, expected in ((8, []), (9, ["limit"])):
            made = Made()
            below = made.raw(b"chunk")
            for _ in range(depth):
                below = made.file([below], [5])
            root = made.cbor({"x": below})
            assert [problem.kind for problem in verify(root, made).problems] == expected
            if expected:
                with pytest.raises(IPLDStoreError):
                    IPLDStore(made, root=root)["x"]
            else:
                assert IPLDStore(made, root=root)["x"] == b"chunk"
