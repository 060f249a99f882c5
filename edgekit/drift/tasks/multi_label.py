"""Several classes, each by itself: a yes or no for every one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.drift.tasks.ranks import auc_figures
from edgekit.drift.tasks.threshold import change_figures, f1_figures
from edgekit.metrics.distances import binary_threshold
from edgekit.metrics.ranking import auc_of
from edgekit.metrics.resampling import mean_ci95


def multi_label_figures(
    reference: NDArray[Any],
    candidate: NDArray[Any],
    labels: NDArray[Any] | None,
    output: str,
    asked: float | None = None,
) -> list[Figure]:
    """Agreement of decisions, the mean of the classes' F1 and AUC, and what the candidate loses of them.

    Args:
        reference, candidate: scores, (samples, classes); above one half, or above 0 for logits, is a yes.
        labels: 0 and 1, (samples, classes); None if unknown.
        output: the output's name.
        asked: the threshold of the user's own; see `edgekit.drift.tasks.threshold`.
    """
    # Ranks need all scores at once.
    reference, candidate = np.asarray(reference), np.asarray(candidate)
    threshold = binary_threshold(reference) if asked is None else asked
    ref, cand = reference > threshold, candidate > threshold
    known: dict[str, Any] = {"output": output, "count": len(ref)}
    same = (ref == cand).mean(1)
    figures = [Figure.of("agreement", float(same.mean()), ci95=mean_ci95(same, 1), **known)]
    if asked is not None:
        figures += change_figures(ref, cand, known)
    if labels is None:
        return figures
    true = labels > 0
    figures += f1_figures(ref, cand, true, known)
    return figures + auc_figures(auc_of(reference, true), auc_of(candidate, true), known)
