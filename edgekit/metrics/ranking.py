"""Ranking: the area under the ROC curve, with what each sample adds to it. Pure numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.metrics.intervals import Interval
from edgekit.metrics.resampling import unseen
from edgekit.metrics.scores import roc_auc

_Z = 1.959963984540054


# Arrays have no single truth value, so two of them are compared by identity.
@dataclass(frozen=True, eq=False)
class Auc:
    """An area under the ROC curve, of one class or the mean of several.

    Attributes:
        value: from 0 to 1.
        parts: what each sample adds to it beyond the mean, (samples,): their variance over the number of
            samples is the value's (DeLong, DeLong and Clarke-Pearson, "Comparing the Areas under Two or
            More Correlated Receiver Operating Characteristic Curves", Biometrics 44, 1988).
    """

    value: float
    parts: NDArray[np.float64]

    @property
    def ci95(self) -> Interval:
        """Of the area, cut at 0 and 1."""
        half = _half(self.parts)
        return max(0.0, self.value - half), min(1.0, self.value + half)

    def difference_ci95(self, other: Auc) -> Interval:
        """Of this area less another of the same samples."""
        middle, half = self.value - other.value, _half(self.parts - other.parts)
        return middle - half, middle + half


def auc_of(scores: NDArray[Any], positive: NDArray[Any]) -> Auc | None:
    """The mean area of all classes that some samples belong to and others do not.

    Args:
        scores: (samples, classes), or (samples,) for one.
        positive: which samples belong to which class, in the same shape.

    Returns:
        None where there is no such class.
    """
    columns, truth = scores.reshape(len(scores), -1), positive.reshape(len(scores), -1) > 0
    values, parts = [], []
    for k in range(columns.shape[1]):
        area = roc_auc(columns[:, k], truth[:, k])
        if area is not None:
            values.append(area)
            parts.append(_parts(columns[:, k], truth[:, k], area))
    if not values:
        return None
    return Auc(float(np.mean(values)), np.mean(parts, axis=0))


def _parts(scores: NDArray[Any], positive: NDArray[Any], area: float) -> NDArray[np.float64]:
    """Of a positive: the share of negatives below it; of a negative: of positives above; over their share."""
    above, below = scores[positive], scores[~positive]
    found = np.zeros(len(scores))
    share = len(above) / len(scores)
    found[positive] = (_below(below, above) - area) / share
    found[~positive] = (1 - _below(above, below) - area) / (1 - share)
    return found


def _below(values: NDArray[Any], of: NDArray[Any]) -> NDArray[np.float64]:
    """For each of `of` the share of `values` below it, equal ones counted half."""
    ordered = np.sort(values)
    left, right = (np.searchsorted(ordered, of, side) for side in ("left", "right"))
    share: NDArray[np.float64] = (left + right) / (2 * len(values))
    return share


def _half(parts: NDArray[np.float64]) -> float:
    spread = float(parts.std())
    return _Z * spread / math.sqrt(len(parts)) if spread else unseen(len(parts))
