"""Segmentation: classes of places, and how far two maps of them cover each other. Pure numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def places(scores: NDArray[Any], threshold: float) -> NDArray[np.int64]:
    """The class of each place: the arg-max of the last axis, or whether a single score is above `threshold`.

    Args:
        scores: (samples, ..., classes).

    Returns:
        Shape (samples, ...).
    """
    if scores.shape[-1] == 1:
        return (scores[..., 0] > threshold).astype(np.int64)
    return np.asarray(scores.argmax(-1), np.int64)


def intersections_and_unions(
    found: NDArray[Any], true: NDArray[Any], classes: int, ignored: int
) -> tuple[Floats, Floats]:
    """How many places of each class both maps have, and how many either has, sample by sample.

    Args:
        found, true: class numbers of one shape, samples first.
        classes: how many there are.
        ignored: places with this label are not looked at.

    Returns:
        Two arrays of shape (samples, classes).
    """
    looked = true != ignored
    shape = len(true), classes
    both, either = np.zeros(shape), np.zeros(shape)
    for k in range(classes):
        a, b = (found == k) & looked, (true == k) & looked
        both[:, k] = (a & b).reshape(len(true), -1).sum(1)
        either[:, k] = (a | b).reshape(len(true), -1).sum(1)
    return both, either


def ratio(parts: Floats, wholes: Floats) -> Floats:
    """``parts / wholes``, as intersection over union (Jaccard, 1912) is; NaN where a whole is 0."""
    found: Floats = np.full(np.shape(parts), np.nan)
    np.divide(parts, wholes, out=found, where=wholes > 0)
    return found


def mean_ratio(parts: Floats, wholes: Floats) -> Floats:
    """The mean of `ratio` over the classes whose whole is not 0; (..., classes) to (...)."""
    has = wholes > 0
    return ratio(np.where(has, ratio(parts, wholes), 0.0).sum(-1), has.sum(-1))
