"""Overlap and suppression against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.detection.boxes import Boxes, overlap, suppress


def plain_overlap(a: list[float], b: list[float]) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / total if total > 0 else 0.0


def plain_suppress(boxes: Boxes, limit: float, most: int, across: bool) -> list[int]:
    order = sorted(range(len(boxes)), key=lambda i: (-boxes.scores[i], i))
    kept: list[int] = []
    for i in order:
        rivals = [k for k in kept if across or boxes.classes[k] == boxes.classes[i]]
        if all(
            plain_overlap(boxes.corners[k].tolist(), boxes.corners[i].tolist()) <= limit
            for k in rivals
        ):
            kept.append(i)
    return kept[:most]


@st.composite
def found(draw: st.DrawFn) -> Boxes:
    # Whole numbers, many of them equal: ties in score and in overlap are where loops differ.
    n = draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low = rng.integers(0, 12, (n, 2))
    corners = np.concatenate([low, low + rng.integers(0, 8, (n, 2))], axis=1).astype(float)
    return Boxes(corners, rng.integers(0, 6, n) / 5, rng.integers(0, 3, n))


@given(found(), st.sampled_from([0, 0.25, 0.5, 1]), st.integers(1, 30), st.booleans())
def test_what_stays_is_what_a_plain_loop_keeps(
    boxes: Boxes, limit: float, most: int, across: bool
) -> None:
    kept = suppress(boxes, limit, most, across_classes=across)
    expected = plain_suppress(boxes, limit, most, across)
    np.testing.assert_array_equal(kept.corners, boxes.corners[expected])
    np.testing.assert_array_equal(kept.scores, boxes.scores[expected])
    np.testing.assert_array_equal(kept.classes, boxes.classes[expected])


@given(found(), found())
def test_overlap_is_that_of_each_pair(first: Boxes, second: Boxes) -> None:
    expected = [
        [plain_overlap(a, b) for b in second.corners.tolist()] for a in first.corners.tolist()
    ]
    found = overlap(first.corners, second.corners)
    np.testing.assert_array_equal(found, np.reshape(expected, (len(first), len(second))))


def test_what_lies_outside_is_cut_off() -> None:
    corners = np.asarray([[-5, -5, 5, 5], [20, 0, 30, 5], [2, 3, 4, 4]], float)
    kept = Boxes(corners, np.asarray([0.9, 0.8, 0.7]), np.asarray([0, 1, 2])).within(10, 20)
    assert kept.corners.tolist() == [[0, 0, 5, 5], [2, 3, 4, 4]]
    assert kept.classes.tolist() == [0, 2]
