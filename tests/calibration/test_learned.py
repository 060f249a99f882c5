from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.calibration.learned import RUNS, Learned, Mark, find_learned, moments
from edgekit.calibration.methods import Interval
from edgekit.samples import Samples

SAMPLES = Samples({"x": np.arange(10, dtype=np.float32)})


class Probe:
    """Shows the same tensors in each run, times the run's number."""

    batch = 1

    def __init__(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.tensors = tensors
        self.runs = 0

    def run(self, _: dict[str, NDArray[Any]], look: Callable[[str, NDArray[Any]], None]) -> None:
        self.runs += 1
        for name, values in self.tensors.items():
            look(name, values * np.float32(self.runs))


def mark(values: NDArray[Any]) -> Mark:
    return Mark(values.size, tuple(moments(values * np.float32(i + 1)) for i in range(RUNS)))


seeds = st.integers(0, 2**32 - 1)
shapes = st.sampled_from([(4,), (2, 3), (1, 5, 4), (1, 2, 3, 4)])


@given(seeds, shapes)
def test_a_tensor_is_known_in_whatever_order_its_values_stand(
    seed: int, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    here = rng.normal(size=shape).astype(np.float32)
    # Another layout, and sums in another order.
    there = rng.permutation(here.reshape(-1)) * np.float32(1 + 1e-6)
    other = here + np.float32(0.5)
    probe = Probe({"moved": there, "other": other, "part": here.reshape(-1)[1:]})
    learned = Learned((mark(here),), (Interval(-1.0, 2.0),))
    assert find_learned(learned, probe, SAMPLES) == {"moved": Interval(-1.0, 2.0)}
    assert probe.runs == RUNS


def test_of_equal_tensors_the_range_that_cuts_most_is_taken() -> None:
    values = np.linspace(0, 6, 8, dtype=np.float32)
    learned = Learned((mark(values), mark(values)), (Interval(0.0, 8.0), Interval(0.0, 5.0)))
    assert find_learned(learned, Probe({"both": values}), SAMPLES) == {"both": Interval(0.0, 5.0)}
