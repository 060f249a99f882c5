"""Average precision against a count in plain loops, and boxes that are all right or all wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.detection.boxes import Boxes
from edgekit.metrics.detection import (
    THRESHOLDS,
    Truth,
    average_precision,
    found_by_class,
    mean_average_precision,
)


def boxes(rng: Any, count: int, classes: int) -> Boxes:
    low = rng.uniform(0, 60, (count, 2))
    corners = np.concatenate([low, low + rng.uniform(5, 40, (count, 2))], 1)
    return Boxes(corners, rng.random(count), rng.integers(0, classes, count))


def shaken(rng: Any, given: Boxes) -> Boxes:
    """Boxes near the given ones, some left out, and others that are nowhere."""
    kept = given[rng.random(len(given)) < 0.8]
    more = boxes(rng, int(rng.integers(0, 3)), 3)
    return Boxes(
        np.concatenate([kept.corners + rng.normal(0, 3, kept.corners.shape), more.corners]),
        rng.random(len(kept) + len(more)),
        np.concatenate([kept.classes, more.classes]),
    )


def covers(a: Any, b: Any) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    sizes = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return float(shared / (sum(sizes) - shared))


def counted(truth: list[Boxes], found: list[Boxes], label: int, least: float) -> float:
    """As COCO says it, box by box."""
    rows = sorted(
        (-float(f.scores[k]), n, k)
        for n, f in enumerate(found)
        for k in range(len(f))
        if f.classes[k] == label
    )
    free = {(n, k) for n, t in enumerate(truth) for k in range(len(t)) if t.classes[k] == label}
    total, hits, points = len(free), 0, []
    for seen, (_, n, k) in enumerate(rows, 1):
        mine = [(covers(found[n].corners[k], truth[n].corners[j]), j) for m, j in free if m == n]
        best, j = max(mine, default=(0.0, -1))
        if best >= least:
            free.discard((n, j))
            hits += 1
        points.append((hits / total, hits / seen))
    read = [
        max((p for r, p in points if r >= recall), default=0.0) for recall in np.linspace(0, 1, 101)
    ]
    return sum(read) / 101


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_it_is_what_plain_loops_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = [boxes(rng, int(rng.integers(0, 5)), 3) for _ in range(6)]
    found = [shaken(rng, each) for each in truth]
    result = found_by_class([Truth.of(each) for each in truth], found)
    assert sorted(result) == sorted({int(c) for each in truth for c in each.classes})
    for label, each in result.items():
        expected = [counted(truth, found, label, least) for least in THRESHOLDS]
        np.testing.assert_allclose(average_precision(each), expected, atol=1e-12)


def test_equal_boxes_are_all_found_and_moved_ones_none() -> None:
    rng = np.random.default_rng(1)
    truth = [boxes(rng, 4, 2) for _ in range(5)]
    assert mean_average_precision(found_by_class([Truth.of(each) for each in truth], truth)) == (
        1,
        1,
    )
    far = [Boxes(each.corners + 1000, each.scores, each.classes) for each in truth]
    assert mean_average_precision(found_by_class([Truth.of(each) for each in truth], far)) == (0, 0)
    none = [each[:0] for each in truth]
    assert mean_average_precision(found_by_class([Truth.of(each) for each in truth], none)) == (
        0,
        0,
    )
    assert np.isnan(
        mean_average_precision(found_by_class([Truth.of(each) for each in none], truth))[0]
    )


def test_a_weight_is_as_many_times_the_image() -> None:
    rng = np.random.default_rng(4)
    truth = [boxes(rng, 3, 1) for _ in range(4)]
    found = [shaken(rng, each) for each in truth]
    weights = [2, 0, 1, 3]
    repeated = [n for n, weight in enumerate(weights) for _ in range(weight)]
    many = found_by_class([Truth.of(truth[n]) for n in repeated], [found[n] for n in repeated])
    once = found_by_class([Truth.of(each) for each in truth], found)
    # Equal scores of one image's copies stand side by side in both.
    assert average_precision(once[0], np.array(weights, float))[0] == pytest.approx(
        average_precision(many[0])[0], abs=0.02
    )


def test_what_lies_in_a_crowd_counts_as_nothing() -> None:
    corners = np.array([[0, 0, 10, 10], [20, 20, 60, 60]], np.float64)
    truth = [Truth(Boxes(corners, np.ones(2), np.zeros(2, int)), np.array([False, True]))]
    inside = [[0, 0, 10, 10], [30, 30, 40, 40], [22, 22, 50, 30], [70, 70, 80, 80]]
    found = [Boxes(np.array(inside, float), np.array([0.5, 0.9, 0.8, 0.7]), np.zeros(4, int))]
    (each,) = found_by_class(truth, found).values()
    assert each.true.sum() == 1
    np.testing.assert_array_equal(each.hit[0], [False, False, False, True])
    np.testing.assert_array_equal(each.passed[0], [True, True, False, False])
    # One wrong box, surer than the right one: every recall has a precision of one half.
    np.testing.assert_allclose(average_precision(each), 0.5)


def test_a_class_has_a_hundred_boxes_in_an_image_and_no_more() -> None:
    corners = np.tile(np.array([[50.0, 50.0, 60.0, 60.0]]), (120, 1))
    corners[110] = [0, 0, 10, 10]
    found = [Boxes(corners, np.linspace(1, 0.1, 120), np.zeros(120, int))]
    truth = [Truth.of(Boxes(corners[110:111], np.ones(1), np.zeros(1, int)))]
    assert mean_average_precision(found_by_class(truth, found)) == (0, 0)
