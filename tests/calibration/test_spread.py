"""Spread: what channels and runs move by, and what an integer file keeps of it, against numpy's own figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.calibration.spread import spreads
from edgekit.samples import Samples


class Stacked:
    """Shows one tensor "y", shape (batch, 2, 3): large values stacked on small ones, rounded to `step`."""

    batch = 4

    def __init__(self, step: float = 0.0) -> None:
        self._step = step

    def run(
        self, inputs: dict[str, NDArray[Any]], look: Callable[[str, NDArray[Any]], None]
    ) -> None:
        look("y", self.of(inputs["x"]))

    def of(self, x: NDArray[Any]) -> NDArray[Any]:
        y = np.stack([1000 * x, x], 1)
        return np.rint(y / self._step) * self._step if self._step else y


def test_runs_tell_stacked_parts_apart_that_share_their_channels() -> None:
    x = np.random.default_rng(0).standard_normal((32, 3))
    wanted, received = Stacked().of(x), Stacked(10.0).of(x)
    channels, runs = spreads(Stacked(), Stacked(10.0), Samples({"x": x}), 0, in_runs=["y"])
    for found, axis in ((channels["y"], 2), (runs["y"], 1)):
        others = tuple({0, 1, 2} - {axis})
        assert found.variance == pytest.approx(wanted.var(others))
        assert found.error == pytest.approx(np.square(wanted - received).mean(others))
    assert channels["y"].worst > 30
    # Nothing of it is left: the error is all that it moves by.
    assert runs["y"].worst == pytest.approx(0, abs=1)


def test_runs_are_only_of_what_was_asked_for() -> None:
    x = np.random.default_rng(0).standard_normal((8, 3))
    channels, runs = spreads(Stacked(), None, Samples({"x": x}), 0)
    assert list(channels) == ["y"]
    assert not runs
