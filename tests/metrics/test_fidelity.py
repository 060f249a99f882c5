from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.metrics import fidelity

VALUES = st.floats(-1e4, 1e4, width=32)
OUTPUTS = hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3), elements=VALUES)
LOGITS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 4), st.integers(2, 6)), elements=st.floats(-30, 30)
)


def spread(count: int = 64, channels: int = 4) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, channels)).astype(np.float32)


@given(OUTPUTS)
def test_what_is_equal_has_no_noise_and_no_dead_channel(x: np.ndarray) -> None:
    assert not fidelity.channel_noise(x, x).any()
    assert fidelity.ratio_db(fidelity.channel_noise(x, x)) == float("inf")
    constant = np.ptp(fidelity.by_channel(x), axis=0) == 0
    assert set(fidelity.dead_channels(x, x)) <= set(np.flatnonzero(constant))


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3), (5, 2, 3), (5, 2, 4, 3)])
def test_channels_are_those_of_the_last_axis(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    flat = fidelity.by_channel(x)
    assert flat.shape[1] == (shape[-1] if len(shape) > 1 else 1)
    assert np.array_equal(flat[:, 0], x[..., 0].ravel() if len(shape) > 1 else x)


def test_noise_is_held_against_the_spread_of_its_own_channel() -> None:
    reference = spread() * np.float32([1e4, 1, 1e-3, 1])
    noise = reference.std(0) / 10 * np.where(np.arange(64) % 2, 1, -1)[:, None]
    found = fidelity.channel_noise(reference, reference + noise)
    assert found == pytest.approx([0.01] * 4, rel=1e-3)
    assert fidelity.ratio_db(found) == pytest.approx(20, abs=0.01)


def test_noise_of_less_than_a_step_is_held_against_the_step() -> None:
    reference = spread(channels=1) * np.float32(0.01)
    found = fidelity.channel_noise(reference, np.round(reference), step=1.0)
    assert found[0] < 2e-4
    assert not len(fidelity.dead_channels(reference, np.round(reference), step=1.0))


def test_a_constant_channel_has_a_tenth_of_its_size_for_a_spread() -> None:
    reference = np.full((10, 1), 50.0)
    assert fidelity.channel_noise(reference, reference + 0.5)[0] == pytest.approx(0.01)
    assert fidelity.channel_noise(np.zeros((3, 1)), np.ones((3, 1)))[0] == np.inf


def test_a_lost_channel_counts_once_however_large_its_noise() -> None:
    assert fidelity.ratio_db(np.array([np.inf, 0, 0, 0])) == pytest.approx(10 * np.log10(4))
    assert fidelity.ratio_db(np.array([1e12])) == 0


@pytest.mark.parametrize("value", [0.25, np.nan, np.inf])
def test_a_channel_is_dead_if_it_moves_in_the_model_alone(value: float) -> None:
    reference = spread()
    found = reference.copy()
    found[:, 2] = value
    assert list(fidelity.dead_channels(reference, found)) == [2]
    assert list(fidelity.dead_channels(reference, found, step=0.1)) == [2]


def test_one_value_that_is_not_finite_is_enough() -> None:
    found = spread()
    found[3, 1] = np.nan
    assert list(fidelity.dead_channels(spread(), found)) == [1]


def test_what_is_not_finite_in_the_model_either_is_alive() -> None:
    both = spread()
    both[3, 1] = np.inf
    assert not len(fidelity.dead_channels(both, both))


def test_four_steps_tell_nothing() -> None:
    reference = np.linspace(0, 4, 9)[:, None]
    constant = np.zeros_like(reference)
    assert not len(fidelity.dead_channels(reference, constant, step=1.0))
    assert list(fidelity.dead_channels(reference, constant, step=0.99)) == [0]


@given(LOGITS)
def test_a_softmax_tells_its_logits(logits: np.ndarray) -> None:
    exp = np.exp(logits - logits.max(-1, keepdims=True))
    found = fidelity.softmax_logits(exp / exp.sum(-1, keepdims=True))
    assert found == pytest.approx(fidelity.centred_logits(logits), abs=1e-6)
    assert found.sum(-1) == pytest.approx(0, abs=1e-6)


def test_a_probability_of_zero_is_a_finite_logit() -> None:
    found = fidelity.softmax_logits(np.float32([[1, 0, 0]]))
    assert np.isfinite(found).all()
    assert np.isfinite(fidelity.sigmoid_logits(np.float32([0, 1]))).all()


@given(hnp.arrays(np.float64, 5, elements=st.floats(-14, 14)))
def test_a_sigmoid_tells_its_logits(logits: np.ndarray) -> None:
    assert fidelity.sigmoid_logits(1 / (1 + np.exp(-logits))) == pytest.approx(logits, abs=1e-6)


def test_decisions_are_the_largest_and_what_is_above_one_half() -> None:
    outputs = np.float32([[0.2, 0.8], [0.6, 0.4]])
    assert fidelity.decisions(outputs, "softmax").tolist() == [1, 0]
    assert fidelity.decisions(outputs, "sigmoid").tolist() == [[False, True], [True, False]]
    assert fidelity.kept_share(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75


def test_a_small_channel_is_lost_whatever_the_step() -> None:
    reference = spread(channels=3) * np.float32([1e3, 1, 1])
    reference[:, 2] = 7
    found = np.round(reference / 10) * 10
    # A constant moves by nothing, so nothing of it can be lost.
    assert fidelity.lost_channels(reference, found, 5.0).tolist() == [1]
    assert not fidelity.lost_channels(reference, reference, 5.0).size
    at_ten_db = reference + reference.std(0) * np.float32(0.1**0.5) * np.where(
        np.arange(64) % 2, 1, -1
    )[:, None].astype(np.float32)
    assert not fidelity.lost_channels(reference, at_ten_db, 9.9).size
    assert fidelity.lost_channels(reference, at_ten_db, 10.1).tolist() == [0, 1]
