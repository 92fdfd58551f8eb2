"""Works that are awaited several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from itertools import islice
from typing import Any, Generic, Self, TypeVar

Result = TypeVar("Result")


class AsTheyEnd(Generic[Result]):
    """Works that are done several at a time; iterated, it gives the result of each as it ends.

    When the ``async with`` around that is left, those that are under way are cancelled. Works are
    taken from what iterates them as far as they are begun; there is no limit if that is None.
    """

    def __init__(self, works: Iterable[Coroutine[Any, Any, Result]], limit: int | None) -> None:
        self._waiting = iter(works)
        self._limit = None if limit is None else max(1, limit)
        self._going: set[asyncio.Task[Result]] = set()
        self._done: set[asyncio.Task[Result]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        for task in self._going:
            task.cancel()
        await asyncio.gather(*self._going, *self._done, return_exceptions=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        if not self._done:
            free = None if self._limit is None else self._limit - len(self._going)
            self._going |= set(map(asyncio.create_task, islice(self._waiting, free)))
            if not self._going:
                raise StopAsyncIteration
            self._done, self._going = await asyncio.wait(
                self._going, return_when=asyncio.FIRST_COMPLETED
            )
        return self._done.pop().result()
