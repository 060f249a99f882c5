"""Stdio: the protocol's lines over two descriptors, in threads that nobody has to wait for.

A thread that waits for a client cannot be called back. The SDK's own would keep a process that was told to end from
ending until the client says something; these die with it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress

_PIECE = 1 << 16
# Of one line. A request names files and numbers.
_MOST_LINE = 4 << 20
# Lines that wait for the server.
_WAITING = 16


class Lines:
    """What comes, line by line; ends with the stream, and with a line longer than any request.

    Args:
        descriptor: to read from; it stays as it is, for others may share what is behind it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def __aiter__(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue(_WAITING)

        def put(line: str | None) -> None:
            asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()

        def read() -> None:
            # The loop ended while this waited.
            with suppress(RuntimeError, CancelledError):
                for line in _lines(self._descriptor):
                    put(line)
                put(None)

        threading.Thread(target=read, daemon=True).start()
        while (line := await queue.get()) is not None:
            yield line


class Writer:
    """Where lines go.

    Args:
        descriptor: to write to.
        lost: called when nobody is there to read any more.
    """

    def __init__(self, descriptor: int, lost: Callable[[], None]) -> None:
        self._descriptor, self._lost = descriptor, lost

    async def write(self, text: str) -> None:
        """Returns when all of it is written."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        failed: list[OSError] = []

        def write() -> None:
            rest = memoryview(text.encode())
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                failed.append(error)
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=write, daemon=True).start()
        await done.wait()
        if failed:
            self._lost()

    async def flush(self) -> None:
        """Nothing waits here."""


def _lines(descriptor: int) -> Iterator[str]:
    rest = b""
    while piece := os.read(descriptor, _PIECE):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
        if len(rest) > _MOST_LINE:
            return
    if rest:
        yield rest.decode("utf-8", "replace")
