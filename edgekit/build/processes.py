"""Processes: the work of steps in several of them, side by side.

Each is a fresh interpreter that does one work after another, so that TensorFlow is imported once in each; it ends,
whatever it is doing, when this process closes it or dies.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, TextIO

from edgekit.build.hands import Finished, Make
from edgekit.errors import (
    ChildError,
    EdgekitError,
    RangeWarning,
    TrustWarning,
    UsageError,
    one_line,
)
from edgekit.outputs import together
from edgekit.runtime.child import command, started
from edgekit.samples.limits import unpacking
from edgekit.supervision import die_with

_MEMORY = "Take fewer --workers, or a machine with more memory."
_SAID, MADE, _FAILED = "said", "made", "failed"


class Processes:
    """Up to so many processes, each started when it is first needed.

    Args:
        count: of processes, at least 1.
        limit_bytes: what packed files may unpack to there; the default if None.
        verbose: let through what libraries write.

    Raises:
        UsageError: `count` is less.
    """

    def __init__(self, count: int, limit_bytes: int | None = None, verbose: bool = False) -> None:
        if count < 1:
            raise UsageError(f"--workers: received {count}, expected at least 1.")
        self._count, self._limit, self._verbose = count, limit_bytes, verbose
        self._idle: list[_Process] = []
        self._busy: dict[Connection, tuple[_Process, str]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def several(self) -> bool:
        return self._count > 1

    @property
    def free(self) -> bool:
        return len(self._busy) < self._count

    def take(self, name: str, make: Make, here: bool = False) -> None:
        del here
        process = self._idle.pop() if self._idle else _Process.start(self._stack, self._verbose)
        self._busy[process.connection] = process, name
        # A process that died meanwhile is found when its end is waited for.
        with suppress(BrokenPipeError):
            process.connection.send((make, self._limit))

    def finished(self, heard: Callable[[str, str], None]) -> Finished:
        while True:
            for connection in wait(list(self._busy)):
                assert isinstance(connection, Connection)
                process, name = self._busy[connection]
                try:
                    kind, content = connection.recv()
                except (EOFError, ConnectionError):
                    del self._busy[connection]
                    return Finished(name, error=process.died(name))
                if kind == _SAID:
                    heard(name, content)
                    continue
                del self._busy[connection]
                self._idle.append(process)
                if kind == _FAILED:
                    return Finished(name, error=content)
                return Finished(name, tuple(map(Path, content)))


@dataclass
class _Process:
    """One of them, as this process sees it."""

    connection: Connection
    child: subprocess.Popen[Any]

    @classmethod
    def start(cls, stack: ExitStack, verbose: bool) -> _Process:
        ours, theirs = Pipe()
        stack.enter_context(ours)
        output = None if verbose else subprocess.DEVNULL
        with theirs:
            words = [str(theirs.fileno()), str(os.getpid())]
            child = stack.enter_context(
                started(
                    command("edgekit.build.processes:serve", words),
                    # What libraries write is no result of ours.
                    stdout=2 if verbose else output,
                    stderr=output,
                    pass_fds=[theirs.fileno()],
                )
            )
        return cls(ours, child)

    def died(self, name: str) -> ChildError:
        code = self.child.wait()
        how = f"ended early with code {code}" if code >= 0 else f"was ended by {_signal(-code)}"
        likely = (
            ", most likely because the memory was not enough" if code == -signal.SIGKILL else ""
        )
        return ChildError(f"{name}: the process that did it {how}{likely}. {_MEMORY}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def serve(descriptor: str, parent: str) -> None:
    """The side of the process that works: does what comes in until the other closes the connection or dies."""
    if sys.platform == "linux":
        # At once: the next build may begin as soon as the other's lock is free.
        die_with(int(parent))
    connection = Connection(int(descriptor))
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        # A thread of its own notices the other's end in the middle of a work. It makes no objects of the bytes:
        # that imports modules, which the main thread may be about to import as well.
        with suppress(EOFError, ConnectionError):
            while True:
                calls.put(connection.recv_bytes())
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    lock = threading.Lock()

    def send(kind: str, what: Any) -> None:
        # Progress may come from any thread.
        with lock:
            connection.send((kind, what))

    warnings.showwarning = relayed(lambda line: send(_SAID, line))
    while True:
        send(*answer(calls.get(), lambda line: send(_SAID, line)))


def answer(
    content: bytes, say: Callable[[str], None], check: Callable[[], None] = lambda: None
) -> tuple[str, Any]:
    """Do a work that another process sent: `MADE` and the paths of its files, or another word and its error.

    Args:
        content: the work and what packed files may unpack to, pickled.
        check: raises where it cannot be done here.
    """
    try:
        check()
        make, limit = pickle.loads(content)
        with together(), unpacking(limit):
            return MADE, [os.fspath(path) for path in make(say)]
    except EdgekitError as error:
        return _FAILED, error
    except OSError as error:
        return _FAILED, error
    # Whatever it is, it has to become something that can be sent.
    except Exception as error:
        return _FAILED, ChildError(f"unexpected {type(error).__name__}: {one_line(error)}")


def relayed(say: Callable[[str], None]) -> Any:
    """In the place of `warnings.showwarning`: edgekit's own are told, others are chatter."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        del filename, lineno, file, line
        if issubclass(category, (RangeWarning, TrustWarning)):
            say(f"warning: {message}")

    return show
