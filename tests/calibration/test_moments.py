"""Second moments of rows, whole and in parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.calibration import moments as module
from edgekit.calibration.moments import means, moments, multiplied, products

RNG = np.random.default_rng(0)


def test_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = RNG.normal(size=(2, 500, 5)).astype(np.float32) + np.float32(2)
    (centred,), (second,) = moments(rows, rows.mean(1)), moments(rows, np.zeros((2, 5), "f"))
    for group in range(2):
        np.testing.assert_allclose(centred[group], np.cov(rows[group].T, bias=True), atol=3e-3)
    np.testing.assert_allclose(second[0], rows[0].T @ rows[0] / 500, rtol=1e-2)
    monkeypatch.setattr(module, "TOGETHER", 2)
    parts = moments(rows, rows.mean(1))
    assert [part.shape for part in parts] == [(2, 2, 2), (2, 2, 2), (2, 1, 1)]
    (nothing,) = moments(np.zeros((1, 3, 2), np.float32), np.zeros((1, 2), "f"))
    assert (np.einsum("gkk->gk", nothing) > 0).all()


@given(st.integers(1, 3000), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_products_of_integers_do_not_hang_on_the_order_of_rows(
    count: int, groups: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-255, 256, (groups, count, 5)).astype(np.float32)
    made = products(rows, rows, whole=True)
    np.testing.assert_array_equal(made, products(rows[:, ::-1], rows[:, ::-1], whole=True))
    np.testing.assert_array_equal(made, products(rows, rows.copy(), whole=True))
    np.testing.assert_array_equal(made, products(rows, rows))


@given(st.integers(1, 300), st.sampled_from([1, 255, 32767, 2.0**23]), st.integers(0, 2**32 - 1))
def test_what_is_known_to_be_whole_is_the_same_to_the_bit(
    count: int, largest: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-largest, largest, (2, count, 5), endpoint=True).astype(np.float32)
    weights = rng.integers(-127, 128, (2, 5, 3)).astype(np.float64)
    np.testing.assert_array_equal(means(rows, whole=True), rows.mean(1, dtype=np.float64))
    exact = rows.astype(np.float64) @ weights
    np.testing.assert_array_equal(multiplied(rows, weights, whole=True), exact)
    np.testing.assert_array_equal(multiplied(rows, weights, whole=False), exact)
