"""Regression: how far answers are from labelled quantities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.metrics.blocks import by_blocks, together
from edgekit.metrics.resampling import mean_ci95, sums_ci95

# Targets that are shown one by one.
_TARGETS = 100
# Labels that are spread by less than this share of their squares are all the same.
_SAME = 1e-12
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
            found += _of(reference, candidate, labels, output, f"target={k}", k)
    return found


def _of(
    reference: NDArray[Any],
    candidate: NDArray[Any],
    labels: NDArray[Any],
    output: str,
    group: str,
    target: int | None = None,
) -> list[Figure]:
    known: dict[str, Any] = {"output": output, "group": group, "count": len(labels)}
    parts = by_blocks(partial(_sums, target), reference, candidate, labels)
    total, each = parts.sum(0)[None], parts[:, 0]
    off_ref, off_cand = parts[:, 5] / each, parts[:, 6] / each
    mae_ref, mae = (float(total[0, k] / total[0, 0]) for k in (5, 6))
    rmse_ref, rmse_cand = (math.sqrt(total[0, k] / total[0, 0]) for k in (1, 2))
    figures = [
        Figure.of("mae", mae, reference=mae_ref, ci95=mean_ci95(off_cand), **known),
        Figure.of("mae_rise", mae - mae_ref, ci95=mean_ci95(off_cand - off_ref), **known),
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
    middle = float(total[0, 3] / total[0, 0])
    spread = sum(float(np.square(x - middle).sum()) for x in _targets(labels, target))
    if spread > _SAME * total[0, 4]:
        first, second = (float(1 - total[0, k] / spread) for k in (1, 2))
        drop = sums_ci95(parts, lambda s: (s[:, 2] - s[:, 1]) / _spread(s))
        own = sums_ci95(parts, lambda s: 1 - s[:, 2] / _spread(s))
        figures.append(Figure.of("r2", second, reference=first, ci95=own, **known))
        figures.append(Figure.of("r2_drop", first - second, ci95=drop, **known))
    return figures


def _sums(
    target: int | None, reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any]
) -> Floats:
    """Of each sample: values, squared errors of both, labels and their squares, absolute errors of both."""
    ref, cand, true = (_rows(x, target) for x in (reference, candidate, labels))
    off_ref, off_cand = np.abs(ref - true), np.abs(cand - true)
    return np.stack(
        [
            np.full(len(true), true.shape[1], float),
            np.square(off_ref).sum(1),
            np.square(off_cand).sum(1),
            true.sum(1),
            np.square(true).sum(1),
            off_ref.sum(1),
            off_cand.sum(1),
        ],
        1,
    )


def _targets(labels: NDArray[Any], target: int | None) -> Iterator[Floats]:
    for (block,) in together(labels):
        yield _rows(block, target)


def _rows(x: NDArray[Any], target: int | None) -> Floats:
    own = x if target is None else x[..., target]
    rows: Floats = own.astype(np.float64).reshape(len(x), -1)
    return rows


def _spread(sums: Floats) -> Floats:
    """The labels' squared distances from their mean; NaN where they are all the same."""
    found = sums[:, 4] - np.square(sums[:, 3]) / sums[:, 0]
    return np.where(found > _SAME * np.abs(sums[:, 4]), found, np.nan)
