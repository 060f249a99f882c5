"""Asking: all samples to a model, on all cores, in memory that does not grow with their number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

from edgekit.artifact import FORMATS
from edgekit.runtime.host import usable_cores
from edgekit.runtime.runner import Runner
from edgekit.samples.stored import Store

In = TypeVar("In")
Out = TypeVar("Out")

# For fewer samples a second interpreter is not worth its start.
_MANY = 128


class Stopped(Exception):
    """Nobody waits for the answers any more."""


def answers_to(
    runner: Runner, inputs: Mapping[str, Any], stop: Event | None = None
) -> dict[str, Any]:
    """What a model answers to samples of any number.

    Args:
        runner: of the model; a file that keeps no state is run in as many interpreters as there are cores.
        inputs: by the model's names, samples first; numpy's arrays or lazy ones.
        stop: ends the work when it is set.

    Returns:
        By output name, samples first: arrays of numpy's, and beyond 8 MB lazy ones, which wait in a
        temporary file.

    Raises:
        TensorError, ArtifactError: as `Runner.infer_batch`.
        Stopped: as `stop` said.
    """
    stores: dict[str, Store] = {}
    for part in runner.infer_batches(inputs, workers=_workers(runner, inputs)):
        if stop is not None and stop.is_set():
            raise Stopped
        for name, rows in part.items():
            stores.setdefault(name, Store()).add(rows)
    return {spec.name: stores[spec.name].array() for spec in runner.outputs}


def _workers(runner: Runner, inputs: Mapping[str, Any]) -> int:
    if runner.artifact.format not in FORMATS or runner._keeps_state():
        return 1
    if max(map(len, inputs.values()), default=0) < _MANY:
        return 1
    return max(1, usable_cores() // runner.options.threads)


def one_ahead(
    work: Callable[[In, Event], Out], items: Sequence[In]
) -> Generator[Callable[[], Out], None, None]:
    """Work on each item in turn, in a thread of its own: on the next one while the caller uses the last.

    Args:
        work: on an item; ends soon when the event is set, which tells that nobody waits any more.
        items: what to work on.

    Yields:
        For each item what waits for the result and gives it, or raises what `work` raised.
    """
    stop = Event()
    with ThreadPoolExecutor(1, thread_name_prefix="edgekit-ahead") as pool:
        waiting: deque[Future[Out]] = deque()
        try:
            for number in range(len(items)):
                first = number + len(waiting)
                waiting += (pool.submit(work, item, stop) for item in items[first : number + 2])
                yield waiting.popleft().result
        finally:
            stop.set()
            for future in waiting:
                future.cancel()
