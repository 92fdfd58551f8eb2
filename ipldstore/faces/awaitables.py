"""What is there already and may be awaited nevertheless, as zarr-python 3 awaits all."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NoReturn

from zarr.core.buffer import Buffer, default_buffer_prototype


class Done:
    """Result of work that is done already."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class AwaitableBytes(bytes):
    """Bytes that are a coroutine as well, which gives them as a zarr ``Buffer``.

    Both ``json.loads(value)`` and ``asyncio.run(value)`` work, any number of times, and nothing
    is amiss if they are never awaited. Copies are plain bytes.
    """

    __slots__ = ()

    def __await__(self) -> Generator[None, None, Buffer]:
        return self._as_buffer()
        yield

    def send(self, value: Any) -> NoReturn:
        """End the coroutine with its result."""
        raise StopIteration(self._as_buffer())

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> NoReturn:
        """End the coroutine with an error."""
        if isinstance(error, type):
            error = error() if value is None else value
        raise error

    def close(self) -> None:
        """End the coroutine, which holds nothing."""

    def _as_buffer(self) -> Buffer:
        return default_buffer_prototype().buffer.from_bytes(bytes(self))

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        return bytes, (bytes(self),)
