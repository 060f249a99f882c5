"""Parts: whether the reference knows its task in one part of the samples, and guesses in another.

Labels that lost a row belong to their samples up to there; files that are joined may hold two ways of preparing samples.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection import Decoder
from edgekit.drift.answers import Answers
from edgekit.drift.figure import HIGHER, LOWER, Figure
from edgekit.drift.frames import Frames
from edgekit.drift.setup.chances import Z999
from edgekit.drift.setup.finding import FAIL, PART, WARNING, Finding
from edgekit.drift.setup.goodness import Goodness, goodness_of, of_others
from edgekit.drift.setup.probes import SPLIT
from edgekit.drift.setup.reference import picked
from edgekit.drift.setup.unrelated import read_at
from edgekit.tasks import CLASSIFICATION, CTC, DETECTION, REGRESSION, SEGMENTATION, SEQUENCE

_TASKS = (CLASSIFICATION, SEGMENTATION, REGRESSION, SEQUENCE, CTC, DETECTION)
# Steps that parts begin and end at, and samples of a part at least.
_STEPS, _LEAST = 40, 40
# Of the way from guessing to all right: a part that surely gets no further guesses, the rest surely gets further than that.
_NOTHING, _KNOWN = 0.2, 0.4
# The share of neighbours with one class in a part that says anything, or how much more than by luck that is; and the part of
# the labels' spread.
_ONE, _MORE, _SPREAD = 0.5, 0.15, 0.5


def check_parts(
    asked: Answers, decoder: Decoder | None = None, frames: Frames | None = None
) -> list[Finding]:
    """A finding where one stretch of the samples, in their order, has answers that fit their labels no better than others'."""
    at = picked(len(asked.samples))
    if asked.task not in _TASKS or len(at) < SPLIT:
        return []
    read = read_at(asked, at, decoder, frames)
    goodness = None if read is None else goodness_of(asked.task, *read)
    if read is None or goodness is None:
        return []
    answers, labels = read
    own, others = goodness.of(answers, labels), of_others(goodness, answers, labels)
    chance = float(others.mean())
    way = (1.0 if goodness.share else 0.0) - chance
    gain = own - others
    if way <= 0:
        return []
    first, end = _worst(gain)
    inside = np.zeros(len(at), np.bool_)
    inside[first:end] = True
    if min(inside.sum(), (~inside).sum()) < _LEAST or not _telling(asked.task, labels, inside):
        return []
    if _end(gain[inside], 1) > _NOTHING * way or _end(gain[~inside], -1) < _KNOWN * way:
        return []
    return [_finding(asked, goodness, own, inside, at)]


def _worst(gain: NDArray[np.float64]) -> tuple[int, int]:
    """The stretch that lies most below the middle between both kinds of parts, by its first sample and the one after."""
    edges = np.linspace(0, len(gain), _STEPS + 1).astype(int)
    sums = np.add.reduceat(gain, edges[:-1])
    middle = float(np.quantile(sums / np.diff(edges), 0.9)) / 2
    short = middle * np.diff(edges) - sums
    best, first, total, found = 0.0, 0, 0.0, (0, 0)
    for step, value in enumerate(short):
        if total <= 0:
            first, total = step, 0.0
        total += value
        if total > best:
            best, found = total, (int(edges[first]), int(edges[step + 1]))
    return found


def _telling(task: str, labels: NDArray[Any], inside: NDArray[np.bool_]) -> bool:
    """Whether labels of a part differ as those of all do: a model may know one class, or large values, badly."""
    if labels.ndim > 1 and task != REGRESSION:
        return True
    if task != REGRESSION:
        part = labels[inside]
        # Samples that are sorted by class have neighbours of one class.
        shares = np.unique(part, return_counts=True)[1] / len(part)
        grouped = float((part[1:] == part[:-1]).mean())
        return grouped <= max(_ONE, float(np.square(shares).sum()) + _MORE) and len(shares) > 1
    rows = labels.reshape(len(labels), -1).astype(np.float64)
    return bool((rows[inside].std(0) >= _SPREAD * rows.std(0)).all())


def _end(gain: NDArray[np.float64], side: int) -> float:
    """The upper (1) or lower (-1) end of a mean's 99.9 % interval."""
    return float(gain.mean()) + side * Z999 * float(gain.std(ddof=1)) / math.sqrt(len(gain))


def _finding(
    asked: Answers,
    goodness: Goodness,
    own: NDArray[np.float64],
    inside: NDArray[np.bool_],
    at: NDArray[np.intp],
) -> Finding:
    share = goodness.share
    part, rest = (abs(float(own[where].mean())) for where in (inside, ~inside))
    shown = [f"{100 * x:.1f} %" if share else f"{x:.4g}" for x in (part, rest)]
    first, last = (int(at[inside][end]) for end in (0, -1))
    name, better = goodness.word.replace(" ", "_"), HIGHER if share else LOWER
    return Finding(
        PART,
        FAIL if asked.task in (CLASSIFICATION, REGRESSION) else WARNING,
        f"In samples {first} to {last} of {len(asked.samples)}, or about there, the reference is no better than guessing: "
        f"its {goodness.word} is {shown[0]}, in all others {shown[1]}. Check that no row of samples or labels is missing "
        "or there twice, that both are in one order, and that all samples are prepared alike.",
        tuple(
            Figure(
                each,
                "share" if share else "output",
                better,
                x,
                count=int(where.sum()),
                output=asked.task_output,
            )
            for each, x, where in ((f"{name}_of_part", part, inside), (name, rest, ~inside))
        ),
    )
