"""Segmentation: a class for each place of an image or a series."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.drift.tasks.kinds import IGNORED
from edgekit.metrics.blocks import by_blocks
from edgekit.metrics.distances import binary_threshold
from edgekit.metrics.resampling import mean_ci95, sums_ci95
from edgekit.metrics.segmentation import intersections_and_unions, mean_ratio, places, ratio

Floats = NDArray[np.float64]


def segmentation_figures(
    reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any] | None, output: str
) -> list[Figure]:
    """Agreement of places, their accuracy, and the intersection over union, also of each class.

    Args:
        reference, candidate: scores, (samples, ..., classes); of one class above one half, or above 0 for
            logits, is class 1.
        labels: class numbers, (samples, ...), perhaps with a last axis of size 1; 255 is left out. None if
            unknown.
        output: the output's name.
    """
    threshold = binary_threshold(reference)
    shape = reference.shape[:-1]
    unknown: NDArray[Any] = np.broadcast_to(np.uint8(IGNORED), shape)
    true = unknown if labels is None else labels.reshape(shape)
    classes = max(reference.shape[-1], 2)
    counted = by_blocks(partial(_counts, threshold, classes), reference, candidate, true)
    known: dict[str, Any] = {"output": output, "count": len(true)}
    same = counted[:, 0]
    figures = [Figure.of("agreement", float(same.mean()), ci95=mean_ci95(same, 1), **known)]
    right, seen = (counted[:, 1], counted[:, 2]), counted[:, 3]
    if not seen.any():
        return figures
    parts = counted[:, 1:4]
    first, second = (float(each.sum() / seen.sum()) for each in right)
    own = sums_ci95(parts, lambda s: s[:, 1] / s[:, 2], 1)
    drop = sums_ci95(parts, lambda s: (s[:, 0] - s[:, 1]) / s[:, 2], 1)
    figures.append(Figure.of("pixel_accuracy", second, reference=first, ci95=own, **known))
    figures.append(Figure.of("pixel_accuracy_drop", first - second, ci95=drop, **known))
    return figures + _unions(counted[:, 4:].reshape(len(true), 4, classes), classes, known)


def _counts(
    threshold: float,
    classes: int,
    reference: NDArray[Any],
    candidate: NDArray[Any],
    true: NDArray[Any],
) -> Floats:
    """Of each sample: the share that agrees, places right of both, places looked at, and of both what they
    share with the labels and cover, class by class; (samples, 4 + 4 classes)."""
    ref, cand = places(reference, threshold), places(candidate, threshold)
    looked = true != IGNORED
    rows = [(ref == cand).reshape(len(true), -1).mean(1)]
    rows += [_places(looked & (x == true)) for x in (ref, cand)]
    unions = [
        part for x in (ref, cand) for part in intersections_and_unions(x, true, classes, IGNORED)
    ]
    return np.concatenate([np.stack([*rows, _places(looked)], 1), *unions], 1)


def _places(marked: NDArray[np.bool_]) -> Floats:
    counts: Floats = marked.reshape(len(marked), -1).sum(1).astype(float)
    return counts


def _unions(parts: Floats, classes: int, known: dict[str, Any]) -> list[Figure]:
    """Args: parts: (samples, four, classes): what the reference and the candidate share with the labels, and cover."""
    flat = parts.reshape(len(parts), -1)

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
