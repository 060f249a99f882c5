"""One pass over a file: what is kept of its tensors, and what the ranges say of the samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.calibration.methods import MIN_MAX, Interval, Method
from edgekit.calibration.observe import observe
from edgekit.calibration.probes import batches
from edgekit.calibration.ranges import disagreement
from edgekit.samples import Samples

Look = Callable[[str, NDArray[Any]], None]


class Doubler:
    """A file of one input `x` and one tensor that doubles it."""

    def __init__(self, batch: int = 1) -> None:
        self.batch = batch

    def run(self, inputs: dict[str, NDArray[Any]], look: Look) -> None:
        assert len(inputs["x"]) == self.batch
        look("x", inputs["x"])
        look("doubled", inputs["x"] * 2)


def normal(count: int, seed: int = 0, scale: float = 1.0) -> Samples:
    x = np.random.default_rng(seed).standard_normal((count, 50)) * scale
    return Samples({"x": x.astype(np.float32)})


@given(count=st.integers(1, 9), batch=st.integers(1, 4))
def test_extremes_are_those_of_all_samples(count: int, batch: int) -> None:
    samples = normal(count)
    x = samples.inputs["x"]
    ranges = observe(Doubler(batch), samples, MIN_MAX)
    assert ranges.chosen["x"] == (x.min(), x.max())
    assert ranges.chosen["doubled"] == (2 * x.min(), 2 * x.max())
    assert ranges.samples == count


def test_the_last_batch_is_filled_up_with_its_last_sample() -> None:
    first, second = batches(Samples({"x": np.arange(5)}), 3)
    assert first["x"].tolist() == [0, 1, 2]
    assert second["x"].tolist() == [3, 4, 4]


@pytest.mark.parametrize("method", [MIN_MAX, Method("mse")])
def test_stand_ins_for_infinity_are_no_part_of_a_range(method: Method) -> None:
    x = np.float32([[-np.inf, 1, 2], [np.nan, 3, -3.4e38], [np.inf, -np.inf, np.nan]])

    class File:
        batch = 1

        def run(self, inputs: dict[str, NDArray[Any]], look: Look) -> None:
            look("masked", x[inputs["row"][0]])

    ranges = observe(File(), Samples({"row": np.arange(3)}), method)
    lowest, highest = ranges.seen["masked"]
    assert (lowest, highest) == (1, 3)


def test_many_values_are_counted_in_part_and_all_looked_at_for_extremes() -> None:
    x = np.random.default_rng(0).random((2, 256, 1024), np.float32)
    x[1, 3, 5] = 1.5
    samples = Samples({"x": x})
    ranges = observe(Doubler(), samples, Method("percentile", 100))
    assert ranges.seen["x"] == (x.min(), 1.5)
    assert ranges.chosen["x"].lowest == pytest.approx(0, abs=0.01)


def test_too_few_samples_are_told_from_enough() -> None:
    x = np.random.default_rng(0).random((5000, 1), np.float32)
    few, many = (observe(Doubler(), Samples({"x": x[:count]}), MIN_MAX) for count in (4, 5000))
    assert few.stability is not None
    assert many.stability is not None
    assert not few.stability.enough
    assert many.stability.enough
    assert many.warnings == []
    (warning,) = few.warnings
    assert "4 calibration samples are not enough" in warning
    name, share = few.stability.worst[0]
    assert name in warning
    assert few.stability.disagreement <= share
    assert few.to_json()["split_half"]["enough"] is False


def test_the_halves_are_drawn_not_taken_in_order() -> None:
    """Sorted samples, as class after class: the first half never sees what the second holds."""
    samples = Samples({"x": np.linspace(-1, 1, 400, dtype=np.float32)[:, None]})
    stability = observe(Doubler(), samples, MIN_MAX).stability
    assert stability is not None
    assert stability.enough


def test_one_sample_has_no_halves_and_is_too_few() -> None:
    ranges = observe(Doubler(), normal(1), MIN_MAX)
    assert ranges.stability is None
    (warning,) = ranges.warnings
    assert "1 calibration sample does not tell" in warning
    assert "split_half" not in ranges.to_json()


def test_sixteen_bits_cut_nothing_off() -> None:
    ranges = observe(Doubler(), normal(200), Method("percentile", 90))
    assert ranges.of("int16x8")["x"] == ranges.seen["x"]
    assert ranges.of("int8")["x"].width < ranges.seen["x"].width


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [((0, 1), (0, 1), 0), ((0, 1), (0, 2), 0.5), ((-1, 0), (1, 2), 1), ((3, 3), (3, 3), 0)],
)
def test_disagreement_is_the_share_that_one_alone_knows(a: Any, b: Any, share: float) -> None:
    assert disagreement(Interval(*a), Interval(*b)) == share
    assert disagreement(Interval(*b), Interval(*a)) == share


@pytest.mark.parametrize(
    ("scale", "alike"), [(1.0, True), (255.0, False), (1 / 255, False)], ids=str
)
def test_other_samples_are_told_by_their_scale(scale: float, alike: bool) -> None:
    other = normal(300, seed=1, scale=scale)
    ranges = observe(Doubler(), normal(500), MIN_MAX, validation=other)
    found = ranges.resemblance
    assert found is not None
    assert found.alike is alike
    assert ranges.to_json()["validation"]["alike"] is alike
    assert any("do not look like" in line for line in ranges.warnings) is not alike
    if scale > 1:
        assert found.outside > 0.9
        assert found.worst[1] > 0.9
    if scale < 1:
        assert found.outside == 0
        assert found.used < 0.01
