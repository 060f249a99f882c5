"""Intervals: each end misses at most 2.5 %, counted over every outcome where that is possible."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import TensorError
from edgekit.metrics.intervals import (
    holm,
    paired_difference_ci95,
    share_ci95,
    sign_test,
)


def trinomial(n: int, p: float, q: float) -> dict[tuple[int, int], float]:
    """How likely each outcome is, counted with Python's whole numbers."""
    return {
        (a, b): math.comb(n, a) * math.comb(n - a, b) * p**a * q**b * (1 - p - q) ** (n - a - b)
        for a, b in itertools.product(range(n + 1), repeat=2)
        if a + b <= n
    }


@pytest.mark.parametrize("n", [4, 11])
def test_no_end_misses_more_than_it_says_in_any_of_many_worlds(n: int) -> None:
    found = {
        (a, b): paired_difference_ci95(a, b, n)
        for a, b in itertools.product(range(n + 1), repeat=2)
        if a + b <= n
    }
    for p, q in itertools.product(np.linspace(0, 0.6, 13), np.linspace(0, 0.39, 9)):
        chances = trinomial(n, p, q)
        too_low = sum(c for outcome, c in chances.items() if found[outcome][1] < p - q - 1e-9)
        too_high = sum(c for outcome, c in chances.items() if found[outcome][0] > p - q + 1e-9)
        assert max(too_low, too_high) <= 0.025 * 1.001


@given(st.integers(1, 400), st.data())
@settings(max_examples=30, deadline=None)
def test_it_contains_the_estimate_and_turns_round(n: int, data: st.DataObject) -> None:
    a = data.draw(st.integers(0, n))
    b = data.draw(st.integers(0, n - a))
    low, high = paired_difference_ci95(a, b, n)
    assert -1 <= low <= (a - b) / n <= high <= 1
    assert paired_difference_ci95(b, a, n) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("n", "inside"), [(367, False), (368, True), (1000, True), (100, False)])
def test_how_many_samples_without_a_change_settle_a_point(n: int, inside: bool) -> None:
    low, high = paired_difference_ci95(0, 0, n)
    assert (-low < 0.01, high < 0.01) == (inside, inside)
    # No exact interval ends before the largest loss under which no change is not too rare.
    assert high >= 1 - 0.025 ** (1 / n) - 1e-6


def test_many_changes_meet_the_interval_of_many_samples() -> None:
    # Wald's interval, which is right for so many: (a - b) / n and 1.96 standard errors.
    middle, half = 300 / 100_000, 1.96 * math.sqrt(1700 / 100_000 - 9e-6) / math.sqrt(100_000)
    assert paired_difference_ci95(1000, 700, 100_000) == pytest.approx(
        (middle - half, middle + half), rel=0.05
    )


def score(n: int, lost: int, gained: int, drop: float) -> float:
    """Tango's statistic; the likelihood of the second share is maximised by a search."""
    if lost == gained == 0 and drop == 0:
        return 0.0

    def log_likelihood(p21: float) -> float:
        cells = ((lost, p21 + drop), (gained, p21), (n - lost - gained, 1 - 2 * p21 - drop))
        return sum(k * math.log(max(p, 1e-300)) for k, p in cells if k)

    low, high = max(0.0, -drop), (1 - drop) / 2
    for _ in range(100):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        if log_likelihood(first) < log_likelihood(second):
            low = first
        else:
            high = second
    spread = math.sqrt(n * max(low + high + drop - drop**2, 1e-18))
    return (lost - gained - n * drop) / spread


def at_least(hits: int, count: int, p: float) -> float:
    return sum(math.comb(count, k) * p**k * (1 - p) ** (count - k) for k in range(hits, count + 1))


def _sum_of(outcomes: list[tuple[int, int]], chances: dict[tuple[int, int], float]) -> float:
    return sum(chances[each] for each in outcomes)


def largest_tail(n: int, lost: int, gained: int, drop: float) -> float:
    """The largest probability of an outcome as low as this one, outcome by outcome, share by share."""
    seen = score(n, lost, gained, drop) + 1e-6
    outcomes = [(a, b) for a, b in itertools.product(range(n + 1), repeat=2) if a + b <= n]
    lower = [(a, b) for a, b in outcomes if score(n, a, b, drop) <= seen]
    # Shares of changed samples that the outcome rules out, but for one in 100,000, are left aside.
    changed = lost + gained
    shares = [
        s
        for s in np.linspace(abs(drop), 1, 200)
        if at_least(changed, n, s) >= 5e-6 and at_least(n - changed, n, 1 - s) >= 5e-6
    ]
    return 1e-5 + max(
        _sum_of(lower, trinomial(n, (s + drop) / 2, max(0.0, s - drop) / 2)) for s in shares
    )


@pytest.mark.parametrize(("n", "lost", "gained"), [(8, 0, 0), (8, 2, 0), (9, 1, 3), (9, 0, 5)])
def test_an_end_is_where_brute_force_has_its_tail(n: int, lost: int, gained: int) -> None:
    _, high = paired_difference_ci95(lost, gained, n)
    assert largest_tail(n, lost, gained, high - 0.004) > 0.025 * 0.99
    assert largest_tail(n, lost, gained, high + 0.001) <= 0.025 * 1.01


@given(st.integers(1, 40), st.data())
@settings(max_examples=60)
def test_a_share_has_the_ends_of_clopper_and_pearson(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = share_ci95(hits, n)

    def at_most(k: int, p: float) -> float:
        return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))

    assert 0 <= low <= hits / n <= high <= 1
    assert high == 1 if hits == n else at_most(hits, high) == pytest.approx(0.025, rel=1e-6)
    assert (
        low == pytest.approx(0, abs=1e-12)
        if hits == 0
        else (1 - at_most(hits - 1, low) == pytest.approx(0.025, rel=1e-6))
    )


def test_a_share_of_very_many() -> None:
    low, high = share_ci95(300_000, 1_000_000)
    half = 1.96 * math.sqrt(0.3 * 0.7 / 1e6)
    assert (low, high) == pytest.approx((0.3 - half, 0.3 + half), abs=5e-6)


@pytest.mark.parametrize("counts", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_counts_that_cannot_be(counts: tuple[int, int, int]) -> None:
    with pytest.raises(TensorError, match="expected counts that these samples can have"):
        paired_difference_ci95(*counts)


def test_shares_that_cannot_be() -> None:
    for hits, count in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(TensorError, match="expected at least one sample"):
            share_ci95(hits, count)


@pytest.mark.parametrize(
    ("lost", "won", "chance"), [(5, 0, 1 / 32), (0, 5, 1.0), (0, 0, 1.0), (4, 1, 6 / 32)]
)
def test_the_sign_test_is_a_fair_coin(lost: int, won: int, chance: float) -> None:
    assert sign_test(lost, won) == pytest.approx(chance)


def test_holm_rejects_step_by_step() -> None:
    # Of four: 0.01 <= 0.05 / 4, 0.016 <= 0.05 / 3, 0.03 > 0.05 / 2, so that 0.04 stays as well.
    assert holm(np.array([0.03, 0.01, 0.04, 0.016])).tolist() == [False, True, False, True]
    assert holm(np.array([0.2])).tolist() == [False]
    assert holm(np.array([])).tolist() == []
