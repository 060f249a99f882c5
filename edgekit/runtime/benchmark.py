"""Benchmark: time model files against each other on the machine they run on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from numpy.typing import NDArray

from edgekit.artifact import OBJECT, HeldArtifact
from edgekit.errors import UsageError, check_progress, check_type
from edgekit.runtime.bench import Bench
from edgekit.runtime.contestant import Entry
from edgekit.runtime.measuring import measure
from edgekit.runtime.opening import RunnerLike, opened, several
from edgekit.runtime.runner import Runner

# How long a file is timed, in seconds, and in how many fresh processes.
SECONDS, PROCESSES = 2.0, 5


def benchmark(
    models: RunnerLike | Iterable[RunnerLike],
    *,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    seconds: float = SECONDS,
    warmup: int = 5,
    processes: int = PROCESSES,
    progress: Callable[[str], None] | None = None,
) -> Bench:
    """Time `infer` of each model: float in, float out, one call after the other.

    Each file runs in a process of its own, so that no file's memory, threads or clock touch another's. All
    take turns in short blocks, in an order shuffled anew each round, when they have run long enough to be
    steady. This is done `processes` times with fresh processes, in which loading is timed as well. What
    TensorFlow runs is started once.

    The first file is what the others are held against (`Run.relative`): a verdict by an interval over the
    processes, withheld where the machine was disturbed meanwhile (`Bench.disturbed`).

    Args:
        models: one or more, each a path or a runner, which is not closed; what `edgekit.export`
            returns will do.
        inputs: one batch by name for all of them; random values if None.
        seconds: how long each model is timed, at least; 30 calls at least.
        warmup: untimed calls before, at least.
        processes: how often each file is started; an interval needs two.
        progress: called with a line of text from time to time.

    Returns:
        Measurements in the order of `models`, each with its raw samples; what failed, with the reason.

    Raises:
        UsageError: there are no models, one is no file, or `seconds` is not positive.
        TensorError: `inputs` do not fit a model.
        ArtifactError: a model cannot be loaded, or none of them can be timed.
    """
    check_progress(progress)
    check_type("seconds", seconds, Real, "a number of seconds")
    check_type("warmup", warmup, Integral, "a number of calls")
    check_type("processes", processes, Integral, "a number of processes")
    check_type("inputs", {} if inputs is None else inputs, Mapping, "one batch by input name")
    check_seconds(seconds)
    if processes < 1:
        raise UsageError(f"processes: received {processes}, expected at least 1.")
    entries = []
    for model in several(models):
        with opened(model) as runner:
            entries.append(entry_of(runner, inputs))
    if not entries:
        raise UsageError("benchmark: received no model, expected at least one.")
    return measure(
        entries,
        seconds=seconds,
        warmup=warmup,
        processes=processes,
        tell=progress or (lambda _: None),
    )


def check_seconds(seconds: float) -> None:
    """Refuse what is no time to measure for.

    Raises:
        UsageError: it is not positive, or endless.
    """
    if not 0 < seconds < float("inf"):
        raise UsageError(f"seconds: received {seconds}, expected a positive time.")


def entry_of(runner: Runner, inputs: Mapping[str, NDArray[Any]] | None) -> Entry:
    """What a runner runs, to be measured elsewhere.

    Raises:
        UsageError: it is no file.
        TensorError: the inputs do not fit.
    """
    if runner.artifact.format == OBJECT:
        raise UsageError(
            f"benchmark: received the model object {runner.artifact.name!r}, expected files: a "
            "process of its own loads each to time that. Save the model and load the file."
        )
    if isinstance(runner.artifact, HeldArtifact):
        raise UsageError(
            f"benchmark: received {runner.artifact.file}, which is sealed, expected files: a process of its own "
            "loads each to time that. Time the file that it was sealed from."
        )
    return Entry.of(runner, inputs)
