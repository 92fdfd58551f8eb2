"""The codec of tree nodes against the dag-cbor package, on a map of links."""

from __future__ import annotations

import argparse

import dag_cbor
from multiformats import CID
from timing import Table, seconds

from ipldstore.cid import make_link
from ipldstore.formats import dagcbor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--links", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    links = {f"{i // 300}.{i % 300}": make_link(b"%d" % i) for i in range(arguments.links)}
    cids = {key: CID.decode(bytes(link)) for key, link in links.items()}
    data = dag_cbor.encode(cids)
    assert dagcbor.encode(links) == data
    assert dagcbor.decode(data) == links
    table = Table()
    for _ in range(arguments.runs):
        table.add("encode", "ipldstore", seconds(lambda: dagcbor.encode(links)))
        table.add("encode", "dag-cbor", seconds(lambda: dag_cbor.encode(cids)))
        table.add("decode", "ipldstore", seconds(lambda: dagcbor.decode(data)))
        table.add("decode", "dag-cbor", seconds(lambda: dag_cbor.decode(data)))
    table.show(f"a map of {arguments.links:,} links", [("ipldstore", "dag-cbor")])


if __name__ == "__main__":
    main()
