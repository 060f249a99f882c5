"""Segmentation: a class for each place of an image or a series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.drift.tasks.kinds import IGNORED
from edgekit.metrics.distances import binary_threshold
from edgekit.metrics.resampling import mean_ci95, sums_ci95
from edgekit.metrics.segmentation import intersections_and_unions, mean_ratio, places, ratio

Floats = NDArray[np.float64]


def segmentation_figures(
    reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any], output: str
) -> list[Figure]:
    """Agreement of places, their accuracy, and the intersection over union, also of each class.

    Args:
        reference, candidate: scores, (samples, ..., classes); of one class above one half, or above 0 for
            logits, is class 1.
        labels: class numbers, (samples, ...), perhaps with a last axis of size 1; 255 is left out.
        output: the output's name.
    """
    threshold = binary_threshold(reference)
    ref, cand = places(reference, threshold), places(candidate, threshold)
    true = labels.reshape(ref.shape)
    known: dict[str, Any] = {"output": output, "count": len(true)}
    same = (ref == cand).reshape(len(true), -1).mean(1)
    figures = [Figure.of("agreement", float(same.mean()), ci95=mean_ci95(same, 1), **known)]
    looked = true != IGNORED
    if not looked.any():
        return figures
    classes = max(reference.shape[-1], 2)
    right = [
        ((x == true) & looked).reshape(len(true), -1).sum(1).astype(float) for x in (ref, cand)
    ]
    seen = looked.reshape(len(true), -1).sum(1).astype(float)
    parts = np.stack([*right, seen], 1)
    first, second = (float(each.sum() / seen.sum()) for each in right)
    own = sums_ci95(parts, lambda s: s[:, 1] / s[:, 2], 1)
    drop = sums_ci95(parts, lambda s: (s[:, 0] - s[:, 1]) / s[:, 2], 1)
    figures.append(Figure.of("pixel_accuracy", second, reference=first, ci95=own, **known))
    figures.append(Figure.of("pixel_accuracy_drop", first - second, ci95=drop, **known))
    return figures + _unions(ref, cand, true, classes, known)


def _unions(
    ref: NDArray[Any], cand: NDArray[Any], true: NDArray[Any], classes: int, known: dict[str, Any]
) -> list[Figure]:
    # (samples, four, classes): what the reference and the candidate share with the labels, and cover.
    parts = np.stack(
        [
            part
            for found in (ref, cand)
            for part in intersections_and_unions(found, true, classes, IGNORED)
        ],
        1,
    )
    flat = parts.reshape(len(true), -1)

    def means(sums: Floats) -> tuple[Floats, Floats]:
        each = sums.reshape(-1, 4, classes)
        return mean_ratio(each[:, 0], each[:, 1]), mean_ratio(each[:, 2], each[:, 3])

    def dropped(sums: Floats) -> Floats:
        first, second = means(sums)
        return first - second

    total = flat.sum(0)[None].astype(float)
    (first,), (second,) = means(total)
    figures = [
        Figure.of(
            "miou",
            float(second),
            reference=float(first),
            ci95=sums_ci95(flat, lambda s: means(s)[1], 1),
            **known,
        ),
        Figure.of("miou_drop", float(first - second), ci95=sums_ci95(flat, dropped, 1), **known),
    ]
    for k in range(classes):
        own = parts[:, :, k].astype(float)
        if not own[:, 1].sum() or not own[:, 3].sum():
            continue
        sums = own.sum(0)[None]
        before, after = (float(ratio(sums[:, i], sums[:, i + 1])[0]) for i in (0, 2))
        known_here = {**known, "group": f"class={k}"}
        ends = sums_ci95(own, lambda s: ratio(s[:, 2], s[:, 3]), 1)
        lost = sums_ci95(own, lambda s: ratio(s[:, 0], s[:, 1]) - ratio(s[:, 2], s[:, 3]), 1)
        figures.append(Figure.of("iou", after, reference=before, ci95=ends, **known_here))
        figures.append(Figure.of("iou_drop", before - after, ci95=lost, **known_here))
    return figures
