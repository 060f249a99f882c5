"""Which task each output has: asked for, by labels of its own, or where it is plain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.drift.tasks.choice import choose
from edgekit.errors import EdgekitError, SamplesError, TensorError, UsageError
from edgekit.samples import Samples
from edgekit.tasks import CHOICES, parse_tasks

X = np.zeros((6, 8), np.float32)
RNG = np.random.default_rng(1)
OUTPUTS = {
    "scores": RNG.random((6, 3)),
    "mask": RNG.random((6, 4, 4, 2)),
    "vector": RNG.random((6, 16)),
    "steps": RNG.random((6, 5, 7)),
}
CLASSES = np.array([0, 1, 2, 0, 1, 2])


def chosen(
    asked: dict[str, str],
    labels: Any = None,
    own: dict[str, Any] | None = None,
    outputs: dict[str, Any] = OUTPUTS,
) -> list[tuple[str, str | None]]:
    found = choose(Samples({"x": X}, labels, output_labels=own or {}), outputs, asked)
    return [(each.kind, each.output) for each in found]


def test_every_output_has_the_task_that_was_asked_for() -> None:
    asked = {
        "scores": "classification",
        "mask": "segmentation",
        "vector": "embedding",
        "steps": "sequence",
    }
    own = {"scores": CLASSES, "mask": np.zeros((6, 4, 4), int)}
    assert chosen(asked, own=own) == [(kind, name) for name, kind in asked.items()]


def test_labels_of_an_output_make_its_task() -> None:
    own = {"mask": np.ones((6, 4, 4), int), "vector": RNG.random((6, 16))}
    assert chosen({}, own=own) == [("segmentation", "mask"), ("regression", "vector")]
    both = chosen({}, labels=CLASSES, own=own)
    assert both[2:] == [("classification", "scores")]


def test_a_task_alone_goes_to_the_first_output_that_it_fits() -> None:
    assert chosen({"": "segmentation"}) == [("segmentation", "mask")]
    assert chosen({"": "ctc"}) == [("ctc", "steps")]
    assert chosen({"": "none"}, labels=CLASSES) == [("unlabelled", None)]
    assert chosen({"": "classification"}) == [("unlabelled", "scores")]
    assert chosen({"scores": "none"}, labels=CLASSES) == [("classification", "vector")]


def test_labels_take_the_form_of_the_task() -> None:
    samples = Samples({"x": X}, CLASSES)
    (found,) = choose(samples, {"scores": OUTPUTS["scores"]}, {"": "multi-label"})
    np.testing.assert_array_equal(found.labels, np.eye(3)[CLASSES])
    hot = np.eye(2)[RNG.integers(0, 2, (6, 4, 4))]
    (found,) = choose(Samples({"x": X}, hot), {"mask": OUTPUTS["mask"]}, {"": "segmentation"})
    np.testing.assert_array_equal(found.labels, hot.argmax(-1))
    whole = CLASSES.astype(np.float32)[:, None]
    (found,) = choose(Samples({"x": X}, whole), {"s": OUTPUTS["scores"]}, {"": "classification"})
    assert found.labels is not None
    assert found.labels.dtype.kind == "i"
    (found,) = choose(samples, {"v": RNG.random((6, 1))}, {"v": "regression"})
    assert found.labels is not None
    assert found.labels.dtype == np.float64


@pytest.mark.parametrize(
    ("asked", "labels", "error", "words"),
    [
        ({"": "segmentatoin"}, None, UsageError, "segmentation"),
        ({"score": "classification"}, None, UsageError, "'scores'"),
        ({"scores": "segmentation"}, None, TensorError, "height, width, classes"),
        ({"": "regression"}, None, SamplesError, "have no labels"),
        ({"vector": "regression"}, CLASSES, SamplesError, "in the shape of the output"),
        ({"mask": "segmentation"}, CLASSES, SamplesError, "a class for each place"),
        ({"steps": "sequence"}, RNG.random((6, 3)), SamplesError, "token numbers"),
        ({"scores": "detection"}, CLASSES, SamplesError, "left, top, right, bottom"),
        ({"": "anomaly"}, CLASSES, SamplesError, "0 and 1"),
    ],
)
def test_what_cannot_be_is_refused(
    asked: dict[str, str], labels: Any, error: type[EdgekitError], words: str
) -> None:
    with pytest.raises(error) as caught:
        chosen(asked, labels)
    assert words in str(caught.value)


def test_labels_of_no_output_are_refused() -> None:
    with pytest.raises(SamplesError, match=r"no output 'masks'.*'mask'"):
        chosen({}, own={"masks": CLASSES})


def test_tasks_as_text() -> None:
    assert parse_tasks(["segmentation"]) == {"": "segmentation"}
    assert parse_tasks(["a=b=ctc", "x=none"]) == {"a=b": "ctc", "x": "none"}
    assert parse_tasks([f"o={CHOICES[0]}"] * 2) == {"o": CHOICES[0]}
    with pytest.raises(UsageError, match="expected one"):
        parse_tasks(["ctc", "sequence"])
    with pytest.raises(UsageError, match="expected one of"):
        parse_tasks(["="])
