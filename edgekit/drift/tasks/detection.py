"""Detection: the boxes that a file's decoder reads in its outputs, beside those in the reference's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection import Decoder
from edgekit.detection.boxes import Boxes, overlap
from edgekit.drift.figure import Figure
from edgekit.metrics.blocks import together
from edgekit.metrics.detection import found_by_class, mean_average_precision
from edgekit.metrics.resampling import sums_ci95, weighed_ci95

Floats = NDArray[np.float64]

# From which overlap on two boxes are the same one.
_SAME = 0.5
# A mean average precision takes its time: fewer draws than other numbers have.
_DRAWS = 200


def detection_figures(
    decoder: Decoder,
    reference: Mapping[str, NDArray[Any]],
    candidate: Mapping[str, NDArray[Any]],
    size: tuple[int, int],
) -> list[Figure]:
    """How a file's boxes follow the original's, which stand for the truth.

    Args:
        decoder: reads boxes in outputs.
        reference, candidate: outputs by the reference's names, samples first.
        size: height and width of the model's input, in pixels.

    Returns:
        ``box_agreement``, the share of boxes of either that the other has too, of the same class and
        overlapping by one half; ``map50`` and ``map`` of the file against the original's boxes; ``box_iou``,
        how far boxes that both have overlap; ``score_change``, by how much their scores differ on average.

    Raises:
        TensorError: outputs that the decoder does not read.
    """
    truth, found = (_decoded(decoder, outputs, size) for outputs in (reference, candidate))
    known: dict[str, Any] = {"count": len(truth)}
    rows = np.array([_pairs(a, b) for a, b in zip(truth, found, strict=True)])
    figures = []

    def share(sums: Floats) -> Floats:
        return np.divide(2 * sums[:, 0], sums[:, 1], out=np.ones(len(sums)), where=sums[:, 1] > 0)

    total = rows.sum(0)[None]
    ends = sums_ci95(rows, share, 1)
    figures.append(Figure.of("box_agreement", float(share(total)[0]), ci95=ends, **known))
    for name, part in (("box_iou", 2), ("score_change", 3)):
        if total[0, 0]:

            def mean(sums: Floats, part: int = part) -> Floats:
                none: Floats = np.full(len(sums), np.nan)
                return np.divide(sums[:, part], sums[:, 0], out=none, where=sums[:, 0] > 0)

            value = float(mean(total)[0])
            figures.append(Figure.of(name, value, ci95=sums_ci95(rows, mean), **known))
    return figures + _precision(truth, found, known)


def _decoded(
    decoder: Decoder, outputs: Mapping[str, NDArray[Any]], size: tuple[int, int]
) -> list[Boxes]:
    found: list[Boxes] = []
    for block in together(*outputs.values()):
        found += decoder.decode(dict(zip(outputs, block, strict=True)), *size)
    return found


def _precision(
    truth: Sequence[Boxes], found: Sequence[Boxes], known: dict[str, Any]
) -> list[Figure]:
    counted = found_by_class(truth, found)
    if not counted:
        return []
    values = mean_average_precision(counted)

    def at(place: int, weights: Floats) -> float:
        return mean_average_precision(counted, weights)[place]

    return [
        Figure.of(
            name, values[k], ci95=weighed_ci95(len(truth), partial(at, k), _DRAWS, 1), **known
        )
        for k, name in enumerate(("map50", "map"))
    ]


def _pairs(first: Boxes, second: Boxes) -> tuple[float, float, float, float]:
    """Of one image: boxes that both have, boxes of both, and of the pairs the overlaps and the changes of score."""
    pairs, shared, shift = 0, 0.0, 0.0
    overlaps = overlap(first.corners, second.corners)
    overlaps = np.where(first.classes[:, None] == second.classes[None], overlaps, 0.0)
    while overlaps.size and overlaps.max() >= _SAME:
        i, j = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
        pairs += 1
        shared += float(overlaps[i, j])
        shift += abs(float(second.scores[j] - first.scores[i]))
        overlaps[i], overlaps[:, j] = 0.0, 0.0
    return pairs, len(first) + len(second), shared, shift
