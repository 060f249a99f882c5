"""When two answers count as the same."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.models.bridge.verify import close


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_answers_that_hardly_differ_among_themselves_may_differ_by_roundings(dtype: type) -> None:
    # Shares that an untrained network of ten classes gives.
    shares = np.linspace(0.0999, 0.1001, 10, dtype=dtype)
    step = np.spacing(shares.max())
    assert close(shares, shares + step)
    assert not close(shares, shares + 3 * max(step, 1e-9))


def test_a_share_of_the_range_is_allowed() -> None:
    x = np.linspace(-1, 1, 10, dtype=np.float32)
    assert close(x, x + 1.9e-5)
    assert not close(x, x + 2.2e-5)
    assert not close(x, x[:9])
    assert close(np.zeros(3), np.zeros(3))


def test_whole_numbers_are_equal_or_not() -> None:
    assert close(np.array([5, 5]), np.array([5, 5]))
    assert not close(np.array([5, 5]), np.array([5, 6]))
