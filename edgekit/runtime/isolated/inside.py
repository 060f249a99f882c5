"""Inside: the child of an isolated runner. It opens the file when nothing can be undone, and runs what it is told."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError, EdgekitError, UsageError, of_memory
from edgekit.runtime.backends import open_file
from edgekit.runtime.isolated.frames import read_frame, write_frame
from edgekit.runtime.isolated.memory import Memory, packed, places, unpacked
from edgekit.runtime.isolated.said import Opened, Way
from edgekit.runtime.options import Options
from edgekit.runtime.sandbox.inside import confine
from edgekit.runtime.sandbox.state import Sandbox

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekit.runtime.runner import Runner

# Of <asm-generic/fcntl.h>; Python has no name for it.
_F_SETSIG = 10


def serve(setting: str, given: str) -> None:
    """Open a file and run it as often as the caller asks, until that is gone.

    Args:
        setting: as `edgekit.runtime.sandbox.inside.confine` takes it.
        given: JSON: ``path``, ``backend`` and ``options`` of the file, and the descriptors ``requests``,
            ``replies``, ``memory`` and ``life``.
    """
    told = json.loads(given)
    _live_with(told["life"])
    sandbox = confine(setting)
    requests, replies = told["requests"], told["replies"]
    with ExitStack() as stack:
        try:
            artifact, options = Artifact.of(told["path"]), Options(**told["options"])
            runner = stack.enter_context(open_file(artifact, told["backend"], options))
            opened = _opened(runner, sandbox)
        except Exception as error:
            write_frame(replies, _json(_failure(error, told["path"])))
            return
        write_frame(replies, _json(opened))
        server = _Server(runner, Memory(told["memory"]))
        while (message := read_frame(requests)) is not None:
            write_frame(replies, server.answer(message))


def _live_with(life: int) -> None:
    """Have the kernel kill this process when nobody holds the other end of the pipe `life` any more.

    It does so while native code runs, which no thread of Python's would with the lock of the interpreter
    held; PR_SET_PDEATHSIG would do it when the thread of the caller ends that has started this process.
    """
    import fcntl
    import select

    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    ended = select.poll()
    ended.register(life, select.POLLIN)
    # It was gone before the kernel was asked.
    if ended.poll(0):
        raise SystemExit(1)


def _opened(runner: Runner, sandbox: Sandbox) -> dict[str, Any]:
    every = [runner.with_signature(name) for name in runner.signatures] or [runner]
    ways = tuple(Way(each.signature, each.inputs, each.outputs) for each in every)
    said = Opened(
        runner.backend.version,
        runner.exact,
        runner._keeps_state(),
        ways,
        sandbox,
    )
    try:
        metadata = runner._read_metadata()
    except ArtifactError as error:
        return {"opened": said.to_json(), "metadata": None, "unreadable": str(error)}
    known = None if metadata is None else metadata.to_json()
    return {"opened": said.to_json(), "metadata": known, "unreadable": None}


class _Server:
    """Answers what the caller asks of an opened file."""

    def __init__(self, runner: Runner, memory: Memory) -> None:
        self._runner = runner
        self._memory = memory
        # What an empty message runs once more: who, on what, and where the results go.
        self._way = runner
        self._inputs: dict[str, NDArray[Any]] = {}
        self._carry = False
        self._start = 0
        self._places: list[NDArray[Any]] | None = None
        self._shapes: list[tuple[int, ...]] = []
        # Results that the memory has no room for yet.
        self._waiting: list[NDArray[Any]] = []

    def answer(self, message: bytes) -> bytes:
        """The answer to a message; empty where results lie as those before them did."""
        try:
            if not message:
                return self._infer()
            order = json.loads(message)
            if order["do"] == "reset":
                self._runner.reset()
                return _json({"done": True})
            self._memory.follow()
            if order["do"] == "deliver":
                return self._deliver(self._waiting)
            self._take(order)
            return self._infer()
        # Whatever it is, the caller of an ordinary runner would have met it.
        except Exception as error:
            return _json(_failure(error, self._runner.artifact.file))

    def _take(self, order: dict[str, Any]) -> None:
        signature = order["signature"]
        self._way = (
            self._runner.with_signature(signature) if signature is not None else self._runner
        )
        self._carry = order["carry"]
        specs = self._way.inputs
        shapes, sizes = order["shapes"], order["sizes"]
        offsets, self._start = places(sizes)
        self._places = None
        self._inputs = {}
        for spec, shape, size, offset in zip(specs, shapes, sizes, offsets, strict=True):
            if spec.dtype == "object":
                data = self._memory.view(offset, [size], "uint8").tobytes()
                self._inputs[spec.name] = unpacked(data, shape)
            else:
                self._inputs[spec.name] = self._memory.view(offset, shape, spec.dtype)

    def _infer(self) -> bytes:
        if self._carry:
            with self._way._carried():
                results = list(self._way.infer_raw(self._inputs).values())
        else:
            results = list(self._way.infer_raw(self._inputs).values())
        known = self._places
        if known is not None and [x.shape for x in results] == self._shapes:
            for place, x in zip(known, results):
                place[...] = x
            return b""
        return self._deliver(results)

    def _deliver(self, results: Sequence[NDArray[Any]]) -> bytes:
        """Put results where they go, and say which they are; or how much room they need."""
        specs = self._way.outputs
        texts = any(spec.dtype == "object" for spec in specs)
        raw = [packed(x) if x.dtype.kind == "O" else x for x in map(np.asarray, results)]
        sizes = [x.nbytes for x in raw]
        offsets, end = places(sizes, self._start)
        if end > self._memory.size:
            self._waiting = list(results)
            return _json({"needs": end})
        self._waiting = []
        where = [self._memory.view(at, x.shape, x.dtype) for at, x in zip(offsets, raw)]
        for place, x in zip(where, raw):
            place[...] = x
        self._places = None if texts else where
        self._shapes = shapes = [np.shape(x) for x in results]
        dtypes = [np.asarray(x).dtype.name for x in results]
        return _json({"shapes": shapes, "sizes": sizes, "dtypes": dtypes})


def _failure(error: Exception, path: str) -> dict[str, str]:
    """What the caller raises: the text is without the path, by which the caller knows another name."""
    if isinstance(error, EdgekitError):
        text = str(error).removeprefix(f"{path}: ")
        return {"failed": text, "kind": "usage" if isinstance(error, UsageError) else "artifact"}
    kind = MemoryError if of_memory(error) else type(error)
    return {"failed": f"{kind.__name__}: {error}", "kind": "artifact"}


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii")
