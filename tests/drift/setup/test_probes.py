"""Probes cost little, and the half that tests has no part in choosing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.drift.setup.asked import Asked
from edgekit.drift.setup.goodness import goodness_of
from edgekit.drift.setup.input_slips import input_slips
from edgekit.drift.setup.probes import Case, Probed, probe

from .conftest import CLASSES, Pictures

Array = NDArray[Any]


class Counting:
    """A model that counts what it is asked."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures, self.sizes = pictures, list[int]()

    @property
    def calls(self) -> int:
        return len(self.sizes)

    @property
    def samples(self) -> int:
        return sum(self.sizes)

    def __call__(self, inputs: dict[str, Array]) -> Array:
        self.sizes.append(len(inputs["image"]))
        return self.pictures.scores(inputs["image"])


def case(pictures: Pictures, ask: Any, x: Array, labels: Array) -> Case:
    answers = pictures.scores(x)
    goodness = goodness_of("classification", answers, labels)
    assert goodness is not None
    return Case({"image": x}, labels, answers, ask, goodness)


def test_a_good_reference_is_not_asked_again(pictures: Pictures) -> None:
    x, _ = pictures.draw(400)
    ask = Counting(pictures)
    found = probe(case(pictures, ask, x, pictures.scores(x).argmax(1)))
    assert found == Probed(0, 200, "accuracy", 1.0)
    assert ask.calls == 0


def test_half_of_the_samples_are_asked_once_a_slip_and_the_rest_once(pictures: Pictures) -> None:
    x, labels = pictures.draw(400)
    ask = Counting(pictures)
    found = probe(case(pictures, ask, np.ascontiguousarray(x[..., ::-1]), labels))
    assert found is not None
    assert found.slip == "channels_reversed"
    # All of them about the first 64, those that are not much worse there about the half; and the winner on the rest.
    slips = len(list(input_slips(x)))
    halves, rest = divmod(ask.samples - slips * 64, 200)
    assert rest == 0
    assert 2 <= halves < slips
    assert ask.calls == slips + halves
    assert found.count == 200


def test_of_labels_alone_no_model_is_asked_on_the_other_half(pictures: Pictures) -> None:
    x, labels = pictures.draw(400)
    ask = Counting(pictures)
    found = probe(case(pictures, ask, x, (labels + 1) % CLASSES))
    assert found is not None
    assert found.slip == "labels_minus_one"
    assert set(ask.sizes) <= {64, 200}
    assert ask.sizes.count(64) == len(list(input_slips(x)))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([14, 40, 400]), st.sampled_from([2, 10, 100]))
def test_labels_by_lot_name_no_slip(seed: int, count: int, classes: int) -> None:
    """Of every slip some are better on one half, by luck."""
    rng = np.random.default_rng(seed)
    answers = rng.random((count, classes))
    labels = rng.integers(0, classes, count)
    goodness = goodness_of("classification", answers, labels)
    assert goodness is not None

    def ask(inputs: dict[str, Array]) -> Array:
        return rng.random((len(inputs["x"]), classes))

    found = probe(Case({"x": rng.random((count, 6, 6, 3))}, labels, answers, ask, goodness))
    assert found is None or found.slip is None


@pytest.mark.parametrize(
    ("task", "output", "labels", "word"),
    [
        ("classification", (8, 3), np.arange(8) % 3, "accuracy"),
        ("classification", (8, 1), np.arange(8) % 2, "accuracy"),
        ("segmentation", (8, 4, 4, 3), np.zeros((8, 4, 4), int), "pixels right"),
        ("segmentation", (8, 4, 4, 1), np.zeros((8, 4, 4, 1)), "pixels right"),
        ("multi-label", (8, 5), np.ones((8, 5), int), "decisions right"),
        ("regression", (8, 5), np.ones((8, 5)) / 2, "mean absolute error"),
        ("regression", (8, 1), np.ones(8) / 2, "mean absolute error"),
        # Zeros and ones of an autoencoder's samples are no classes of its output.
        ("anomaly", (8, 5), np.arange(8) % 2, None),
        ("unlabelled", (8, 5), None, None),
    ],
)
def test_what_tells_right_from_wrong(
    task: str, output: tuple[int, ...], labels: Any, word: str | None
) -> None:
    answers = np.random.default_rng(0).random(output)
    found = goodness_of(task, answers, labels)
    assert (found and found.word) == word
    if found is not None:
        assert found.of(answers, labels).shape == (8,)


def test_masks_and_decisions_are_counted_sample_by_sample() -> None:
    rng = np.random.default_rng(0)
    masks, scores = rng.integers(0, 3, (6, 4, 5)), rng.random((6, 4, 5, 3))
    goodness = goodness_of("segmentation", scores, masks)
    assert goodness is not None
    expected = [float((s.argmax(-1) == m).mean()) for s, m in zip(scores, masks, strict=True)]
    np.testing.assert_allclose(goodness.of(scores, masks), expected)
    masks[:, :2] = 255
    expected = [float((s.argmax(-1) == m)[2:].mean()) for s, m in zip(scores, masks, strict=True)]
    np.testing.assert_allclose(goodness.of(scores, masks), expected)
    labels, shares = rng.integers(0, 2, (6, 5)), rng.random((6, 5))
    goodness = goodness_of("multi-label", shares, labels)
    assert goodness is not None
    np.testing.assert_allclose(goodness.of(shares, labels), ((shares > 0.5) == labels).mean(1))


def test_of_large_answers_some_are_looked_at(
    golden_of: Any, model: Any, pictures: Pictures
) -> None:
    golden = golden_of(pictures.draw(100)[0])
    runner = model("model.int8.tflite")
    small = Asked.of(golden, "f", runner, {"scores": golden.outputs["scores"]})
    assert len(small.at) == 100
    large = {"map": np.broadcast_to(np.arange(100)[:, None], (100, 300_000))}
    some = Asked.of(golden, "f", runner, large)
    assert len(some.at) == 32  # as few as are asked in any case
    np.testing.assert_array_equal(some.answers["map"][:, 0], some.at)
