"""Several classes, each by itself: a yes or no for every one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.metrics.distances import binary_threshold
from edgekit.metrics.ranking import Auc, auc_of
from edgekit.metrics.resampling import mean_ci95, sums_ci95
from edgekit.metrics.segmentation import mean_ratio

Floats = NDArray[np.float64]


def multi_label_figures(
    reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any], output: str
) -> list[Figure]:
    """Agreement of decisions, the mean of the classes' F1 and AUC, and what the candidate loses of them.

    Args:
        reference, candidate: scores, (samples, classes); above one half, or above 0 for logits, is a yes.
        labels: 0 and 1, (samples, classes).
        output: the output's name.
    """
    # Ranks need all scores at once.
    reference, candidate = np.asarray(reference), np.asarray(candidate)
    threshold = binary_threshold(reference)
    ref, cand, true = reference > threshold, candidate > threshold, labels > 0
    known: dict[str, Any] = {"output": output, "count": len(true)}
    same = (ref == cand).mean(1)
    figures = [Figure.of("agreement", float(same.mean()), ci95=mean_ci95(same, 1), **known)]
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
        figures.append(Figure.of("f1", second, reference=first, ci95=own, **known))
        figures.append(Figure.of("f1_drop", first - second, ci95=lost, **known))
    return figures + auc_figures(auc_of(reference, true), auc_of(candidate, true), known)


def auc_figures(
    reference: Auc | None, candidate: Auc | None, known: dict[str, Any]
) -> list[Figure]:
    """The area under the ROC curve of the candidate, and how much less than the reference's it is."""
    if reference is None or candidate is None:
        return []
    return [
        Figure.of("auc", candidate.value, reference=reference.value, ci95=candidate.ci95, **known),
        Figure.of(
            "auc_drop",
            reference.value - candidate.value,
            ci95=reference.difference_ci95(candidate),
            **known,
        ),
    ]
