from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.convert.one_grid import _on_one_grid

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
