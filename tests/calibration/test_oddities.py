"""Calibration samples that cannot be right are said to be so, without labels."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.calibration.oddities import oddities
from edgekit.samples import Samples

RNG = np.random.default_rng(0)
GOOD = RNG.normal(size=(100, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros((100, 4), np.float32), "'x' are all zeros"),
        (np.full((100, 4), 0.5, np.float32), "'x' are all 0.5, one value"),
        (np.repeat(GOOD[:1], 100, 0), "'x' are one sample 100 times"),
        (np.full((100, 4), 7, np.int32), "'x' are all 7, one value"),
    ],
)
def test_what_cannot_be_right_is_said(x: np.ndarray, says: str) -> None:
    (line,) = oddities(Samples({"x": x}))
    assert says in line


def test_other_samples_are_not_odd() -> None:
    assert oddities(Samples({"x": GOOD})) == ()
    late = np.repeat(GOOD[:1], 100, 0)
    late[-1] += 1
    assert oddities(Samples({"x": late})) == ()
    # Of so few it is said that they are few.
    assert oddities(Samples({"x": np.zeros((2, 4), np.float32)})) == ()
    assert oddities(Samples({"x": np.array(["a"] * 9)[:, None]})) == ()
