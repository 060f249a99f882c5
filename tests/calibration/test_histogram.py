"""Histograms: the same counts in any order, in any division, and where numpy puts them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.calibration.histogram import BINS, Histogram

VALUES = hnp.arrays(
    np.float32,
    st.integers(1, 60),
    elements=st.floats(-(2.0**20), 2.0**20, width=32).map(lambda v: v if abs(v) > 1e-6 else 0.0),
)


def of(*arrays: np.ndarray) -> Histogram:
    histogram = Histogram()
    for x in arrays:
        histogram.add(x, float(x.min()), float(x.max()))
    return histogram


@given(VALUES)
def test_every_value_is_counted_in_the_bin_that_holds_it(x: np.ndarray) -> None:
    histogram = of(x)
    edges = (np.arange(2 * BINS + 1) - BINS) * histogram.width
    assert np.array_equal(histogram.counts, np.histogram(x.astype(np.float64), edges)[0])
    assert histogram.counts.sum() == x.size


@given(VALUES)
def test_bins_are_as_narrow_as_the_values_allow(x: np.ndarray) -> None:
    histogram = of(x)
    reach = float(np.abs(x).max())
    if reach > 0:
        assert BINS / 2 * histogram.width <= reach <= BINS * histogram.width


@given(VALUES, VALUES)
def test_neither_order_nor_division_matters(x: np.ndarray, y: np.ndarray) -> None:
    whole = of(np.concatenate([x, y]))
    merged = of(x)
    merged.merge(of(y))
    for other in (of(x, y), of(y, x), merged):
        assert other.exponent == whole.exponent
        assert np.array_equal(other.counts, whole.counts)


def test_zeros_alone_do_not_widen_the_bins() -> None:
    histogram = of(np.zeros(7, np.float32), np.float32([1e-9]))
    assert histogram.counts[BINS] == 7
    assert histogram.counts.sum() == 8
