"""What the tests have other processes do."""

from ipldstore import IPLDStore


def write_chunks(fork: IPLDStore, first: int, count: int) -> IPLDStore:
    for number in range(first, first + count):
        fork[f"a/{number}"] = b"chunk %d" % number
    return fork


def change(fork: IPLDStore, added: dict[str, bytes], removed: list[str]) -> IPLDStore:
    fork.update(added)
    for key in removed:
        del fork[key]
    return fork


def fork_and_change(store: IPLDStore, added: dict[str, bytes]) -> IPLDStore:
    return change(store.fork(), added, [])
