"""Benchmark: time runners against each other on the machine they run on."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from time import perf_counter_ns
from typing import Any

from numpy.typing import NDArray

from edgekit.artifact import OBJECT
from edgekit.errors import UsageError, check_progress, check_type
from edgekit.runtime.bench import Bench, Run
from edgekit.runtime.host import HostState
from edgekit.runtime.latency import Latency
from edgekit.runtime.opening import RunnerLike, opened_all
from edgekit.runtime.probe import ColdStart, cold_start
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.runner import Runner

# Enough for a steady 99th percentile of fast models, few enough for slow ones to end.
_MIN_COUNT, _MAX_COUNT = 30, 5000
# A turn: short beside what changes a machine's clock, and many of them even for the fastest model.
_BLOCK_NS, _BLOCK_COUNT = 20_000_000, 200


def benchmark(
    models: RunnerLike | Iterable[RunnerLike],
    *,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    seconds: float = 1.0,
    warmup: int = 5,
    progress: Callable[[str], None] | None = None,
) -> Bench:
    """Time `infer` of each model: float in, float out, one call after the other.

    Models take turns in short blocks, in an order shuffled anew each round, so that a change of the
    machine's clock or temperature meets all of them alike. The garbage collector rests.

    Args:
        models: one or more, each a path or a runner, which is not closed; what `edgekit.export`
            returns will do.
        inputs: one batch by name for all of them; random values if None.
        seconds: how long each model is timed, at about.
        warmup: untimed calls before.
        progress: called with a line of text from time to time.

    Returns:
        Measurements in the order of `models`, each with its raw samples.

    Raises:
        UsageError: there are no models, one is no file, or `seconds` is not positive.
        TensorError: `inputs` do not fit a model.
        ArtifactError: a model cannot be loaded or fails.
    """
    check_progress(progress)
    check_type("seconds", seconds, Real, "a number of seconds")
    check_type("warmup", warmup, Integral, "a number of calls")
    check_type("inputs", {} if inputs is None else inputs, Mapping, "one batch by input name")
    if not 0 < seconds < float("inf"):
        raise UsageError(f"seconds: received {seconds}, expected a positive time.")
    with opened_all(models) as runners:
        if not runners:
            raise UsageError("benchmark: received no model, expected at least one.")
        return _timed(runners, inputs, seconds, warmup, progress or (lambda _: None))


def _timed(
    runners: Sequence[Runner],
    inputs: Mapping[str, NDArray[Any]] | None,
    seconds: float,
    warmup: int,
    tell: Callable[[str], None],
) -> Bench:
    for runner in runners:
        if runner.artifact.format == OBJECT:
            raise UsageError(
                f"benchmark: received the model object {runner.artifact.name!r}, expected files: a "
                "process of its own loads each to time that. Save the model and load the file."
            )
    cold = []
    for runner in runners:
        tell(f"cold start: {runner.artifact.name}")
        cold.append(cold_start(runner.artifact.path, runner.backend.name, runner.options))
    calls = [
        partial(runner.infer, random_inputs(runner) if inputs is None else inputs)
        for runner in runners
    ]
    for call in calls:
        for _ in range(max(1, warmup)):
            call()
    host = HostState.read()
    tell(f"timing {len(runners)} files in turns")
    samples = interleave(calls, int(seconds * 1e9))
    rows = zip(runners, samples, cold, strict=True)
    return Bench(host, tuple(host.noise), tuple(_run(*row) for row in rows))


def _run(runner: Runner, samples_ns: list[int], cold: ColdStart) -> Run:
    latency = Latency.of(samples_ns)
    batch = (runner.inputs[0].concrete_shape() or (1,))[0] if runner.inputs else 1
    return Run(
        artifact=runner.artifact.recorded(),
        backend=runner.backend,
        threads=runner.options.threads,
        delegate=runner.options.delegate,
        load_ms=cold.load_ms,
        first_ms=cold.first_ms,
        latency=latency,
        throughput_per_s=batch * 1000 / latency.mean_ms if latency.mean_ms else None,
        peak_rss_bytes=cold.peak_rss_bytes,
        exact=runner.exact,
        samples_ns=tuple(samples_ns),
    )


def interleave(calls: Sequence[Callable[[], Any]], budget_ns: int) -> list[list[int]]:
    """Durations of each call in nanoseconds, taken in shuffled rounds of short blocks."""
    order = random.Random(0)
    samples: list[list[int]] = [[] for _ in calls]
    spent = [0] * len(calls)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        while True:
            open_ = [
                i
                for i, taken in enumerate(samples)
                if len(taken) < _MIN_COUNT or (spent[i] < budget_ns and len(taken) < _MAX_COUNT)
            ]
            if not open_:
                return samples
            order.shuffle(open_)
            for i in open_:
                _block(calls[i], samples[i])
                spent[i] = sum(samples[i])
    finally:
        if collecting:
            gc.enable()


def _block(call: Callable[[], Any], samples: list[int]) -> None:
    # The caches are the neighbour's after a turn: one call to take them back is not counted.
    call()
    end = perf_counter_ns() + _BLOCK_NS
    for _ in range(_BLOCK_COUNT):
        start = perf_counter_ns()
        call()
        stop = perf_counter_ns()
        samples.append(stop - start)
        if stop >= end:
            return
