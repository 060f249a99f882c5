from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.convert.one_grid import _on_one_grid, _stays_small

scales = st.floats(1e-6, 1e6)


@given(st.lists(st.integers(-127, 127), min_size=1, max_size=50), scales)
def test_integers_times_a_scale_are_on_one_grid(steps: list[int], scale: float) -> None:
    weights = np.array([*steps, 127], np.float32) * np.float32(scale)
    assert _on_one_grid(weights)


def test_other_weights_are_not() -> None:
    rng = np.random.default_rng(0)
    assert not _on_one_grid(rng.normal(size=64).astype(np.float32))
    assert not _on_one_grid(np.zeros(4, np.float32))
    assert not _on_one_grid(np.array([1.0, np.inf], np.float32))
    assert not _on_one_grid(np.zeros(0, np.float32))


def test_a_pruned_kernel_takes_one_scale_while_each_channel_keeps_four_bits() -> None:
    weights = np.random.default_rng(0).normal(size=(8, 1, 1, 64)).astype(np.float32)
    assert not _stays_small(weights, 0)
    weights[..., :32] = 0
    assert _stays_small(weights, 0)
    # No weights, nothing to lose.
    weights[3] = 0
    assert _stays_small(weights, 0)
    weights[5] /= 100
    assert not _stays_small(weights, 0)
    assert not _stays_small(np.zeros((8, 4), np.float32), 0)


def test_channels_of_a_depthwise_kernel_come_last() -> None:
    weights = np.random.default_rng(0).normal(size=(1, 3, 3, 8)).astype(np.float32)
    weights[:, :, :2] = 0
    assert _stays_small(weights, 3)
    weights[..., 5] /= 100
    assert not _stays_small(weights, 3)
