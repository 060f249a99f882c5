from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgekit.errors import TensorError
from edgekit.metrics import distances

VALUES = st.floats(-1e6, 1e6, width=32)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=6)
PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, shape, elements=VALUES),
        hnp.arrays(np.float32, shape, elements=VALUES),
    )
)
RIGHTS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
DISTANCES = [
    distances.max_abs,
    distances.relative_max_abs,
    distances.rmse,
    distances.cosine,
    distances.sqnr_db,
]
Distance = Callable[[NDArray[Any], NDArray[Any]], float]


def python_floats(pair: tuple[NDArray[Any], NDArray[Any]]) -> list[tuple[float, float]]:
    return [(float(r), float(c)) for r, c in zip(pair[0].flat, pair[1].flat, strict=True)]


@given(PAIRS)
def test_max_abs_and_rmse_are_their_formulae(pair: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows = python_floats(pair)
    assert distances.max_abs(*pair) == max(abs(r - c) for r, c in rows)
    expected = math.sqrt(fmean((r - c) ** 2 for r, c in rows))
    assert distances.rmse(*pair) == pytest.approx(expected, rel=1e-12)
    assert distances.rmse(*pair) <= distances.max_abs(*pair) * (1 + 1e-12)


@given(PAIRS)
def test_relative_max_abs_is_a_share_of_the_range(pair: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows = python_floats(pair)
    span = max(r for r, _ in rows) - min(r for r, _ in rows)
    assume(span > 0)
    expected = max(abs(r - c) for r, c in rows) / span
    assert distances.relative_max_abs(*pair) == pytest.approx(expected, rel=1e-12)


@given(PAIRS)
def test_cosine_is_its_formula(pair: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows = python_floats(pair)
    lengths = math.hypot(*(r for r, _ in rows)) * math.hypot(*(c for _, c in rows))
    assume(lengths > 0)
    value = distances.cosine(*pair)
    assert value == pytest.approx(math.fsum(r * c for r, c in rows) / lengths, abs=1e-9)
    assert -1 <= value <= 1


@given(PAIRS)
def test_sqnr_is_its_formula(pair: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows = python_floats(pair)
    signal = math.fsum(r * r for r, _ in rows)
    noise = math.fsum((r - c) ** 2 for r, c in rows)
    assume(signal > 0)
    assume(noise > 0)
    expected = 10 * (math.log10(signal) - math.log10(noise))
    assert distances.sqnr_db(*pair) == pytest.approx(expected, abs=1e-9)


def test_sqnr_of_a_tenth_of_noise_is_twenty_decibel() -> None:
    reference = np.ones(50, np.float32)
    assert distances.sqnr_db(reference, reference + np.float32(0.1)) == pytest.approx(20, abs=1e-5)


@given(hnp.arrays(np.float32, SHAPES, elements=VALUES))
def test_equal_outputs_have_no_distance(x: NDArray[Any]) -> None:
    assert distances.max_abs(x, x) == distances.rmse(x, x) == distances.relative_max_abs(x, x) == 0
    assert distances.sqnr_db(x, x) == math.inf
    assert distances.cosine(x, x) == pytest.approx(1)


def test_a_reference_of_zeros() -> None:
    zeros, ones = np.zeros((2, 3)), np.ones((2, 3))
    assert distances.sqnr_db(zeros, ones) == -math.inf
    assert distances.relative_max_abs(zeros, ones) == math.inf
    assert distances.cosine(zeros, ones) == distances.cosine(ones, zeros) == 0
    assert distances.cosine(zeros, zeros) == 1


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_never_masked(distance: Distance, value: float) -> None:
    good = np.ones((3, 2))
    bad = good.copy()
    bad[2, 1] = value
    with pytest.raises(TensorError, match=r"candidate: 1 of 6 values is not finite.*at sample 2"):
        distance(good, bad)
    with pytest.raises(TensorError, match="reference: 1 of 6"):
        distance(bad, good)
    with pytest.raises(TensorError, match="not finite"):
        distances.predicted_classes(bad)


@pytest.mark.parametrize("distance", DISTANCES)
def test_shapes_must_be_equal_and_hold_something(distance: Distance) -> None:
    with pytest.raises(TensorError, match=r"received shape \[3, 1\], expected \[3\]"):
        distance(np.ones(3), np.ones((3, 1)))
    with pytest.raises(TensorError, match="at least one value"):
        distance(np.ones((0, 2)), np.ones((0, 2)))


def test_integers_do_not_wrap_around() -> None:
    assert distances.max_abs(np.array([-128], np.int8), np.array([127], np.int8)) == 255
    assert distances.max_abs(np.array([0], np.uint8), np.array([1], np.uint8)) == 1


def test_top_1_of_scores_is_the_first_of_the_highest() -> None:
    scores = np.array([[0.1, 0.5, 0.5], [2.0, 0, 1]])
    assert distances.predicted_classes(scores).tolist() == [1, 0]


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_top_1_of_one_column_depends_on_what_the_reference_holds(shape: tuple[int, ...]) -> None:
    probabilities = np.array([0.0, 0.4, 0.6, 1.0]).reshape(shape)
    logits = np.array([-3.0, 0.4, 0.6, -0.1]).reshape(shape)
    assert distances.binary_threshold(probabilities) == 0.5
    assert distances.binary_threshold(logits) == 0
    assert distances.predicted_classes(probabilities).tolist() == [0, 0, 1, 1]
    assert distances.predicted_classes(logits, 0.0).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("shape", [(), (2, 3, 4), (2, 0)])
def test_other_shapes_have_no_top_1(shape: tuple[int, ...]) -> None:
    assert distances.class_count(np.ones(shape)) is None
    with pytest.raises(TensorError, match="top-1: received an output of shape"):
        distances.predicted_classes(np.ones(shape))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_agreement_and_flips_complete_each_other(pairs: list[tuple[int, int]]) -> None:
    ref, cand = (np.array(column) for column in zip(*pairs, strict=True))
    flipped = distances.flips(ref, cand)
    assert flipped.tolist() == [i for i, (r, c) in enumerate(pairs) if r != c]
    assert distances.agreement(ref, cand) == (len(pairs) - len(flipped)) / len(pairs)
    assert distances.agreement(ref, cand) == distances.accuracy(ref, cand)


def test_decisions_must_be_as_many() -> None:
    for function in (distances.accuracy, distances.flips):
        with pytest.raises(TensorError, match="one value a sample"):
            function(np.ones(3, bool), np.ones(2, bool))  # type: ignore[operator]
        with pytest.raises(TensorError, match="at least one sample"):
            function(np.ones(0, bool), np.ones(0, bool))  # type: ignore[operator]


def columns(rights: list[tuple[bool, bool]]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    ref, cand = zip(*rights, strict=True)
    return np.array(ref), np.array(cand)
