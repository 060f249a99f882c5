"""Rounding under second moments: never worse than nearest, the best of few, pairs within their bound."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.calibration.descent import best_of_all, descend, error_of, least_error
from edgekit.formats.onnx_pairs import excess

SEEDS = st.integers(0, 2**32 - 1)


def moments(rng: np.random.Generator, count: int, groups: int = 1) -> Any:
    """Of rows that are correlated, as neighbouring channels are."""
    rows = rng.normal(size=(groups, 60, count // 2 + 1)) @ rng.normal(size=(count // 2 + 1, count))
    rows += 0.3 * rng.normal(size=rows.shape)
    return np.swapaxes(rows, 1, 2) @ rows / 60


def nearest(steps: Any, largest: int = 127) -> Any:
    return np.clip(np.rint(steps), -largest, largest)


@given(st.integers(1, 40), st.integers(1, 3), st.sampled_from([7, 127]), SEEDS)
def test_never_worse_than_nearest(count: int, groups: int, largest: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.uniform(-1.1 * largest, 1.1 * largest, (groups, count, 4))
    known = [moments(rng, count, groups)]
    made = least_error(steps, known, largest=largest)
    assert np.abs(made).max() <= largest
    np.testing.assert_array_equal(made, np.rint(made))
    before, after = error_of(nearest(steps, largest), steps, known), error_of(made, steps, known)
    assert (after <= before * (1 + 1e-9) + 1e-9).all()


def test_much_better_where_inputs_are_alike() -> None:
    rng = np.random.default_rng(0)
    steps, known = rng.uniform(-60, 60, (1, 64, 32)), [moments(rng, 64)]
    made = least_error(steps, known)
    assert error_of(made, steps, known).sum() < 0.4 * error_of(nearest(steps), steps, known).sum()


@given(st.integers(1, 9), st.integers(1, 3), SEEDS)
def test_the_best_of_all_ways(count: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps, known = rng.uniform(-9, 9, (groups, count, 2)), moments(rng, count, groups)
    made = best_of_all(steps, known)
    assert ((made == np.floor(steps)) | (made == np.ceil(steps))).all()
    least = np.full((groups, 2), np.inf)
    for way in product((np.floor, np.ceil), repeat=count):
        tried = np.stack([rounded(steps[:, k]) for k, rounded in enumerate(way)], 1)
        least = np.minimum(least, error_of(tried, steps, [known]))
    np.testing.assert_allclose(error_of(made, steps, [known]), least, rtol=1e-9, atol=1e-9)


@given(st.integers(2, 30), SEEDS)
def test_pairs_stay_within_their_bound(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps, known = rng.uniform(-40, 127, (2, count, 5)), [moments(rng, count, 2)]
    made = least_error(steps, known, pairs=True)
    assert not excess(made).any()
    assert np.abs(made).max() <= 127


@pytest.mark.parametrize("count", [9, 30])
@pytest.mark.parametrize("pairs", [False, True])
def test_zeros_stay(count: int, pairs: bool) -> None:
    rng = np.random.default_rng(1)
    steps = rng.uniform(-60, 60, (2, count, 7)) * (rng.random((2, count, 7)) < 0.5)
    made = least_error(steps, [moments(rng, count, 2)], pairs=pairs)
    assert (made[steps == 0] == 0).all()


def test_moments_in_parts() -> None:
    rng = np.random.default_rng(2)
    steps, known = rng.uniform(-60, 60, (1, 50, 4)), moments(rng, 50)
    parts = [known[:, :20, :20], known[:, 20:, 20:]]
    made, alone = least_error(steps, parts), nearest(steps)
    descend(alone[:, :20], steps[:, :20], parts[:1])
    np.testing.assert_array_equal(made[:, :20], alone[:, :20])
