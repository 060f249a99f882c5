from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.calibration.rounding import are_shared, balanced

shapes = st.one_of(
    st.tuples(st.integers(1, 6), st.integers(1, 40)),
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.integers(1, 8)),
)


def errors(steps: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sums of rounding errors, of each kernel and of each output channel."""
    error = balanced(steps) - steps
    spatial = error.sum((1, 2)) if error.ndim == 4 else error
    return spatial, spatial.sum(-1)


@given(shapes, st.integers(0, 2**32 - 1))
def test_errors_cancel_each_other(shape: tuple[int, ...], seed: int) -> None:
    steps = np.random.default_rng(seed).uniform(-127, 127, shape)
    made = balanced(steps)
    assert made.shape == steps.shape
    assert (made == np.rint(made)).all()
    # The next integer on one side or on the other.
    assert np.abs(made - steps).max() < 1
    kernels, channels = errors(steps)
    assert np.abs(kernels).max() <= 1 + 1e-9
    if len(steps) > 1:
        assert np.abs(channels).max() <= 0.5 + 1e-9


@given(shapes, st.integers(0, 2**32 - 1))
def test_exact_integers_stay(shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random(shape) < 0.5, 0.0, rng.uniform(-127, 127, shape))
    assert (balanced(steps)[steps == 0] == 0).all()
    whole = np.rint(steps)
    assert (balanced(whole) == whole).all()


def test_what_a_channel_adds_to_a_bright_image_is_small() -> None:
    steps = np.random.default_rng(0).uniform(-100, 100, (16, 3, 3, 8))
    plain = np.abs((np.rint(steps) - steps).sum((1, 2, 3))).mean()
    assert np.abs(errors(steps)[1]).mean() < plain / 5
    depthwise = np.random.default_rng(0).uniform(-100, 100, (1, 3, 3, 64))
    assert np.abs(errors(depthwise)[0]).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("count", "shared"), [(16, True), (4000, False)])
def test_shared_weights_are_told_whatever_is_zero(count: int, shared: bool) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=count)[rng.integers(0, count, 2000)]
    weights[rng.random(2000) < 0.8] = 0
    assert are_shared(weights) is shared
