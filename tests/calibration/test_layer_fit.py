"""The fit of a layer makes up for what its inputs have lost, and keeps what held-out rows ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgekit.calibration.layer_fit import (
    BEHIND_CLIP,
    COMPENSATION,
    ROUNDING,
    Fitted,
    Sums,
    fit_layer,
)

STEP = 0.05
HELD = 400


def layer(groups: int = 1, count: int = 16, outputs: int = 8, seed: int = 0) -> Sums:
    weights = np.random.default_rng(seed).normal(size=(groups, count, outputs))
    scales = (np.abs(weights).max(1, keepdims=True) / 127).astype(np.float32)
    return Sums(weights, np.rint(weights / scales), scales, STEP)


def rows(sums: Sums, seed: int = 1, coarse: bool = True) -> tuple[Any, Any]:
    """What a layer is given in integers, and its sums with what was not rounded."""
    groups, count, _ = sums.weights.shape
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(groups, 2000, count)) @ rng.normal(size=(count, count)) / 2
    exact = np.maximum(mixed + 0.5, 0)
    given = np.rint(exact / STEP)
    if coarse:  # What earlier layers have lost hangs on what they give.
        given = np.rint(given * np.linspace(0.9, 1.1, count))
    return given.astype(np.float32), (exact @ sums.weights).astype(np.float32)


def off(sums: Sums, fitted: Fitted, given: Any, wanted: Any) -> Any:
    made = given @ fitted.integers * STEP * fitted.scales + fitted.bias[:, None]
    return np.clip(made, *sums.clip) - np.clip(wanted, *sums.clip)


@pytest.mark.parametrize("groups", [1, 3])
def test_sums_follow_better(groups: int) -> None:
    sums = layer(groups)
    given, wanted = rows(sums)
    fitted = fit_layer(sums, given, wanted, HELD)
    assert fitted.kept == (ROUNDING, COMPENSATION)
    assert fitted.error < 0.5 * fitted.before
    assert np.abs(fitted.integers).max() <= 127
    # The bias takes what is the same for every row.
    assert np.abs(off(sums, fitted, given[:, :-HELD], wanted[:, :-HELD]).mean(1)).max() < 1e-4
    error = np.mean(off(sums, fitted, given[:, -HELD:], wanted[:, -HELD:]) ** 2)
    assert error == pytest.approx(fitted.error)


def test_nothing_is_compensated_where_rows_are_few() -> None:
    sums = layer()
    given, wanted = rows(sums)
    few = fit_layer(sums, given[:, :150], wanted[:, :150], 30)
    assert COMPENSATION not in few.kept
    assert COMPENSATION not in fit_layer(sums, given, wanted, 0).kept


def test_a_clip_is_matched_behind_it() -> None:
    sums = replace(layer(outputs=32), clip=(0.0, 6.0), fixed=True)
    given, wanted = rows(sums)
    wanted -= wanted.mean(1, keepdims=True) + 1
    fitted = fit_layer(sums, given, wanted, HELD)
    assert fitted.kept == (BEHIND_CLIP,)
    np.testing.assert_array_equal(fitted.integers, sums.integers)
    assert np.abs(off(sums, fitted, given[:, :-HELD], wanted[:, :-HELD]).mean(1)).max() < 1e-3


def test_scales_that_are_bound_stay() -> None:
    sums = replace(layer(), bound=True)
    sums = replace(sums, scales=np.full_like(sums.scales, sums.scales.max()))
    fitted = fit_layer(sums, *rows(sums), HELD)
    np.testing.assert_array_equal(fitted.scales, sums.scales)
    assert ROUNDING in fitted.kept


def test_without_a_bias_none_is_wanted() -> None:
    sums = replace(layer(), biased=False)
    fitted = fit_layer(sums, *rows(sums, coarse=False), HELD)
    assert not fitted.bias.any()
    assert fitted.error < fitted.before


def test_zeros_of_pruned_weights_stay() -> None:
    sums = layer()
    kept = np.random.default_rng(3).random(sums.weights.shape) < 0.5
    sums = replace(sums, weights=sums.weights * kept, integers=sums.integers * kept)
    fitted = fit_layer(sums, *rows(sums), HELD)
    assert (fitted.integers[~kept] == 0).all()
    assert ROUNDING in fitted.kept


def test_a_bias_that_int32_cannot_hold_widens_the_scale() -> None:
    sums = layer()
    weights = sums.weights.copy()
    weights[..., 0] = 1e-12
    sums = replace(sums, weights=weights, integers=np.ones_like(weights))
    given, wanted = rows(sums)
    wanted[..., 0] = 3.0
    fitted = fit_layer(sums, given, wanted, HELD)
    assert (np.abs(fitted.bias[0]) / (STEP * fitted.scales[0, 0]) <= 2**30 * 1.001).all()


def test_scales_of_few_digits_and_pairs() -> None:
    sums = replace(layer(), digits=8, pairs=True, factors=(1.0, 1.35, 1.98))
    fitted = fit_layer(sums, *rows(sums), HELD)
    mantissas = np.frexp(fitted.scales)[0] * 256
    np.testing.assert_array_equal(mantissas, np.rint(mantissas))
    pairs = fitted.integers[:, ::2] + fitted.integers[:, 1::2]
    assert np.abs(pairs).max() <= 128


def test_the_same_twice() -> None:
    sums = layer()
    given, wanted = rows(sums)
    first, again = fit_layer(sums, given, wanted, HELD), fit_layer(sums, given, wanted, HELD)
    np.testing.assert_array_equal(first.integers, again.integers)
    np.testing.assert_array_equal(first.bias, again.bias)
