from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.metrics.runs import by_run, other_axes


@pytest.mark.parametrize(("ndim", "axes"), [(0, []), (1, []), (2, []), (3, [1]), (5, [1, 2, 3])])
def test_neither_samples_nor_channels(ndim: int, axes: list[int]) -> None:
    assert list(other_axes(ndim)) == axes


@given(st.integers(1, 3), st.integers(1, 64), st.integers(1, 3), st.integers(1, 2))
def test_each_place_of_a_short_axis_is_a_run(a: int, size: int, b: int, c: int) -> None:
    x = np.arange(a * size * b * c).reshape(a, size, b, c)
    rows = by_run(x, 1)
    assert rows.shape == (a * b * c, size)
    for place in range(size):
        assert np.array_equal(rows[:, place], x[:, place].ravel())


@given(st.integers(1, 3), st.integers(65, 700), st.integers(1, 3))
def test_a_long_axis_has_at_most_64_runs_that_cover_it(a: int, size: int, c: int) -> None:
    x = np.arange(a * size * c).reshape(a, size, c)
    rows = by_run(x, 1)
    assert rows.shape[1] <= 64
    assert set(rows.ravel()) == set(x.ravel())
    for column in rows.T:
        places = column // c % size
        assert np.ptp(places) + 1 == len(set(places)) == len(column) // (a * c)


def test_no_places_have_no_runs() -> None:
    assert by_run(np.zeros((4, 0, 3)), 1).size == 0
