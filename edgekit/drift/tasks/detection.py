"""Detection: the boxes in a file's answers, beside those in the reference's and, with labels, the true ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection import Decoder
from edgekit.detection.boxes import Boxes, overlap
from edgekit.drift.figure import Figure
from edgekit.drift.frames import Frames, in_raw_image
from edgekit.metrics.blocks import together
from edgekit.metrics.detection import Found, Truth, found_by_class, mean_average_precision
from edgekit.metrics.resampling import several_ci95, weighed_ci95

Floats = NDArray[np.float64]

# From which overlap on two boxes are the same one.
_SAME = 0.5
# A mean average precision takes its time: fewer draws than other numbers have.
_DRAWS = 200


def decoded(
    decoder: Decoder,
    outputs: Mapping[str, Any],
    size: tuple[int, int],
    frames: Frames | None = None,
) -> list[Boxes]:
    """The boxes of each sample, as `Runner.detect` gives them.

    Args:
        decoder: reads boxes in outputs.
        outputs: by the names that the decoder knows, samples first; arrays of numpy's or lazy ones.
        size: height and width of the model's input, in pixels.
        frames: where that lies in the raw images, in whose pixels boxes then are; None for the input's.

    Raises:
        TensorError: outputs that the decoder does not read.
    """
    found: list[Boxes] = []
    for block in together(*outputs.values()):
        found += decoder.decode(dict(zip(outputs, block, strict=True)), *size)
    if frames is None:
        return found
    return [in_raw_image(boxes, frame) for boxes, frame in zip(found, frames, strict=True)]


def truth_of(labels: NDArray[Any]) -> list[Truth]:
    """Labels of (samples, boxes, 5 or 6) as true boxes, sample by sample."""
    found = []
    for rows in labels:
        real = rows[rows[:, 4] >= 0].astype(np.float64)
        crowd = real[:, 5] > 0 if real.shape[1] > 5 else np.zeros(len(real), bool)
        boxes = Boxes(real[:, :4], np.ones(len(real)), real[:, 4].astype(np.intp))
        found.append(Truth(boxes, crowd))
    return found


def detection_figures(
    reference: Sequence[Boxes],
    candidate: Sequence[Boxes],
    labels: NDArray[Any] | None = None,
    output: str | None = None,
) -> list[Figure]:
    """How a file's boxes follow the original's and, with labels, how well both find the true ones.

    Args:
        reference, candidate: of each image the boxes.
        labels: as `truth_of` takes them.
        output: the task's, by the reference's name.

    Returns:
        ``box_agreement``, the share of boxes of either that the other has too, of the same class and
        overlapping by one half; ``box_map50`` and ``box_map`` of the file against the original's boxes; ``box_iou``,
        how far boxes that both have overlap; ``score_change``, by how much their scores differ on average.
        With labels ``map50`` and ``map`` against those, and what the file loses of them.
    """
    known: dict[str, Any] = {"count": len(reference), "output": output}
    figures = _pairings(reference, candidate, known)
    counted = found_by_class([Truth.of(boxes) for boxes in reference], candidate)
    figures += _precision(counted, ("box_map50", "box_map"), known)
    if labels is None:
        return figures
    truth = truth_of(labels)
    before, after = (found_by_class(truth, boxes) for boxes in (reference, candidate))
    return figures + _precision(after, ("map50", "map"), known, before)


def precision_figure(boxes: Sequence[Boxes], labels: NDArray[Any], output: str) -> Figure | None:
    """The ``map50`` of boxes against labels, as `detection_figures`; None without any true box."""
    counted = found_by_class(truth_of(labels), boxes)
    if not counted:
        return None

    def value(weights: Floats) -> float:
        return mean_average_precision(counted, weights)[0]

    ends = weighed_ci95(len(boxes), value, _DRAWS, 1)
    middle = mean_average_precision(counted)[0]
    return Figure.of("map50", middle, ci95=ends, count=len(boxes), output=output)


def _pairings(
    reference: Sequence[Boxes], candidate: Sequence[Boxes], known: dict[str, Any]
) -> list[Figure]:
    rows = np.array([_pairs(a, b) for a, b in zip(reference, candidate, strict=True)])

    def share(sums: Floats) -> Floats:
        return np.divide(2 * sums[:, 0], sums[:, 1], out=np.ones(len(sums)), where=sums[:, 1] > 0)

    def mean(part: int, sums: Floats) -> Floats:
        none: Floats = np.full(len(sums), np.nan)
        return np.divide(sums[:, part], sums[:, 0], out=none, where=sums[:, 0] > 0)

    total = rows.sum(0)[None]
    (ends,) = several_ci95(rows, [share], 1)
    figures = [Figure.of("box_agreement", float(share(total)[0]), ci95=ends, **known)]
    if total[0, 0]:
        numbers = [partial(mean, part) for part in (2, 3)]
        for name, number, ends in zip(
            ("box_iou", "score_change"), numbers, several_ci95(rows, numbers), strict=True
        ):
            figures.append(Figure.of(name, float(number(total)[0]), ci95=ends, **known))
    return figures


def _precision(
    counted: dict[int, Found],
    names: tuple[str, str],
    known: dict[str, Any],
    before: dict[int, Found] | None = None,
) -> list[Figure]:
    """Of the file, and what it loses of what the original has `before`; none where there is no true box."""
    if not counted:
        return []
    count = known["count"]
    values = mean_average_precision(counted)

    def at(place: int, weights: Floats) -> float:
        return mean_average_precision(counted, weights)[place]

    if before is None:
        return [
            Figure.of(name, values[k], ci95=weighed_ci95(count, partial(at, k), _DRAWS, 1), **known)
            for k, name in enumerate(names)
        ]
    original = before
    firsts = mean_average_precision(original)

    def lost(place: int, weights: Floats) -> float:
        return mean_average_precision(original, weights)[place] - at(place, weights)

    figures = []
    for k, name in enumerate(names):
        own, drop = (weighed_ci95(count, partial(of, k), _DRAWS, 1) for of in (at, lost))
        figures.append(Figure.of(name, values[k], reference=firsts[k], ci95=own, **known))
        figures.append(Figure.of(f"{name}_drop", firsts[k] - values[k], ci95=drop, **known))
    return figures


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
