"""A stretch of the samples whose labels belong to others, and samples that are joined, cut off or blank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgekit.drift.golden import Golden
from edgekit.drift.setup.judged import check_reference
from edgekit.samples import Samples

from .conftest import CLASSES, Pictures

GoldenOf = Callable[..., Golden]
COUNT = 400


@pytest.fixture
def sound(pictures: Pictures) -> tuple[Any, Any]:
    return pictures.draw(COUNT)


@pytest.mark.parametrize("rows", [slice(200, 400), slice(0, 120), slice(150, 260)])
def test_labels_of_others_in_one_part(golden_of: GoldenOf, sound: Any, rows: slice) -> None:
    x, labels = sound
    labels = labels.copy()
    labels[rows] = np.roll(labels[rows], 1)
    (found,) = check_reference(golden_of(x, labels))
    assert (found.kind, found.severity) == ("part", "fail")
    first, last = (int(found.sentence.split()[at]) for at in (2, 4))
    assert abs(first - rows.start) <= 20
    assert abs(last + 1 - rows.stop) <= 20


def test_a_class_that_is_known_badly_is_no_part(golden_of: GoldenOf, sound: Any) -> None:
    """Samples that are sorted by class have a stretch that is all wrong."""
    x, labels = sound
    order = np.argsort(labels, kind="stable")
    x, labels = x[order], labels[order].copy()
    x[labels < 3] = x[labels == CLASSES - 1][0]
    labels[-1] = CLASSES - 1
    assert not [f for f in check_reference(golden_of(x, labels)) if f.kind == "part"]


@pytest.mark.parametrize("seed", range(5))
def test_poor_references_have_no_part(golden_of: GoldenOf, pictures: Pictures, seed: int) -> None:
    x, labels = pictures.draw(300, 20 + seed)
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(300) < 0.5, rng.integers(0, CLASSES, 300), labels)
    assert not [f for f in check_reference(golden_of(x, labels)) if f.kind == "part"]


def test_the_first_of_sorted_samples(golden_of: GoldenOf, sound: Any) -> None:
    x, labels = sound
    order = np.argsort(labels, kind="stable")[: COUNT // 2]
    (found,) = check_reference(golden_of(x[order], labels[order]))
    assert (found.kind, found.severity) == ("few_samples", "warning")
    assert f"end with class {labels[order[-1]]} of {CLASSES}" in found.sentence
    whole = np.argsort(labels, kind="stable")
    assert check_reference(golden_of(x[whole], labels[whole])) == ()


def test_some_samples_that_were_not_prepared(golden_of: GoldenOf, sound: Any) -> None:
    x, labels = sound
    x = x.copy()
    x[::4] *= 255
    found = [f for f in check_reference(golden_of(x, labels)) if f.kind == "statistics"]
    assert "of two kinds: 100 of 400 reach from" in found[0].sentence
    # Dark ones are in the same scale.
    x[::4] /= 255 * 255
    assert not [f for f in check_reference(golden_of(x, labels)) if f.kind == "statistics"]


def test_blank_samples_are_said_to_be_that(golden_of: GoldenOf, sound: Any) -> None:
    x, labels = sound
    x = x.copy()
    x[::10] = 0
    (found,) = check_reference(golden_of(x, labels))
    assert found.kind == "repeated_samples"
    assert "40 of them hold one value throughout" in found.sentence


def test_values_of_others_in_one_part(make_runner: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(COUNT, 4)).astype(np.float32)
    wanted = (x[:, :2] + 0.1 * rng.normal(size=(COUNT, 2))).astype(np.float32)
    runner = make_runner(
        lambda x: {"y": x[:, :2]}, {"x": (None, 4)}, {"y": (None, 2)}, "model.keras"
    )

    def found(labels: Any) -> list[str]:
        golden = Golden.of(runner, Samples({"x": x}, labels), tasks="regression")
        return [finding.kind for finding in check_reference(golden)]

    assert found(wanted) == []
    wanted[250:] = np.roll(wanted[250:], 1, 0)
    assert found(wanted) == ["part"]
