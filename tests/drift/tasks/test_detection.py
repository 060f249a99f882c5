from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.detection import DecodedBoxes
from edgekit.drift.figure import Figure
from edgekit.drift.tasks.detection import decoded, detection_figures

RNG = np.random.default_rng(2)
DECODER = DecodedBoxes(boxes="boxes", scores="scores", normalized=False, iou_threshold=1.0)
LOW = RNG.uniform(0, 60, (30, 3, 2))
BOXES = np.concatenate([LOW, LOW + RNG.uniform(10, 40, (30, 3, 2))], -1).astype(np.float32)
# Of two classes: one box in three is none.
SCORES = np.where(np.arange(3)[:, None] < 2, RNG.uniform(0.5, 1, (30, 3, 2)), 0.05)
SCORES = np.where(np.arange(2) == 0, SCORES, 0.0).astype(np.float32)


def figures(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> dict[str, Figure]:
    reference = {"boxes": BOXES, "scores": SCORES}
    candidate = {"boxes": boxes, "scores": scores}
    found = detection_figures(*(decoded(DECODER, x, (100, 100)) for x in (reference, candidate)))
    return {figure.name: figure for figure in found}


def test_the_same_outputs_have_the_same_boxes() -> None:
    found = figures(BOXES, SCORES)
    values = {name: figure.value for name, figure in found.items()}
    assert values == pytest.approx(
        {"box_agreement": 1, "box_iou": 1, "score_change": 0, "box_map50": 1, "box_map": 1}
    )
    # 30 images on which nothing changed prove little.
    for name in ("box_agreement", "box_map50"):
        interval = found[name].ci95
        assert interval is not None
        assert interval[0] == pytest.approx(1 - (1 - 0.025 ** (1 / 30)))


def test_moved_boxes_and_lower_scores_are_measured() -> None:
    found = figures(BOXES + np.float32(1), SCORES * np.float32(0.9))
    assert found["box_agreement"].value == 1
    overlap = found["box_iou"].value
    assert overlap is not None
    assert 0.75 < overlap < 0.98
    kept = SCORES[..., 0][SCORES[..., 0] >= 0.25]
    assert found["score_change"].value == pytest.approx(0.1 * kept.mean(), rel=1e-4)
    assert found["box_map50"].value == pytest.approx(1)
    mean = found["box_map"].value
    assert mean is not None
    assert mean < 1


def test_inverted_scores_leave_nothing() -> None:
    found = figures(BOXES, np.float32(1) - SCORES)
    agreement, precision = found["box_agreement"], found["box_map50"]
    assert agreement.ci95 is not None
    assert agreement.ci95[1] < 0.5
    assert precision.ci95 is not None
    assert precision.ci95[1] < 0.5
