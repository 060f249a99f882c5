"""Goodness: how well each single answer fits its label, whatever the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.metrics import distances

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


def goodness_of(output: NDArray[Any], labels: NDArray[Any] | None) -> Goodness | None:
    """What fits an output and its labels by their shapes; None where nothing tells right from wrong.

    Class numbers of (samples,) beside scores; class numbers of an output's shape without its last axis,
    such as masks; zeros and ones of an output's shape, such as several labels a sample; numbers of an
    output's shape.

    Args:
        output: the reference's answers.
        labels: as the task has them.
    """
    if labels is None or not output.size:
        return None
    classes, whole = distances.class_count(output), labels.dtype.kind in "iub"
    if whole and labels.ndim == 1 and classes is not None:
        threshold = distances.binary_threshold(output)

        def right(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            found: Floats = (distances.predicted_classes(answers, threshold) == wanted).astype(
                float
            )
            return found

        return Goodness(ACCURACY, True, right, classes)
    if whole and output.ndim >= 3 and labels.shape == output.shape[:-1] and output.shape[-1] > 1:

        def pixels(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            return _rows(answers.argmax(-1) == wanted)

        return Goodness(PIXELS, True, pixels, output.shape[-1])
    if labels.shape != output.shape and labels.size != output.size:
        return None
    if whole and set(np.unique(labels).tolist()) <= {0, 1}:
        threshold = distances.binary_threshold(output)

        def decisions(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            return _rows((answers > threshold) == (wanted.reshape(answers.shape) > 0))

        return Goodness(DECISIONS, True, decisions)

    def near(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
        error = answers.astype(np.float64) - wanted.reshape(answers.shape)
        return -_rows(np.abs(error))

    return Goodness(ERROR, False, near)


def _rows(x: NDArray[Any]) -> Floats:
    means: Floats = x.reshape(len(x), -1).mean(1, dtype=np.float64)
    return means
