"""Chances against scipy's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgekit.drift.setup.chances import at_least


@given(st.integers(0, 300), st.integers(1, 300), st.floats(0.001, 0.999))
def test_a_count_is_as_likely_as_the_binomial_distribution_says(
    successes: int, trials: int, probability: float
) -> None:
    successes = min(successes, trials)
    expected = stats.binom.sf(successes - 1, trials, probability)
    assert at_least(successes, trials, probability) == pytest.approx(expected, rel=1e-7, abs=1e-11)


def test_certain_and_impossible() -> None:
    assert at_least(0, 0) == 1
    assert at_least(3, 5, 0) == 0
    assert at_least(3, 5, 1) == 1
    assert at_least(10, 10) == pytest.approx(2**-10)
