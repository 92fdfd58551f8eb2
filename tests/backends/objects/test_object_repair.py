"""Verification and repair of blocks in a bucket."""

from ipldstore import IPLDStore, ObjectCAStore, verify
from ipldstore.cid import as_link


def test_a_bucket_is_mended(server):
    source = IPLDStore()
    for index in range(300):
        source[f"a/{index}"] = b"chunk %d" % index
    root = source.freeze()
    mapping = source.backend.mapping
    with ObjectCAStore(f"{server.make_bucket()}/deep", **server.make_options()) as target:
        assert len(verify(root, target, repair_from=source.backend).repaired) == len(mapping)
        assert verify(root, target, extra=True).extra == ()
        gone, broken = list(mapping)[10], [list(mapping)[20], str(root)]
        target.store.delete(target._path(as_link(gone)))
        for cid in broken:
            target.store.put(target._path(as_link(cid)), b"damaged")
        target.put(b"extra")
        report = verify(root, target, repair_from=source.backend, extra=True)
        assert report.ok, report.problems
        assert set(report.repaired) == {gone, *broken}
        assert report.extra == (str(target.make_cid(b"extra", "raw")),)
        listed = {(block.cid[4:], block.size) for block in target.iter_blocks()}
        assert len(listed) == len(mapping) + 1
        assert (as_link(gone)[4:], len(mapping[gone])) in listed
        assert verify(root, target).ok
