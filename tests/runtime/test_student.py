from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.runtime.student import mean_interval, quantile, within

# Two-sided, from printed tables (NIST/SEMATECH e-Handbook, 1.3.6.7.2), to three decimals.
TABLE = {
    (0.95, 1): 12.706,
    (0.95, 2): 4.303,
    (0.95, 4): 2.776,
    (0.99, 4): 4.604,
    (0.95, 7): 2.365,
    (0.99, 10): 3.169,
    (0.95, 30): 2.042,
}


@pytest.mark.parametrize(("of", "t"), TABLE.items())
def test_quantiles_are_those_of_the_tables(of: tuple[float, int], t: float) -> None:
    assert quantile(*of) == pytest.approx(t, abs=6e-4)


@given(st.floats(0, 0.999), st.integers(1, 60))
def test_the_quantile_has_its_probability(probability: float, freedom: int) -> None:
    assert within(quantile(probability, freedom), freedom) == pytest.approx(probability, abs=1e-9)


@given(st.floats(0.01, 50))
def test_one_and_two_degrees_have_closed_forms(t: float) -> None:
    assert within(t, 1) == pytest.approx(2 / math.pi * math.atan(t))
    assert within(t, 2) == pytest.approx(t / math.sqrt(2 + t * t))


def test_an_interval_by_hand() -> None:
    # Mean 3, standard deviation sqrt(2.5), five values.
    interval = mean_interval([1, 2, 3, 4, 5], 0.95)
    half = 2.7764 * math.sqrt(2.5 / 5)
    assert interval == pytest.approx((3 - half, 3 + half), abs=1e-3)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_too_few_values_have_none(values: list[float]) -> None:
    assert mean_interval(values, 0.95) is None
