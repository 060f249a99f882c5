"""Each kind of task against an independent count, in plain loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.drift.answers import Answers
from edgekit.drift.figure import Figure
from edgekit.drift.tasks.figures import task_figures
from edgekit.drift.tasks.kinds import is_anomaly, is_multi_label, is_segmentation
from edgekit.errors import TensorError
from edgekit.metrics.ranking import auc_of
from edgekit.samples import Samples
from edgekit.tasks import ANOMALY, MULTI_LABEL, REGRESSION, SEGMENTATION

RNG = np.random.default_rng(11)


def figures(
    task: str, reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any], x: Any = None
) -> dict[tuple[str, str], Figure]:
    samples = Samples({"x": np.zeros((len(labels), 1)) if x is None else x}, labels)
    asked = Answers(samples, {"out": reference}, task, "out")
    return {(f.name, f.group): f for f in task_figures(asked, candidate)}


def inside(figure: Figure) -> None:
    assert figure.value is not None
    assert figure.ci95 is not None
    assert figure.ci95[0] <= figure.value <= figure.ci95[1]


def test_segmentation_is_counted_place_by_place() -> None:
    true = RNG.integers(0, 3, (20, 6, 5))
    true[0, 0, :2] = 255
    scores = np.eye(4)[np.where(true == 255, 0, true)] + RNG.normal(0, 0.5, (20, 6, 5, 4))
    worse = scores + RNG.normal(0, 0.5, scores.shape)
    found = figures(SEGMENTATION, scores, worse, true)

    def counted(answers: NDArray[Any]) -> tuple[float, list[float | None]]:
        right = seen = 0
        both, either = [0] * 4, [0] * 4
        for place in np.ndindex(*true.shape):
            if (label := int(true[place])) == 255:
                continue
            guess = max(range(4), key=lambda k: answers[place][k])
            seen += 1
            right += guess == label
            for k in range(4):
                both[k] += guess == k and label == k
                either[k] += guess == k or label == k
        return right / seen, [b / e if e else None for b, e in zip(both, either, strict=True)]

    (first, before), (second, after) = counted(scores), counted(worse)
    assert found["pixel_accuracy", ""].value == pytest.approx(second)
    assert found["pixel_accuracy_drop", ""].value == pytest.approx(first - second)
    means = [np.mean([x for x in each if x is not None]) for each in (before, after)]
    assert found["miou", ""].reference == pytest.approx(means[0])
    assert found["miou", ""].value == pytest.approx(means[1])
    assert found["miou_drop", ""].value == pytest.approx(means[0] - means[1])
    for k in range(3):
        assert found["iou", f"class={k}"].value == pytest.approx(after[k])
    same = np.mean(scores.argmax(-1) == worse.argmax(-1))
    assert found["agreement", ""].value == pytest.approx(same)
    for figure in found.values():
        inside(figure)


def test_a_single_score_a_place_is_a_class_of_two() -> None:
    true = RNG.integers(0, 2, (9, 4, 4, 1)).astype(np.float32)
    answers = np.clip(true * 0.6 + 0.2, 0, 1)
    assert is_segmentation(true, answers)
    found = figures(SEGMENTATION, answers, answers * 0.5, true)
    assert found["miou", ""].reference == 1
    # Below one half everywhere: of no place class 1.
    zeros = np.count_nonzero(true == 0) / true.size
    assert found["miou", ""].value == pytest.approx(zeros / 2)


def test_several_labels_are_counted_class_by_class() -> None:
    true = (RNG.random((80, 5)) < 0.3).astype(int)
    scores = 1 / (1 + np.exp(-(3 * true - 1.5 + RNG.normal(0, 1, true.shape))))
    worse = np.clip(scores + RNG.normal(0, 0.2, true.shape), 0, 1)
    found = figures(MULTI_LABEL, scores, worse, true)

    def f1(answers: NDArray[Any]) -> float:
        each = []
        for k in range(5):
            tp = sum(a[k] > 0.5 and t[k] == 1 for a, t in zip(answers, true, strict=True))
            off = sum((a[k] > 0.5) != (t[k] == 1) for a, t in zip(answers, true, strict=True))
            each.append(2 * tp / (2 * tp + off))
        return float(np.mean(each))

    def auc(answers: NDArray[Any]) -> float:
        each = []
        for k in range(5):
            high = [a[k] for a, t in zip(answers, true, strict=True) if t[k]]
            low = [a[k] for a, t in zip(answers, true, strict=True) if not t[k]]
            pairs = [(h > x) + (h == x) / 2 for h in high for x in low]
            each.append(sum(pairs) / len(pairs))
        return float(np.mean(each))

    assert found["f1", ""].value == pytest.approx(f1(worse))
    assert found["f1_drop", ""].value == pytest.approx(f1(scores) - f1(worse))
    assert found["auc", ""].value == pytest.approx(auc(worse))
    assert found["auc_drop", ""].value == pytest.approx(auc(scores) - auc(worse))
    same = np.mean((scores > 0.5) == (worse > 0.5))
    assert found["agreement", ""].value == pytest.approx(same)
    for figure in found.values():
        inside(figure)


def test_the_areas_interval_is_as_wide_as_worlds_differ() -> None:
    def world(seed: int) -> Any:
        rng = np.random.default_rng(seed)
        positive = rng.random(200) < 0.4
        found = auc_of(rng.normal(0, 1, 200) + positive, positive)
        assert found is not None
        return found

    worlds = [world(seed) for seed in range(300)]
    spread = 2 * 1.96 * np.std([each.value for each in worlds])
    widths = np.mean([each.ci95[1] - each.ci95[0] for each in worlds])
    assert widths == pytest.approx(spread, rel=0.15)
    assert auc_of(np.arange(4.0), np.zeros(4)) is None


def test_regression_is_measured_target_by_target() -> None:
    true = RNG.normal(size=(50, 2)) * [1, 10]
    near = true + RNG.normal(size=true.shape) * 0.1
    far = near + np.array([0.0, 3.0])
    found = figures(REGRESSION, near, far, true)
    for k in range(2):
        off = [abs(float(a - b)) for a, b in zip(far[:, k], true[:, k], strict=True)]
        assert found["mae", f"target={k}"].value == pytest.approx(sum(off) / 50)
        spread = sum((float(t) - float(true[:, k].mean())) ** 2 for t in true[:, k])
        assert found["r2", f"target={k}"].value == pytest.approx(
            1 - sum(e * e for e in off) / spread
        )
    assert found["mae_rise", "target=0"].value == 0
    rise = found["rmse_rise", "target=1"]
    assert rise.value is not None
    assert rise.value > 2
    for figure in found.values():
        inside(figure)


def test_targets_that_are_all_the_same_have_no_r2() -> None:
    true = np.full((10, 1), 4.0)
    found = figures(REGRESSION, true, true + 1, true)
    assert ("r2", "") not in found
    assert found["mae", ""].value == 1


def test_an_autoencoder_is_judged_by_what_it_cannot_make() -> None:
    x = RNG.normal(size=(60, 8))
    labels = (np.arange(60) % 3 == 0).astype(int)
    good = x + np.where(labels[:, None] == 1, 1.0, 0.1) * RNG.normal(size=x.shape)
    blind = x + RNG.normal(size=x.shape)
    assert is_anomaly(labels, good, x)
    found = figures(ANOMALY, good, blind, labels, x)
    assert found["auc", ""].reference == 1
    drop = found["auc_drop", ""]
    assert drop.ci95 is not None
    assert drop.ci95[0] > 0.1


def test_the_calibration_error_is_summed_bin_by_bin() -> None:
    labels = RNG.integers(0, 4, 200)
    logits = 3 * np.eye(4)[labels] + RNG.normal(0, 2, (200, 4))

    def softmax(x: NDArray[Any]) -> NDArray[Any]:
        return np.exp(x) / np.exp(x).sum(1, keepdims=True)

    calm, sure = softmax(logits), softmax(3 * logits)
    found = figures("classification", calm, sure, labels)

    def error(scores: NDArray[Any]) -> float:
        total = 0.0
        for b in range(15):
            own = [i for i in range(200) if b / 15 < scores[i].max() <= (b + 1) / 15]
            right = sum(scores[i].argmax() == labels[i] for i in own)
            total += abs(sum(float(scores[i].max()) for i in own) - right)
        return total / 200

    assert found["ece", ""].value == pytest.approx(error(sure))
    assert found["ece", ""].reference == pytest.approx(error(calm))
    assert found["ece_rise", ""].value == pytest.approx(error(sure) - error(calm))
    assert ("ece", "") not in figures("classification", logits, logits, labels)


@pytest.mark.parametrize(
    ("labels", "output", "is_task"),
    [
        (np.zeros((4, 5, 5), int), np.zeros((4, 5, 5, 3)), is_segmentation),
        (np.ones((4, 5, 5, 1), int), np.zeros((4, 5, 5, 3)), is_segmentation),
        (np.eye(4)[:, :3].astype(int), np.zeros((4, 3)), is_multi_label),
        (np.eye(4)[:, :3].astype("f4"), np.full((4, 3), 0.2), is_multi_label),
    ],
)
def test_what_labels_make(
    labels: NDArray[Any], output: NDArray[Any], is_task: Callable[..., bool]
) -> None:
    assert is_task(labels, output)
    assert not is_task(None, output)
    assert not is_task(labels + 7, output)


def test_labels_that_are_none_of_it() -> None:
    assert not is_segmentation(np.zeros((4, 5), int), np.zeros((4, 5, 5, 3)))
    assert not is_segmentation(np.zeros((4, 5, 5, 1)), np.full((4, 5, 5, 1), 3.0))
    assert not is_multi_label(np.zeros((4, 3)), np.full((4, 3), -2.0))
    softmax = np.full((6, 2), 0.5)
    assert not is_anomaly(np.zeros(6, int), softmax, softmax)
    with pytest.raises(TensorError, match="no labels of that shape that make a segmentation"):
        Answers(
            Samples({"x": np.zeros((2, 1))}, np.zeros(2)),
            {"out": np.zeros((2, 4, 4, 2))},
            SEGMENTATION,
            "out",
        )
