"""Worker: a process beside this one that calls functions in the order in which it was asked to.

It is a fresh interpreter, not a fork: TensorFlow's threads may hold locks that a forked child
would wait for without end.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from edgekit.errors import ChildError, EdgekitError
from edgekit.runtime.child import command, started

# Sums that several threads share hang on how many there are, and the bytes of a file must not. Two workers
# have two cores to themselves anyway.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Worker:
    """Starts when made; ends, whatever it is doing, when closed or when this process ends.

    Args:
        modules: what it will need, so that it is imported while nothing is asked of it yet.
        verbose: let through what libraries write.
    """

    def __init__(self, modules: Sequence[str], verbose: bool) -> None:
        output = None if verbose else subprocess.DEVNULL
        ours, theirs = Pipe()
        self.connection: Connection = ours
        with theirs, ExitStack() as stack:
            stack.enter_context(self.connection)
            self._process = stack.enter_context(
                started(
                    command("edgekit.convert.worker:serve", [str(theirs.fileno()), *modules]),
                    # What libraries write is no result of ours.
                    stdout=2 if verbose else output,
                    stderr=output,
                    pass_fds=[theirs.fileno()],
                    environment=_ONE_THREAD,
                )
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def submit(self, function: Callable[..., Any], *args: Any) -> None:
        """Have `function` called; `receive` gives what it returned."""
        with suppress(BrokenPipeError):
            self.connection.send((function, args))

    def receive(self) -> Any:
        """The result of the oldest call not yet received; waits for it.

        Raises:
            EdgekitError: as the function raised it.
            ChildError: the process died, or met an error that edgekit does not raise on purpose.
        """
        try:
            result = self.connection.recv()
        except (EOFError, ConnectionError):
            code = self._process.wait()
            raise ChildError(f"a process that converts {_ended(code)}. {_ADVICE}") from None
        if isinstance(result, EdgekitError):
            raise result
        return result


_ADVICE = "Nothing was written. Export fewer schemes at a time, or on a machine with more memory."


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended early with code {code}"
    if -code == signal.SIGKILL:
        return "was ended by SIGKILL, most likely because the machine ran out of memory"
    return f"was ended by {signal.Signals(-code).name}"


def first_done(workers: Sequence[Worker]) -> list[Worker]:
    """Those of `workers` from which a result, or the news of their death, can be received; waits."""
    ready = wait([worker.connection for worker in workers])
    return [worker for worker in workers if worker.connection in ready]


def serve(descriptor: str, *modules: str) -> None:
    """The worker's side: calls what comes in until the parent closes the connection or dies."""
    connection = Connection(int(descriptor))
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        # A thread of its own notices the parent's end in the middle of a call. It makes no objects of
        # the bytes: that imports modules, which the main thread may be about to import as well.
        with suppress(EOFError, ConnectionError):
            while True:
                calls.put(connection.recv_bytes())
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    for name in modules:
        with suppress(ImportError):
            __import__(name)
    # What was imported stays, and need not be looked through by each collection of garbage.
    gc.freeze()
    while True:
        name = "a call"
        content = calls.get()
        try:
            function, args = pickle.loads(content)
            name = function.__name__
            result = function(*args)
        except EdgekitError as error:
            result = error
        # Whatever it is, it has to become something that can be sent.
        except Exception as error:
            result = ChildError(f"unexpected {type(error).__name__} in {name}: {error}")
        connection.send(result)
