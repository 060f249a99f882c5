"""Work: a command in a process of its own, which ends with whoever waits for it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import anyio

from edgekit.runtime.child import Ended, module_command, started

# Seconds that a command has to clear up when nobody waits for it any more. Clients kill servers that take longer
# than two to end.
_GRACE = 1.5
_POLL = 0.02
# Documents are far smaller, and so is a line.
_MOST_OUTPUT = 64 << 20

Tell = Callable[[str], Awaitable[None]]


async def run_command(words: Sequence[str], tell: Tell, place: Path) -> Ended:
    """Do what ``edgekit`` does with `words`.

    Where this is cancelled, the command is interrupted as by Ctrl-C, and killed if it goes on. On Linux it is
    killed too if this process is: call it in the main thread, for the kernel goes by the thread that began it.

    Args:
        words: of the command line.
        tell: called with each line that the command writes to stderr.
        place: the current folder of the process. What lies in it has a say: ``pyproject.toml`` gives options
            their defaults.
    """
    line = module_command("edgekit.agents.command", [str(os.getpid()), *words])
    with started(line, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: list[str] = []

        async def listen(stream: IO[bytes]) -> None:
            reader = await _reader(stream)
            while line := await reader.readline():
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                await tell(lines[-1])

        async def collect(stream: IO[bytes]) -> bytes:
            return await (await _reader(stream)).read()

        try:
            out, _ = await asyncio.gather(collect(process.stdout), listen(process.stderr))
            code = await _end_of(process)
        except BaseException:
            # What is cancelled may not wait, but in such a scope.
            with anyio.CancelScope(shield=True):
                await _interrupt(process)
            raise
    return Ended(code, out.decode("utf-8", "replace"), "\n".join(lines))


async def _reader(stream: IO[bytes]) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=_MOST_OUTPUT)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, stream)
    return reader


async def _end_of(process: subprocess.Popen[bytes]) -> int:
    while (code := process.poll()) is None:
        await asyncio.sleep(_POLL)
    return code


async def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """End it; what `started` has still to kill does not clear up."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_end_of(process), _GRACE)
