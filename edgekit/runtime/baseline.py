"""Baseline: whether files have become slower than an earlier benchmark of the same machine found them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.errors import UsageError
from edgekit.runtime.bench import Bench, Run
from edgekit.runtime.host import HostState
from edgekit.runtime.student import quantile

# What has to be the same for two benchmarks to be of one machine.
_MACHINE = ("device", "machine", "userland_bits", "cpu", "cores", "governor")
_PROBABILITY = 0.975

PASS, FAIL, OPEN = "pass", "fail", "inconclusive"


@dataclass(frozen=True)
class Change:
    """A file's median duration by what it was.

    Attributes:
        file: its name.
        ratio: now by then; above 1 is slower.
        low, high: its 97.5 % interval.
        verdict: ``"pass"`` where the whole interval is within the limit, ``"fail"`` where it is beyond,
            else ``"inconclusive"``; so too on a machine that was disturbed.
    """

    file: str
    ratio: float
    low: float
    high: float
    verdict: str


def changes(now: Bench, then: Bench, max_slowdown: float) -> list[Change]:
    """What became of each file that both benchmarks have, by its name.

    Args:
        max_slowdown: the share by which a file may be slower, such as 0.05.

    Raises:
        UsageError: they are of two machines, or of other settings, have no file in common, or one of them
            does not say how the processes differed.
    """
    check_baseline(then, now.host, [run.artifact.name for run in now.runs])
    pairs = [(run, old) for run in now.runs if (old := _same(run, then.runs))]
    disturbed = bool(now.disturbed or then.disturbed)
    return [_change(run, old, 1 + max_slowdown, disturbed) for run, old in pairs]


def _same(run: Run, runs: Sequence[Run]) -> Run | None:
    """The run of a file of this name, the one with as many threads and samples if there are several."""
    found = [old for old in runs if old.artifact.name == run.artifact.name]
    exact = [old for old in found if (old.threads, old.batch) == (run.threads, run.batch)]
    return next(iter(exact or found), None)


def check_baseline(then: Bench, here: HostState, names: Sequence[str]) -> None:
    """Ask this before the work: can files be held against an earlier benchmark?

    Args:
        then: the earlier one.
        here: the machine.
        names: of the files.

    Raises:
        UsageError: it is of another machine, or has none of the files.
    """
    for name in _MACHINE:
        old, new = getattr(then.host, name), getattr(here, name)
        if old != new:
            raise UsageError(
                f"baseline: its {name} is {old!r}, and here it is {new!r}. Times of two machines, or of one in "
                "two states, are not held against each other: measure the baseline here."
            )
    known = [run.artifact.name for run in then.runs]
    if not set(known) & set(names):
        raise UsageError(
            f"baseline: has none of the files {', '.join(names)}; it has {', '.join(known)}."
        )


def _change(run: Run, old: Run, limit: float, disturbed: bool) -> Change:
    name = run.artifact.name
    for what in ("backend", "threads", "batch", "delegate"):
        if getattr(run, what) != getattr(old, what):
            raise UsageError(
                f"baseline: {name} ran there with {what} {getattr(old, what)}, and here with "
                f"{getattr(run, what)}. Measure the baseline anew."
            )
    if min(len(run.medians_ms), len(old.medians_ms)) < 2:
        raise UsageError(
            f"baseline: {name} was not timed in two processes or more, which an interval needs. "
            "Measure it anew."
        )
    new_mean, new_error = _mean([math.log(ms) for ms in run.medians_ms])
    old_mean, old_error = _mean([math.log(ms) for ms in old.medians_ms])
    # Welch's interval, with the fewer of both degrees of freedom, which errs on the wide side.
    freedom = min(len(run.medians_ms), len(old.medians_ms)) - 1
    half = quantile(_PROBABILITY, freedom) * math.hypot(new_error, old_error)
    middle = new_mean - old_mean
    low, high = math.exp(middle - half), math.exp(middle + half)
    verdict = PASS if high <= limit else FAIL if low > limit else OPEN
    return Change(name, math.exp(middle), low, high, OPEN if disturbed else verdict)


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and its standard error."""
    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((x - mean) ** 2 for x in values) / (count - 1)
    return mean, math.sqrt(variance / count)
