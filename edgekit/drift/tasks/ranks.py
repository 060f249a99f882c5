"""Ranks: how well scores put one class before the other."""

from __future__ import annotations

from typing import Any

from edgekit.drift.figure import Figure
from edgekit.metrics.ranking import Auc


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
