"""Contestant: the parent's side of one file of a benchmark, which runs in a process of its own."""

from __future__ import annotations

import io
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError, EdgekitError
from edgekit.runtime.child import command, started
from edgekit.runtime.contest import say, say_arrays
from edgekit.runtime.options import Options
from edgekit.runtime.runner import Backend, Runner
from edgekit.runtime.turns import Times

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Entry:
    """What takes part in a benchmark, without a file being open.

    Attributes:
        artifact: the file.
        backend, options, signature: how it is run.
        exact: whether onnxruntime's exact mode runs it.
        batch: samples of one inference.
        inputs: one batch by name; the process makes random ones if None.
    """

    artifact: Artifact
    backend: Backend
    options: Options
    signature: str | None
    exact: bool
    batch: int
    inputs: Arrays | None = None

    @classmethod
    def of(cls, runner: Runner, inputs: Arrays | None) -> Entry:
        """What a runner runs. Given inputs are tried once.

        Raises:
            TensorError: they do not fit.
        """
        if inputs is not None:
            runner.infer(inputs)
        shapes = [np.shape(inputs[s.name]) for s in runner.inputs] if inputs is not None else []
        shapes = shapes or [s.concrete_shape() for s in runner.inputs]
        batch = shapes[0][0] if shapes and shapes[0] else 1
        return cls(
            artifact=runner.artifact,
            backend=runner.backend,
            options=runner.options,
            signature=runner.signature,
            exact=runner.exact,
            batch=batch,
            inputs=inputs,
        )


@dataclass(frozen=True)
class Usage:
    """What a process has taken: bytes, None where the system does not say, and seconds."""

    peak_rss_bytes: int | None
    rss_bytes: int | None
    cpu_s: float


class Contestant:
    """A file in a process of its own, loaded and run once.

    Attributes:
        load_ms: of opening the file there, the import of its interpreter included.
        first_ms: of the first inference.
        open_shapes: of its inputs, those with dynamic dimensions other than the batch.
        energies_mj: millijoules of an inference, of each block so far; empty where there is no counter.
    """

    def __init__(self, entry: Entry, stream: io.BufferedRWPair, said: IO[bytes]) -> None:
        self._entry, self._stream, self._said = entry, stream, said
        self.load_ms: float = 0.0
        self.first_ms: float = 0.0
        self.open_shapes: dict[str, tuple[int, ...]] = {}
        self.energies_mj: list[float] = []

    def begin(self, warmup: int) -> None:
        """Hand over the inputs, wait for the first inference, and run until it is steady."""
        inputs = self._entry.inputs
        try:
            say_arrays(self._stream, None if inputs is None else dict(inputs))
        except OSError as error:
            raise self._died() from error
        begun = self._answer()
        self.load_ms = float(begun["load_ms"])
        self.first_ms = float(begun["first_ms"])
        self.open_shapes = {name: tuple(sizes) for name, sizes in begun["open_shapes"].items()}
        self._ask(max(1, warmup))

    def block(self) -> Times:
        """Durations of one turn."""
        said = self._ask("block")
        count = int(said["count"])
        if said["energy_uj"] is not None:
            # One call of a block is not timed.
            self.energies_mj.append(said["energy_uj"] / 1000 / (count + 1))
        content = self._stream.read(8 * count)
        if len(content) < 8 * count:
            raise self._died()
        return np.frombuffer(content, np.int64)

    def usage(self) -> Usage:
        return Usage(**self._ask("usage"))

    def _ask(self, question: Any) -> Any:
        try:
            say(self._stream, question)
        except OSError as error:
            raise self._died() from error
        return self._answer()

    def _answer(self) -> Any:
        try:
            line = self._stream.readline()
        except OSError as error:
            raise self._died() from error
        if not line:
            raise self._died()
        answer = json.loads(line)
        if isinstance(answer, dict) and "failed" in answer:
            # It was opened here a moment ago: what is wrong now is wrong with the file.
            raise ArtifactError(answer["failed"])
        return answer

    def _died(self) -> EdgekitError:
        self._said.seek(0)
        said = self._said.read()[-500:].decode("utf-8", "replace").strip()
        return ArtifactError(
            f"{self._entry.artifact.path}: the process that ran it ended by itself. It said: "
            f"{said or 'nothing'}"
        )


@contextmanager
def contestant(entry: Entry) -> Iterator[Contestant]:
    """A process for `entry`, which ends with the block. `begin` waits for it to load the file."""
    with ExitStack() as stack:
        own, other = socket.socketpair()
        stack.enter_context(own)
        said = stack.enter_context(_scratch())
        words = [
            str(other.fileno()),
            str(entry.artifact.path),
            entry.backend.name,
            json.dumps(entry.options.to_json()),
            entry.signature or "",
        ]
        with other:
            stack.enter_context(
                started(
                    command("edgekit.runtime.contest:serve", words),
                    pass_fds=[other.fileno()],
                    stdout=said,
                    stderr=said,
                )
            )
        stream = own.makefile("rwb")
        stack.callback(_close, stream)
        yield Contestant(entry, stream, said)


def _scratch() -> IO[bytes]:
    """A file that is gone when it is closed; where there is no place for one, what is said is lost."""
    try:
        return tempfile.TemporaryFile()
    except FileNotFoundError:
        return Path(os.devnull).open("r+b")


def _close(stream: io.BufferedRWPair) -> None:
    # What was still to be said to one that is gone.
    with suppress(OSError):
        stream.close()
