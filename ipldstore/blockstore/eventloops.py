"""What an event loop does itself, what it leaves to a thread, and what it waits for.

A block store on this machine answers small requests so soon that the loop asks it itself, and
larger ones, with the work of hashing them, in a thread. One on a network is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link

Result = TypeVar("Result")


def is_at_once(blocks: ContentAddressableStore, size: int) -> bool:
    """Whether the loop itself puts so many bytes."""
    return 0 < blocks.inline_limit >= size


async def run_on_loop(
    blocks: ContentAddressableStore, work: Callable[..., Result], *arguments: Any
) -> Result:
    """Do what may load directories, which are small."""
    if blocks.is_local:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


async def get_block_on_loop(blocks: ContentAddressableStore, cid: Link) -> bytes:
    """Return the verified bytes of a block."""
    if not blocks.is_local:
        return await blocks.get_block_async(cid)
    data = blocks.get_small(cid)
    return await asyncio.to_thread(blocks.get_block, cid) if data is None else data
