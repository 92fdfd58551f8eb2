"""The format with small sizes, so that a few keys make pages, lists of pages and blocks."""

from ipldstore.tree import cut, decode, encode, nodes

_PAGE_BYTES = 220
_INLINE_BYTES = 90


def shrink(monkeypatch):
    """Make pages of a few entries, and blocks of all directories but the smallest."""
    for module in (cut, decode, encode):
        monkeypatch.setattr(module, "MAX_PAGE_BYTES", _PAGE_BYTES)
    for module in (nodes, decode):
        monkeypatch.setattr(module, "MAX_INLINE_BYTES", _INLINE_BYTES)
    monkeypatch.setattr(cut, "_HASH_SCALE", (1 << 32) // _PAGE_BYTES * 2)
