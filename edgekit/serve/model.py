"""Served model: one file, its queue, and the threads that run it, alone or many requests at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import EdgekitError, TensorError
from edgekit.runtime.runner import Runner
from edgekit.serve.page import takes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekit.serve.protocol import Call

    Arrays = Mapping[str, NDArray[Any]]

# Samples that are run at a time; powers of two below are, too. Each other size would be another
# shape, which interpreters prepare for anew, and which is tried in a child first.
MAX_BATCH = 16


class Overloaded(Exception):
    """The queue is full, or the model is being closed."""


@dataclass
class Job:
    """A call in the queue.

    Attributes:
        done: gives the outputs by name.
        batch: how many samples were run at once; 0 before.
        started: when a thread took it, by `perf_counter`; 0.0 before.
    """

    call: Call
    done: Future[dict[str, NDArray[Any]]] = field(default_factory=Future)
    queued: float = field(default_factory=perf_counter)
    started: float = 0.0
    batch: int = 0


class ServedModel:
    """A model file that answers calls of many clients. `close` ends it.

    Args:
        name: in addresses.
        runners: one for each thread, of the same file; they are closed with the model.
        queue: calls that may wait.
    """

    def __init__(self, name: str, runners: Sequence[Runner], queue: int) -> None:
        self.name = name
        self.runner: Runner = runners[0]
        self.queue = queue
        self.stateful: bool = self.runner._keeps_state()
        self.takes: dict[str, Any] = takes(self.runner)
        self.batching: bool = not self.stateful and has_batch(self.runner)
        self._jobs: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(
                target=self._work, args=(each,), name=f"edgekit-serve-{name}", daemon=True
            )
            for each in runners
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._jobs)

    @property
    def full(self) -> bool:
        """Whether another call would be refused."""
        return self._closed or len(self._jobs) >= self.queue

    def submit(self, call: Call) -> Job:
        """Have a call run.

        Raises:
            Overloaded: the queue is full.
        """
        job = Job(call)
        with self._wake:
            if self.full:
                raise Overloaded
            self._jobs.append(job)
            self._wake.notify()
        return job

    def close(self) -> None:
        """Finish what is queued, and free the interpreters."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self, runner: Runner) -> None:
        with runner:
            while jobs := self._taken():
                # One whose client went away is not run.
                jobs = [job for job in jobs if job.done.set_running_or_notify_cancel()]
                if jobs:
                    self._run(runner, jobs)

    def _taken(self) -> list[Job]:
        """The next call, with those behind it that can be run with it; none when the model is closed."""
        with self._wake:
            while not self._jobs:
                if self._closed:
                    return []
                self._wake.wait()
            taken = [self._jobs.popleft()]
            if self.batching and (key := _key(taken[0].call)) is not None:
                total = _samples(taken[0].call)
                while self._jobs and _key(self._jobs[0].call) == key:
                    total += _samples(self._jobs[0].call)
                    if total > MAX_BATCH:
                        break
                    taken.append(self._jobs.popleft())
        now = perf_counter()
        for job in taken:
            job.started = now
        return taken

    def _run(self, runner: Runner, jobs: list[Job]) -> None:
        try:
            answers = self._answers(runner, jobs)
        except Exception as error:
            for job in jobs:
                job.done.set_exception(error)
            return
        for job, answer in zip(jobs, answers, strict=True):
            job.done.set_result(answer)

    def _answers(self, runner: Runner, jobs: list[Job]) -> list[dict[str, NDArray[Any]]]:
        call = jobs[0].call
        infer: Callable[[Arrays], dict[str, NDArray[Any]]]
        infer = runner.infer_raw if call.raw else runner.infer
        if self.stateful:
            # Nothing of one client's stays for the next.
            runner.reset()
        if call.preprocess or not self.batching:
            jobs[0].batch = 1
            prepared = runner.preprocess(call.inputs) if call.preprocess else call.inputs
            return [infer(prepared)]
        counts = [_samples(job.call) for job in jobs]
        for job in jobs:
            job.batch = sum(counts)
        joined = {name: _joined([job.call.inputs[name] for job in jobs]) for name in call.inputs}
        outputs = in_batches(infer, joined, sum(counts))
        edges = np.cumsum(counts)[:-1]
        parts = {name: np.split(array, edges) for name, array in outputs.items()}
        return [{name: parts[name][i] for name in parts} for i in range(len(jobs))]


def in_batches(
    infer: Callable[[Arrays], dict[str, NDArray[Any]]], inputs: Arrays, count: int
) -> dict[str, NDArray[Any]]:
    """Run `count` samples, at most `MAX_BATCH` at once, each time a power of two: the last one fills it up."""
    found: list[dict[str, NDArray[Any]]] = []
    for start in range(0, count, MAX_BATCH):
        size = min(MAX_BATCH, count - start)
        padded = 1 << (size - 1).bit_length()
        chunk = {name: x[start : start + size] for name, x in inputs.items()}
        if padded > size:
            chunk = {
                name: np.concatenate([x, x[-1:].repeat(padded - size, 0)])
                for name, x in chunk.items()
            }
        results = infer(chunk)
        found.append({name: x[:size] for name, x in results.items()})
    return {name: _joined([each[name] for each in found]) for name in found[0]}


def has_batch(runner: Runner) -> bool:
    """Whether samples may be run together: the first axis is open, and each answer is as it is alone.

    Two samples are asked together and one by one. Files whose other axes are open too, or that take
    anything but numbers, are run one request after another.
    """
    specs = (*runner.inputs, *runner.outputs)
    if not runner.inputs or not all(spec.shape and spec.shape[0] is None for spec in specs):
        return False
    if any(None in spec.shape[1:] or spec.dtype == "object" for spec in runner.inputs):
        return False
    rng = np.random.default_rng(0)
    x = {
        spec.name: rng.random((2, *spec.concrete_shape()[1:])).astype(
            "float32" if spec.quantization is not None else spec.dtype
        )
        for spec in runner.inputs
    }
    try:
        both = runner.infer(x)
        alone = [runner.infer({name: each[i : i + 1] for name, each in x.items()}) for i in (0, 1)]
    except EdgekitError:
        return False
    return all(
        len(each) == 2
        and all(len(alone[i][name]) == 1 and _near(each[i], alone[i][name][0]) for i in (0, 1))
        for name, each in both.items()
    )


def _near(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two answers are one but for rounding: within a hundredth of the largest value."""
    if a.shape != b.shape or a.dtype.kind not in "fiub":
        return False
    a, b = a.astype(np.float64), b.astype(np.float64)
    room = 0.01 * max(float(np.abs(b).max(initial=0)), 1e-6)
    return bool(np.allclose(a, b, rtol=0, atol=room, equal_nan=True))


def _key(call: Call) -> Any:
    """What calls that are run together have in common; None for one that is run alone."""
    if call.preprocess:
        return None
    counts = {len(x) for x in call.inputs.values()}
    if len(counts) != 1:
        return None
    return call.raw, tuple(sorted((n, x.dtype.str, x.shape[1:]) for n, x in call.inputs.items()))


def _samples(call: Call) -> int:
    counts = {len(x) for x in call.inputs.values()}
    if len(counts) != 1:
        raise TensorError(f"inputs: received {sorted(counts)} samples, expected as many in each.")
    return counts.pop()


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
