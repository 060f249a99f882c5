"""Verdicts: whether a measured number keeps its limit, by its whole 95 % interval."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from edgekit.drift.figure import Figure
from edgekit.drift.limit import Limit
from edgekit.drift.words import digits_apart, digits_of, name_of, range_of, value_of
from edgekit.metrics.intervals import Interval, paired_difference_ci95, share_ci95

NONE, PASS, INCONCLUSIVE, FAIL = VERDICTS = ("none", "pass", "inconclusive", "fail")
"""From good to bad."""

Verdict = Annotated[str, ("enum", VERDICTS)]

# The most samples that it is worth telling of.
_MOST = 10_000_000


class Finding(NamedTuple):
    """The verdict on one limit, and a sentence that says why."""

    verdict: str
    reason: str


def worst(verdicts: list[str]) -> str:
    """The worst of some verdicts: fail, then inconclusive, pass, none."""
    return max(verdicts, key=VERDICTS.index, default=NONE)


def judge(limit: Limit, figure: Figure) -> Finding:
    """``pass`` only if the whole interval keeps the limit, ``fail`` only if none of it does.

    In between it is ``inconclusive``, and the sentence says about how many samples like these would
    settle it. A number without an interval is exact; one that was not measured fails.
    """
    what, value = _subject(figure), figure.value
    unit = figure.unit
    known = [x for x in (value, *(figure.ci95 or ())) if x is not None]
    more = digits_apart(known, limit.value, unit)
    allowed = f"the limit of {value_of(limit.value, unit, max(more, digits_of(limit.value, unit)))}"
    if value is None:
        return Finding(FAIL, f"{what} could not be measured: answers are not finite.")
    shown = f"{what} of {value_of(value, unit, more)}"
    side = "above" if limit.at_most is not None else "below"
    if figure.ci95 is None:
        if _holds(limit, value):
            return Finding(PASS, f"{shown} is within {allowed}.")
        return Finding(FAIL, f"{shown} is {side} {allowed}.")
    ends = range_of(figure.ci95, unit, more)
    holds = [_holds(limit, end) for end in figure.ci95]
    if all(holds):
        return Finding(PASS, f"{shown} and its whole 95 % interval, {ends}, are within {allowed}.")
    if not any(holds):
        return Finding(FAIL, f"{shown} and its whole 95 % interval, {ends}, are {side} {allowed}.")
    count = (
        f"{figure.count:,} samples cannot settle it" if figure.count else "The samples are too few"
    )
    text = f"{shown}: {count}, as its 95 % interval, {ends}, contains {allowed}."
    needed = samples_to_settle(limit, figure)
    if figure.unit == "share" and limit.at_least == 1:
        text += " No number of samples can show it of all others: limit the flips of these to 0."
    elif needed:
        text += f" About {needed:,} samples like these would settle it."
    return Finding(INCONCLUSIVE, text)


def samples_to_settle(limit: Limit, figure: Figure) -> int | None:
    """About how many samples with the same rates would leave the limit outside of the interval.

    Rounded up to two digits; None where the value lies on the limit, or more than ten million would be
    needed.
    """
    value, ci95, count = figure.value, figure.ci95, figure.count
    if value is None or ci95 is None or not count or value == limit.value:
        return None

    def settled(samples: int) -> bool:
        holds = [_holds(limit, end) for end in _scaled(figure, samples)]
        return holds[0] == holds[1]

    low, high = count, 2 * count
    while not settled(high):
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    step: int = 10 ** max(0, len(str(high)) - 2)
    return math.ceil(high / step) * step


def _scaled(figure: Figure, samples: int) -> Interval:
    """The interval of the same rates on more samples."""
    value, ci95, count = figure.value, figure.ci95, figure.count
    assert value is not None
    assert ci95 is not None
    assert count is not None
    if figure.changed is not None:
        changed = round(figure.changed * samples / count)
        lost = round((changed + value * samples) / 2)
        return paired_difference_ci95(
            min(max(lost, 0), changed), changed - min(max(lost, 0), changed), samples
        )
    hits = value * count
    if figure.unit == "share" and ci95 == share_ci95(round(hits), count):
        return share_ci95(min(samples, round(value * samples)), samples)
    shrunk = math.sqrt(count / samples)
    return value - (value - ci95[0]) * shrunk, value + (ci95[1] - value) * shrunk


def _holds(limit: Limit, value: float) -> bool:
    if limit.at_most is not None:
        return value <= limit.at_most
    return value >= limit.value


def _subject(figure: Figure) -> str:
    place = figure.place
    return f"The {name_of(figure.name)}{f' ({place})' if place else ''}"
