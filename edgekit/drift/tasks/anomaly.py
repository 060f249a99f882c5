"""Anomalies: an autoencoder's input that it makes again badly."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.drift.tasks.ranks import auc_figures
from edgekit.metrics.blocks import by_blocks
from edgekit.metrics.ranking import auc_of
from edgekit.metrics.resampling import mean_ci95
from edgekit.metrics.scores import reconstruction_errors


def anomaly_figures(
    reference: NDArray[Any],
    candidate: NDArray[Any],
    labels: NDArray[Any],
    given: NDArray[Any],
    output: str,
) -> list[Figure]:
    """How well the error of the reconstruction tells 1 from 0, and the mean error itself.

    Args:
        reference, candidate: what was made of the input, in its shape.
        labels: 1 for an anomaly, 0 for what is usual; (samples,).
        given: the input.
        output: the output's name.
    """
    known: dict[str, Any] = {"output": output, "count": len(labels)}
    ref, cand = (by_blocks(reconstruction_errors, x, given) for x in (reference, candidate))
    truth = labels.reshape(-1) == 1
    figures = auc_figures(auc_of(ref, truth), auc_of(cand, truth), known)
    rise = mean_ci95(cand - ref)
    return [
        *figures,
        Figure.of("mse_rise", float((cand - ref).mean()), ci95=rise, **known),
    ]
