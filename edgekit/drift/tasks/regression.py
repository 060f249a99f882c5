"""Regression: how far answers are from labelled quantities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.metrics.distances import rmse
from edgekit.metrics.resampling import mean_ci95, sums_ci95
from edgekit.metrics.scores import mean_absolute_error, r2

# Targets that are shown one by one.
_TARGETS = 100
Floats = NDArray[np.float64]


def regression_figures(
    reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any], output: str
) -> list[Figure]:
    """MAE, RMSE and R2 of both, and by how much the candidate's are worse; also target by target.

    Args:
        reference, candidate, labels: of one shape, samples first; targets on the last axis.
        output: the output's name.
    """
    found = _of(reference, candidate, labels, output, "")
    targets = labels.shape[-1] if labels.ndim > 1 else 1
    if 1 < targets <= _TARGETS:
        for k in range(targets):
            ref, cand, true = (x[..., k] for x in (reference, candidate, labels))
            found += _of(ref, cand, true, output, f"target={k}")
    return found


def _of(
    reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any], output: str, group: str
) -> list[Figure]:
    known: dict[str, Any] = {"output": output, "group": group, "count": len(labels)}
    ref, cand, true = (_rows(x) for x in (reference, candidate, labels))
    off_ref, off_cand = np.abs(ref - true), np.abs(cand - true)
    # Of each sample: values, squared errors of both, labels and their squares.
    parts = np.stack(
        [
            np.full(len(true), true.shape[1], float),
            np.square(off_ref).sum(1),
            np.square(off_cand).sum(1),
            true.sum(1),
            np.square(true).sum(1),
        ],
        1,
    )
    mae_ref, mae = mean_absolute_error(ref, true), mean_absolute_error(cand, true)
    rmse_ref, rmse_cand = rmse(true, ref), rmse(true, cand)
    figures = [
        Figure.of("mae", mae, reference=mae_ref, ci95=mean_ci95(off_cand.mean(1)), **known),
        Figure.of("mae_rise", mae - mae_ref, ci95=mean_ci95((off_cand - off_ref).mean(1)), **known),
        Figure.of(
            "rmse",
            rmse_cand,
            reference=rmse_ref,
            ci95=sums_ci95(parts, lambda s: np.sqrt(s[:, 2] / s[:, 0])),
            **known,
        ),
        Figure.of(
            "rmse_rise",
            rmse_cand - rmse_ref,
            ci95=sums_ci95(
                parts, lambda s: np.sqrt(s[:, 2] / s[:, 0]) - np.sqrt(s[:, 1] / s[:, 0])
            ),
            **known,
        ),
    ]
    first, second = r2(ref, true), r2(cand, true)
    if first is not None and second is not None:
        drop = sums_ci95(parts, lambda s: (s[:, 2] - s[:, 1]) / _spread(s))
        own = sums_ci95(parts, lambda s: 1 - s[:, 2] / _spread(s))
        figures.append(Figure.of("r2", second, reference=first, ci95=own, **known))
        figures.append(Figure.of("r2_drop", first - second, ci95=drop, **known))
    return figures


def _rows(x: NDArray[Any]) -> Floats:
    rows: Floats = x.astype(np.float64).reshape(len(x), -1)
    return rows


def _spread(sums: Floats) -> Floats:
    """The labels' squared distances from their mean; NaN where they are all the same."""
    found = sums[:, 4] - np.square(sums[:, 3]) / sums[:, 0]
    return np.where(found > 1e-12 * np.abs(sums[:, 4]), found, np.nan)
