"""What means of sums are short of, from probes of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgekit.calibration.bias_correction import mean_errors
from edgekit.samples import Samples

VALUES = st.floats(-30, 30, width=32)


class Shifted:
    """Computes x + shift, shape (1, n)."""

    batch = 1

    def __init__(self, shift: Any) -> None:
        self.shift = shift

    def run(self, inputs: Any, look: Any) -> None:
        look("y", inputs["x"] + self.shift)


@given(arrays(np.float32, (7, 3), elements=VALUES), arrays(np.float32, 3, elements=VALUES))
@pytest.mark.parametrize("answer", ["", "softmax", "sigmoid"])
def test_what_is_the_same_for_every_sample_is_found(answer: str, x: Any, shift: Any) -> None:
    short = mean_errors(Shifted(0), Shifted(shift), {"y": answer}, Samples({"x": x}), 0)["y"]
    np.testing.assert_allclose(short, shift, atol=1e-4)


@pytest.mark.parametrize("answer", ["", "softmax", "sigmoid"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_give_no_number_do_not_count(answer: str, value: float) -> None:
    class Broken(Shifted):
        def run(self, inputs: Any, look: Any) -> None:
            look("y", np.where(inputs["x"] == 5, value, inputs["x"]))

    x = np.ones((4, 2), np.float32)
    x[1, 0] = 5
    short = mean_errors(Shifted(2), Broken(0), {"y": answer}, Samples({"x": x}), 0)["y"]
    np.testing.assert_allclose(short, -2)
    short = mean_errors(Shifted(2), Broken(0), {"y": answer}, Samples({"x": x[1:2]}), 0)["y"]
    np.testing.assert_array_equal(short, 0)


def test_certain_answers_count_as_one_half_at_most() -> None:
    x = np.array([[0, 0], [90, 0], [90, 0], [90, 0]], np.float32)

    class Uneven(Shifted):
        def run(self, inputs: Any, look: Any) -> None:
            look("y", inputs["x"] + (self.shift if inputs["x"][0, 0] else 0))

    short = mean_errors(Shifted(0), Uneven(4), {"y": "softmax"}, Samples({"x": x}), 0)["y"]
    np.testing.assert_allclose(short, (3 + 0) / 2, atol=1e-6)
