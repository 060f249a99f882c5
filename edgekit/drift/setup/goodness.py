"""Goodness: how well each single answer fits its label, in each kind of task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.tasks.kinds import IGNORED
from edgekit.metrics import distances
from edgekit.metrics.segmentation import places
from edgekit.tasks import CLASSIFICATION, MULTI_LABEL, REGRESSION, SEGMENTATION

Floats = NDArray[np.float64]

# What figures are called; the last is an error, the others are shares of what is right.
ACCURACY, PIXELS, DECISIONS = SHARES = ("accuracy", "pixels right", "decisions right")
ERROR = "mean absolute error"


@dataclass(frozen=True)
class Goodness:
    """How well answers fit labels.

    Attributes:
        word: the figure's name in sentences, one of the above.
        share: whether it is a share of what is right, higher is better; else an error in the output's
            unit, lower is better.
        of: from answers and labels, samples first, to a number a sample, higher is better.
        classes: how many classes labels number; None where they are no classes.
    """

    word: str
    share: bool
    of: Callable[[NDArray[Any], NDArray[Any]], Floats]
    classes: int | None = None


def goodness_of(task: str, output: NDArray[Any], labels: NDArray[Any] | None) -> Goodness | None:
    """How well answers fit labels in a task; None where nothing tells right from wrong, sample by sample.

    Args:
        task: of `edgekit.drift.tasks.kinds.TASKS`.
        output: the reference's answers.
        labels: as the task has them.
    """
    if labels is None or 0 in output.shape:
        return None
    threshold = distances.binary_threshold(output)
    if task == CLASSIFICATION:

        def right(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            return _rows(distances.predicted_classes(answers, threshold) == wanted)

        return Goodness(ACCURACY, True, right, distances.class_count(output))
    if task == SEGMENTATION:

        def pixels(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            found = places(answers, threshold)
            true = wanted.reshape(found.shape)
            looked, hits = (_rows(x) for x in (true != IGNORED, found == true))
            # What is left out is right nowhere, so that it only counts below the line.
            shares: Floats = np.divide(hits, looked, out=np.ones_like(hits), where=looked > 0)
            return shares

        return Goodness(PIXELS, True, pixels, max(output.shape[-1], 2))
    if task == MULTI_LABEL:

        def decisions(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            return _rows((answers > threshold) == (wanted > 0))

        return Goodness(DECISIONS, True, decisions)
    if task == REGRESSION:

        def near(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            error = answers.astype(np.float64) - wanted.reshape(answers.shape)
            return -_rows(np.abs(error))

        return Goodness(ERROR, False, near)
    return None


def _rows(x: NDArray[Any]) -> Floats:
    means: Floats = x.reshape(len(x), -1).mean(1, dtype=np.float64)
    return means
