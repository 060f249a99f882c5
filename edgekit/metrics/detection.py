"""Detection: how well found boxes cover true ones. Pure numpy.

As COCO counts it (Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, and its evaluation code):
the surest box first, each true box found once, precision made to fall with recall, read at 101 recalls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.detection.boxes import Boxes, overlap, within

Floats = NDArray[np.float64]

THRESHOLDS = tuple(np.round(np.arange(0.5, 1.0, 0.05), 2))
"""From which overlap on a box counts as found: 0.5, 0.55, ... 0.95."""

_RECALLS = np.linspace(0, 1, 101)


# Of an image and a class; COCO looks at no more.
_MOST = 100


# Arrays have no single truth value, so two of them are compared by identity.
@dataclass(frozen=True, eq=False)
class Truth:
    """The true boxes of one image.

    Attributes:
        boxes: their scores say nothing.
        crowd: which of them stand for many objects, (boxes,): what lies in one counts neither as found nor as wrong.
    """

    boxes: Boxes
    crowd: NDArray[np.bool_]

    @classmethod
    def of(cls, boxes: Boxes) -> Truth:
        """Boxes none of which is a crowd."""
        return cls(boxes, np.zeros(len(boxes), bool))


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of the boxes of one class, over all images, the surest first.

    Attributes:
        image: which image each box lies in, (boxes,).
        hit: whether it covers a true box that no surer one covers, by threshold, (thresholds, boxes).
        passed: whether it lies in a crowd and counts as nothing, (thresholds, boxes).
        true: how many true boxes each image has, (images,).
    """

    image: NDArray[np.intp]
    hit: NDArray[np.bool_]
    passed: NDArray[np.bool_]
    true: Floats


def found_by_class(
    truth: Sequence[Truth], found: Sequence[Boxes], thresholds: Sequence[float] = THRESHOLDS
) -> dict[int, Found]:
    """What was found of each class that some image truly has.

    Args:
        truth: of each image the true boxes.
        found: of each image the boxes to judge.
        thresholds: see `THRESHOLDS`.
    """
    classes = sorted({int(label) for true in truth for label in true.boxes.classes[~true.crowd]})
    return {label: _found(truth, found, label, thresholds) for label in classes}


def average_precision(found: Found, weights: Floats | None = None) -> Floats:
    """The average precision of one class at each threshold.

    Args:
        found: what was found of it.
        weights: how often each image counts, (images,); None for once.

    Returns:
        Shape (thresholds,); NaN where no image that counts has a true box.
    """
    weights = np.ones(len(found.true)) if weights is None else weights
    total = float(found.true @ weights)
    if not total:
        return np.full(len(found.hit), np.nan)
    each = weights[found.image]
    hits = np.cumsum(found.hit * each, axis=1)
    seen = np.cumsum(~found.passed * each, axis=1)
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    # The best precision at this recall or a higher one.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result: Floats = np.zeros(len(found.hit))
    for k, recall in enumerate(hits / total):
        places = np.searchsorted(recall, _RECALLS)
        inside = places < precision.shape[1]
        result[k] = precision[k][places[inside]].sum() / len(_RECALLS)
    return result


def mean_average_precision(
    found: dict[int, Found], weights: Floats | None = None
) -> tuple[float, float]:
    """The mean over classes of the average precision at the first threshold, and over all thresholds."""
    if not found:
        return float("nan"), float("nan")
    rows = np.stack([average_precision(each, weights) for each in found.values()])
    rows = rows[~np.isnan(rows[:, 0])]
    if not len(rows):
        return float("nan"), float("nan")
    return float(rows[:, 0].mean()), float(rows.mean())


def _found(
    truth: Sequence[Truth], found: Sequence[Boxes], label: int, thresholds: Sequence[float]
) -> Found:
    images, scores, hits, passed = [], [], [], []
    counts: Floats = np.zeros(len(truth))
    for number, (true, boxes) in enumerate(zip(truth, found, strict=True)):
        own = boxes[boxes.classes == label]
        own = own[np.argsort(-own.scores, kind="stable")[:_MOST]]
        same = true.boxes.classes == label
        wanted, crowds = true.boxes[same & ~true.crowd], true.boxes[same & true.crowd]
        counts[number] = len(wanted)
        images.append(np.full(len(own), number, np.intp))
        scores.append(own.scores)
        hits.append(_hits(overlap(own.corners, wanted.corners), thresholds))
        inside = within(own.corners, crowds.corners).max(1, initial=0.0)
        passed.append(~hits[-1] & (inside >= np.asarray(thresholds)[:, None]))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return Found(
        np.concatenate(images)[order],
        np.concatenate(hits, 1)[:, order],
        np.concatenate(passed, 1)[:, order],
        counts,
    )


def _hits(overlaps: Floats, thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """Which boxes, the surest first, cover a true one that is still free: the one they cover most.

    Of several that they cover alike it is the last.
    """
    hit: NDArray[np.bool_] = np.zeros((len(thresholds), len(overlaps)), bool)
    if not overlaps.size:
        return hit
    last = overlaps.shape[1] - 1
    for k, least in enumerate(thresholds):
        free = np.ones(overlaps.shape[1], bool)
        for i, row in enumerate(overlaps):
            best = last - int(np.argmax(np.where(free, row, -1.0)[::-1]))
            if free[best] and row[best] >= least:
                free[best] = False
                hit[k, i] = True
    return hit
