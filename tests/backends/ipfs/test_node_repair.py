"""Verification and repair of blocks in a node, through its API and in its folder."""

import pytest

from ipldstore import DirectoryCAStore, IPFSStore, IPLDStore, verify
from ipldstore.cid import as_link, with_codec


@pytest.fixture
def source():
    store = IPLDStore()
    for index in range(300):
        store[f"a/{index}"] = b"chunk %d" % index
    store["large/0"] = bytes(range(256)) * (5 << 10)
    store.freeze()
    return store


def damage(node, blocks):
    """Change the last byte of files in the folder of the node's blocks."""
    folder = DirectoryCAStore(node.path / "blocks")
    files = {block.cid: folder._file_name(block.cid) for block in folder.iter_blocks()}
    for cid, data in blocks.items():
        with open(files[with_codec(as_link(cid), 0x55)], "r+b") as file:
            assert file.read() == data
            file.seek(-1, 2)
            file.write(bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("buffer_bytes", [0, 32 << 20])
def test_a_node_is_mended_through_its_api(start_node, source, buffer_bytes):
    node = start_node(offline=True)
    root, mapping = source.root_cid, source.backend.mapping
    with IPFSStore(node.url, offline=True, buffer_bytes=buffer_bytes) as target:
        assert len(verify(root, target, repair_from=source.backend).repaired) == len(mapping)
        assert verify(root, target).blocks == len(mapping)
        broken = {cid: mapping[cid] for cid in [*list(mapping)[::50], str(root)]}
        damage(node, broken)
        assert not verify(root, target).ok
        report = verify(root, target, repair_from=source.backend)
        assert report.ok, report.problems
        assert set(report.repaired) == set(broken)
    for cid, data in broken.items():
        assert node.run("block", "get", cid) == data


def test_a_pinned_block_is_mended_after_a_restart(start_node, source):
    node = start_node(offline=True)
    root, mapping = source.root_cid, source.backend.mapping
    with IPFSStore(node.url, offline=True) as target:
        source.publish(target, announce=False)
        damage(node, {str(root): mapping[str(root)]})
        (problem,) = verify(root, target, repair_from=source.backend).problems
        assert problem.kind == "corrupt"
        assert "pinned: recursive" in problem.message
        assert "when the node was restarted" in problem.message
        node.stop()
        node.start()
        # what was read is taken for present again
        assert not verify(root, target).ok
        node.stop()
        node.start()
        target.put_block(as_link(root), mapping[str(root)])
        target.flush()
        assert verify(root, target).ok
        assert str(root) in node.run("pin", "ls", "--type=recursive").decode()


def test_a_node_serves_what_was_mended_in_its_folder(start_node, source):
    node = start_node(offline=True)
    root, mapping = source.root_cid, source.backend.mapping
    with IPFSStore(node.url, offline=True) as target:
        target.put_many((as_link(cid), data) for cid, data in mapping.items())
    broken = {cid: mapping[cid] for cid in [*list(mapping)[::50], str(root)]}
    damage(node, broken)
    folder = DirectoryCAStore(node.path / "blocks")
    report = verify(root, folder, repair_from=source.backend)
    assert report.ok
    assert set(report.repaired) == set(broken)
    for cid, data in broken.items():
        assert node.run("block", "get", cid) == data


def test_a_node_that_is_gone_is_no_missing_block(start_node, source):
    node = start_node(offline=True)
    with IPFSStore(node.url, offline=True, timeout=5) as target:
        node.kill()
        (problem,) = verify(source.root_cid, target, repair_from=source.backend).problems
        assert (problem.kind, problem.keys) == ("unreachable", ("",))
