"""Boxes: the objects found in one image, their overlap, and which of them say the same twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


class Detection(NamedTuple):
    """One object in an image.

    Attributes:
        name: of its class; the class's number where names are not known.
        score: how sure the model is.
        box: left, top, right and bottom edge in pixels of the image.
        label: the number of its class.
    """

    name: str
    score: float
    box: tuple[float, float, float, float]
    label: int


@dataclass(frozen=True)
class Boxes:
    """The objects in one image, the surest first.

    Attributes:
        corners: (n, 4) float64: left, top, right and bottom edge, in pixels.
        scores: (n,) float64.
        classes: (n,) integers.
    """

    corners: Numbers
    scores: Numbers
    classes: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: Any) -> Boxes:
        """Those at the indices, or where the mask is true."""
        return Boxes(self.corners[chosen], self.scores[chosen], self.classes[chosen])

    def named(self, class_names: Sequence[str]) -> list[Detection]:
        """One by one, with the classes' names where they are known."""
        return [
            Detection(class_names[k] if k < len(class_names) else str(k), score, tuple(corners), k)
            for corners, score, k in zip(
                self.corners.tolist(), self.scores.tolist(), self.classes.tolist(), strict=True
            )
        ]

    def within(self, height: float, width: float) -> Boxes:
        """Cut at the image's edges; those of which nothing is left are left out."""
        corners = np.clip(self.corners, 0, (width, height, width, height))
        cut = Boxes(corners, self.scores, self.classes)
        return cut[(corners[:, 2:] > corners[:, :2]).all(axis=1)]


def overlap(first: Numbers, second: Numbers) -> Numbers:
    """Intersection over union of every box of one list with every one of the other.

    Args:
        first, second: (n, 4) and (m, 4): left, top, right, bottom.

    Returns:
        (n, m), from 0 to 1; 0 where both boxes are empty.
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    total = _area(first)[:, None] + _area(second)[None, :] - shared
    result: Numbers = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return result


def within(first: Numbers, second: Numbers) -> Numbers:
    """The share of every box of one list that lies in every one of the other, as `overlap`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    whole = np.broadcast_to(_area(first)[:, None], shared.shape)
    result: Numbers = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return result


def suppress(boxes: Boxes, most_overlap: float, most: int, *, across_classes: bool) -> Boxes:
    """Greedy non-maximum suppression: a box that overlaps a surer one of its class goes.

    Args:
        boxes: in any order; of equal scores the earlier one counts as surer.
        most_overlap: intersection over union up to which both boxes stay.
        most: how many may stay.
        across_classes: boxes of different classes drive each other out too.

    Returns:
        What stays, the surest first.
    """
    boxes = boxes[np.argsort(-boxes.scores, kind="stable")]
    waiting = np.arange(len(boxes))
    kept: list[int] = []
    while len(waiting) and len(kept) < most:
        best, waiting = waiting[0], waiting[1:]
        kept.append(int(best))
        same = overlap(boxes.corners[best : best + 1], boxes.corners[waiting])[0] > most_overlap
        if not across_classes:
            same &= boxes.classes[waiting] == boxes.classes[best]
        waiting = waiting[~same]
    return boxes[np.asarray(kept, np.intp)]


def _area(corners: Numbers) -> Numbers:
    area: Numbers = np.maximum(corners[:, 2:] - corners[:, :2], 0).prod(axis=1)
    return area
