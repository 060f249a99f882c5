"""Threshold: decisions of a yes or no at a score, and what a candidate changes of them.

A score above the threshold is a yes. Of several classes of which one is right, the first is believed where its
score is above it, and none otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.metrics.intervals import Interval, share_ci95
from edgekit.metrics.resampling import mean_ci95, sums_ci95
from edgekit.metrics.segmentation import mean_ratio

Floats = NDArray[np.float64]
# What is decided where no score is high enough.
_NOBODY = -1


def decided(scores: NDArray[Any], threshold: float) -> NDArray[np.int64]:
    """The class that is believed: -1 for none; of a single score 1 for yes, 0 for no.

    Args:
        scores: (samples, classes), (samples, 1) or (samples,).

    Returns:
        Shape (samples,).
    """
    rows = scores.reshape(len(scores), -1)
    if rows.shape[1] == 1:
        return (rows[:, 0] > threshold).astype(np.int64)
    best = rows.argmax(1)
    return np.where(rows[np.arange(len(rows)), best] > threshold, best, _NOBODY).astype(np.int64)


def change_figures(
    reference: NDArray[Any], candidate: NDArray[Any], known: dict[str, Any]
) -> list[Figure]:
    """The share of decisions that change.

    Args:
        reference, candidate: decisions, (samples,), or (samples, classes).
        known: what all figures of the output have.
    """
    changed = reference != candidate
    value = float(changed.mean())
    ends: Interval | None
    if changed.ndim == 1:
        ends = share_ci95(int(np.count_nonzero(changed)), len(changed))
    else:
        ends = mean_ci95(changed.mean(1), 1)
    return [Figure.of("decision_changes", value, ci95=ends, **known)]


def f1_figures(
    reference: NDArray[np.bool_],
    candidate: NDArray[np.bool_],
    true: NDArray[np.bool_],
    known: dict[str, Any],
) -> list[Figure]:
    """The mean of the classes' F1, and what the candidate loses of it; none where it is none.

    Args:
        reference, candidate: whether each class is believed, (samples, classes).
        true: whether it is right.
        known: what all figures of the output have.
    """
    ref, cand = reference, candidate
    # (samples, four, classes): hits, and what was found or true, of both.
    parts = np.stack([ref & true, ref * 1 + true, cand & true, cand * 1 + true], 1).astype(float)
    flat = parts.reshape(len(true), -1)

    def f1(sums: Floats, which: int) -> Floats:
        each = sums.reshape(len(sums), 4, -1)
        hits, counted = each[:, 2 * which], each[:, 2 * which + 1]
        # F1 is hits over half of what was found or true: the mean over classes of that ratio.
        return mean_ratio(2 * hits, counted)

    total = flat.sum(0)[None]
    first, second = float(f1(total, 0)[0]), float(f1(total, 1)[0])
    if np.isfinite(first) and np.isfinite(second):
        own = sums_ci95(flat, lambda s: f1(s, 1), 1)
        lost = sums_ci95(flat, lambda s: f1(s, 0) - f1(s, 1), 1)
        return [
            Figure.of("f1", second, reference=first, ci95=own, **known),
            Figure.of("f1_drop", first - second, ci95=lost, **known),
        ]
    return []
