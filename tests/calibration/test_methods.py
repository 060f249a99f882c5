"""Methods: what each promises of the range it chooses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.calibration.histogram import Histogram
from edgekit.calibration.methods import (
    MIN_MAX,
    Interval,
    Method,
    entropy_range,
    mse_range,
    percentile_range,
    squared_error,
)
from edgekit.recipe import CALIBRATION_METHODS
from edgekit.tensor import QuantParams, dequantize, quantize

VALUES = hnp.arrays(
    np.float32,
    st.integers(1, 200),
    elements=st.floats(-1000, 1000, width=32, allow_subnormal=False),
)


def seen(x: np.ndarray) -> tuple[Histogram, Interval]:
    histogram = Histogram()
    histogram.add(x, float(x.min()), float(x.max()))
    return histogram, Interval(float(x.min()), float(x.max()))


def normal_with_outliers() -> np.ndarray:
    x = np.random.default_rng(0).standard_normal(50_000).astype(np.float32)
    x[:5] *= 40
    return x


@pytest.mark.parametrize("name", CALIBRATION_METHODS)
@given(x=VALUES)
def test_a_range_never_leaves_what_was_seen(name: str, x: np.ndarray) -> None:
    histogram, extremes = seen(x)
    chosen = Method(name, 99.0).choose(extremes, histogram)
    assert extremes.lowest <= chosen.lowest <= chosen.highest <= extremes.highest


@pytest.mark.parametrize("name", CALIBRATION_METHODS)
@given(value=st.floats(-1000, 1000, width=32, allow_subnormal=False))
def test_all_methods_agree_on_a_constant(name: str, value: float) -> None:
    histogram, extremes = seen(np.full(50, value, np.float32))
    assert Method(name).choose(extremes, histogram) == (value, value)


@given(x=VALUES)
def test_min_max_is_all_that_was_seen(x: np.ndarray) -> None:
    histogram, extremes = seen(x)
    assert MIN_MAX.choose(extremes, histogram) == extremes


@given(x=VALUES)
def test_mse_is_never_worse_than_min_max(x: np.ndarray) -> None:
    histogram, extremes = seen(x)
    assert squared_error(histogram, *mse_range(histogram, extremes)) <= squared_error(
        histogram, *extremes
    )


@given(x=VALUES, percents=st.tuples(st.floats(51, 100), st.floats(51, 100)))
def test_a_higher_percentile_is_a_wider_range(x: np.ndarray, percents: tuple[float, float]) -> None:
    histogram, extremes = seen(x)
    narrow, wide = (percentile_range(histogram, extremes, p) for p in sorted(percents))
    assert wide.lowest <= narrow.lowest
    assert narrow.highest <= wide.highest


@given(x=VALUES, percent=st.floats(51, 100))
def test_a_percentile_leaves_out_no_more_than_it_says(x: np.ndarray, percent: float) -> None:
    histogram, extremes = seen(x)
    lowest, highest = percentile_range(histogram, extremes, percent)
    allowed = x.size * (1 - percent / 100) / 2 + 1e-6
    assert (x < lowest).sum() <= allowed
    assert (x > highest).sum() <= allowed


@given(x=VALUES)
def test_the_whole_percentile_is_min_max(x: np.ndarray) -> None:
    histogram, extremes = seen(x)
    assert percentile_range(histogram, extremes, 100) == extremes


@pytest.mark.parametrize("name", ["percentile", "entropy"])
def test_rare_outliers_are_cut_off(name: str) -> None:
    x = normal_with_outliers()
    histogram, extremes = seen(x)
    chosen = Method(name, 99.9).choose(extremes, histogram)
    assert chosen.width < extremes.width / 2
    assert np.mean((x < chosen.lowest) | (x > chosen.highest)) < 0.02


def test_mse_gives_up_outliers_for_finer_steps() -> None:
    x = normal_with_outliers()
    histogram, extremes = seen(x)
    chosen = mse_range(histogram, extremes)
    assert chosen.width < extremes.width
    # Finer than the grid of the search, from anywhere: no better neighbour by either end.
    error = squared_error(histogram, *chosen)
    for share in (0.9, 0.95, 1.05, 1.1):
        assert error <= 1.01 * squared_error(histogram, share * chosen.lowest, chosen.highest)
        assert error <= 1.01 * squared_error(histogram, chosen.lowest, share * chosen.highest)


def test_entropy_leaves_an_even_distribution_alone() -> None:
    histogram, extremes = seen(np.random.default_rng(1).random(100_000).astype(np.float32))
    assert entropy_range(histogram, extremes) == extremes


def test_squared_error_is_that_of_quantised_values() -> None:
    """Against `edgekit.tensor`, on values in the middles of bins."""
    x = normal_with_outliers()
    histogram, _ = seen(x)
    occupied = np.flatnonzero(histogram.counts)
    middles, weights = histogram.centres[occupied], histogram.counts[occupied]
    lowest, highest = -3.0, 4.0
    scale = (highest - lowest) / 255
    params = QuantParams((scale,), (round(-lowest / scale),))
    restored = dequantize(quantize(middles.astype(np.float32), params, "uint8"), params)
    expected = np.average((middles - restored) ** 2, weights=weights)
    assert squared_error(histogram, lowest, highest) == pytest.approx(expected, rel=1e-3)
