from __future__ import annotations

import math

import numpy as np
import pytest

from edgekit.metrics.resampling import _product, mean_ci95, sums_ci95


def test_the_mean_of_values() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    found = mean_ci95(values)
    assert found is not None
    half = 1.96 * values.std() / 20
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)
    assert mean_ci95(values) == found
    assert mean_ci95(values[:1]) is None
    assert mean_ci95(np.full(9, 4.0)) == pytest.approx((4.0, 4.0))


def test_a_ratio_of_sums_holds_its_level() -> None:
    """Of 200 worlds the interval of sum(a) / sum(b) leaves out the truth in about one of twenty."""
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(200):
        b = rng.gamma(4, 1, 80)
        a = b * 0.7 + rng.normal(0, 0.5, 80)
        found = sums_ci95(np.stack([a, b], 1), lambda sums: sums[:, 0] / sums[:, 1])
        assert found is not None
        missed += not found[0] <= 0.7 <= found[1]
    assert 2 <= missed <= 24


def test_many_samples_are_drawn_in_parts() -> None:
    values = np.random.default_rng(1).normal(0, 1, 20_000)
    found = mean_ci95(values)
    assert found is not None
    half = 1.96 / math.sqrt(20_000)
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.002)


def test_what_never_changed_proves_no_more_than_its_samples() -> None:
    found = mean_ci95(np.zeros(370), most=1)
    assert found is not None
    assert found[1] == pytest.approx(1 - 0.025 ** (1 / 370))
    assert found == (-found[1], found[1])
    few = mean_ci95(np.zeros(5), most=1)
    assert few is not None
    assert few[1] > 0.5
    assert mean_ci95(np.zeros(5)) == (0, 0)


def test_draws_that_make_no_number_are_left_out() -> None:
    ones = np.ones((5, 1))
    assert sums_ci95(ones, lambda sums: np.full(len(sums), np.nan)) is None
    found = sums_ci95(
        np.arange(6.0)[:, None], lambda sums: np.where(sums[:, 0] > 9, sums[:, 0], np.nan)
    )
    assert found is not None
    assert 9 < found[0] < found[1] <= 30


@pytest.mark.parametrize(("count", "sums"), [(3, 1), (5000, 1), (999, 40), (50, 9000)])
def test_products_of_a_few_samples_at_a_time_are_the_product(count: int, sums: int) -> None:
    rng = np.random.default_rng(count)
    weights = rng.integers(0, 6, (17, count)).astype(np.uint8)
    parts = rng.normal(size=(count, sums))
    np.testing.assert_allclose(_product(weights, parts), weights @ parts, rtol=1e-9, atol=1e-9)
