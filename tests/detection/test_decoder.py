"""Every decoder against a plain loop, and every file that asks for what it must not."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.detection import DECODERS, DecodedBoxes, Decoder, Ssd, Yolo, decoder_from_json
from edgekit.errors import RecipeError, TensorError

HEIGHT, WIDTH = 32, 48
# Everything that the decoder reads stays: suppression has tests of its own.
ALL: dict[str, Any] = {"score_threshold": 0.3, "iou_threshold": 1.0, "max_detections": 4096}
SEEDS = st.integers(0, 2**32 - 1)
ANCHORS = ((0.25, 0.5, 0.2, 0.1), (0.5, 0.5, 1.0, 1.0), (0.75, 0.1, 0.3, 0.4))


def assert_finds(decoder: Decoder, outputs: Any, expected: list[tuple[Any, ...]]) -> None:
    (boxes,) = decoder.decode(outputs, HEIGHT, WIDTH)
    found = [
        (score, k, *corners)
        for corners, score, k in zip(
            boxes.corners.tolist(), boxes.scores.tolist(), boxes.classes.tolist(), strict=True
        )
    ]
    assert len(found) == len(expected)
    assert [row[0] for row in found] == sorted((row[0] for row in found), reverse=True)
    if expected:
        np.testing.assert_allclose(sorted(found), sorted(expected), rtol=1e-6, atol=1e-6)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@given(SEEDS, st.booleans(), st.sampled_from(["none", "sigmoid", "softmax"]), st.booleans())
def test_ssd(seed: int, background: bool, activation: str, xy_first: bool) -> None:
    rng = np.random.default_rng(seed)
    coded = rng.normal(0, 3, (1, 3, 4)).astype(np.float32)
    raw = rng.uniform(0, 1, (1, 3, 4)).astype(np.float32)
    variances = (0.1, 0.3, 0.2, 0.4)
    expected = []
    for i, (y, x, h, w) in enumerate(ANCHORS):
        ty, tx, th, tw = (float(v) for v in coded[0, i][[1, 0, 3, 2] if xy_first else [0, 1, 2, 3]])
        cy, cx = y + ty * 0.1 * h, x + tx * 0.3 * w
        high, wide = h * math.exp(th * 0.2), w * math.exp(tw * 0.4)
        scores = [float(v) for v in raw[0, i]]
        if activation == "sigmoid":
            scores = [sigmoid(v) for v in scores]
        elif activation == "softmax":
            total = sum(map(math.exp, scores))
            scores = [math.exp(v) / total for v in scores]
        for k, score in enumerate(scores[int(background) :]):
            if score >= 0.3:
                corners = (cx - wide / 2, cy - high / 2, cx + wide / 2, cy + high / 2)
                box = [v * n for v, n in zip(corners, (WIDTH, HEIGHT, WIDTH, HEIGHT), strict=True)]
                expected.append((score, k, *box))
    decoder = Ssd(
        **ALL, boxes="b", scores="s", anchors=ANCHORS, variances=variances, xy_first=xy_first,
        activation=activation, background=background,
    )  # fmt: skip
    assert_finds(decoder, {"s": raw, "b": coded}, expected)


@given(
    SEEDS,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["pixels", "normalized", "grid", "distances"]),
    st.sampled_from(["none", "sigmoid"]),
)
def test_yolo(
    seed: int, objectness: bool, channels_first: bool, coding: str, activation: str
) -> None:
    rng = np.random.default_rng(seed)
    cells = [(c, r, s) for s in (8, 16) for r in range(HEIGHT // s) for c in range(WIDTH // s)]
    boxes = rng.uniform(0, 2, (1, len(cells), 4)).astype(np.float32)
    raw = rng.uniform(0, 1, (1, len(cells), 2 + objectness)).astype(np.float32)
    expected = []
    for i, (column, row, s) in enumerate(cells):
        a, b, c, d = map(float, boxes[0, i])
        if coding == "distances":
            x, y = column + 0.5, row + 0.5
            corners = [(x - a) * s, (y - b) * s, (x + c) * s, (y + d) * s]
        else:
            if coding == "grid":
                a, b, c, d = (a + column) * s, (b + row) * s, math.exp(c) * s, math.exp(d) * s
            elif coding == "normalized":
                a, b, c, d = a * WIDTH, b * HEIGHT, c * WIDTH, d * HEIGHT
            corners = [a - c / 2, b - d / 2, a + c / 2, b + d / 2]
        values = [float(v) for v in raw[0, i]]
        if activation == "sigmoid":
            values = [sigmoid(v) for v in values]
        scores = [values[0] * v for v in values[1:]] if objectness else values
        expected += [(v, k, *corners) for k, v in enumerate(scores) if v >= 0.3]
    decoder = Yolo(
        **ALL,
        objectness=objectness,
        channels_first=channels_first,
        coding=coding,
        activation=activation,
        strides=(8, 16) if coding in ("grid", "distances") else (),
    )
    output = np.concatenate([boxes, raw], axis=2)
    assert_finds(decoder, {"y": output.transpose(0, 2, 1) if channels_first else output}, expected)


@pytest.mark.parametrize(
    ("layout", "box"),
    [
        ("xyxy", (6, 8, 12, 24)),
        ("yxyx", (8, 6, 24, 12)),
        ("xywh", (6, 8, 6, 16)),
        ("cxcywh", (9, 16, 6, 16)),
    ],
)
def test_finished_boxes_of_which_some_count(layout: str, box: tuple[int, ...]) -> None:
    boxes = np.asarray([[box, box, box]], np.float32)
    outputs = {
        "b": boxes,
        "s": np.asarray([[0.9, 0.2, 0.8]], np.float32),
        "c": np.asarray([[7, 1, 2]], np.float32),
        "n": np.asarray([3], np.float32),
    }
    decoder = DecodedBoxes(
        **ALL, boxes="b", scores="s", classes="c", count="n", layout=layout, normalized=False
    )
    assert_finds(decoder, outputs, [(0.9, 7, 6, 8, 12, 24), (0.8, 2, 6, 8, 12, 24)])
    outputs["n"][:] = 2
    assert_finds(decoder, outputs, [(0.9, 7, 6, 8, 12, 24)])


def test_boxes_with_a_score_for_each_class() -> None:
    outputs = {
        "b": np.asarray([[[0.25, 0.5, 0.5, 1.0]]], np.float32),
        "s": np.asarray([[[0.5, 0.1, 0.75]]], np.float32),
    }
    every = DecodedBoxes(**ALL, boxes="b", scores="s")
    assert_finds(every, outputs, [(0.75, 2, 12, 16, 24, 32), (0.5, 0, 12, 16, 24, 32)])
    likeliest = DecodedBoxes(**ALL, boxes="b", scores="s", class_agnostic=True)
    assert_finds(likeliest, outputs, [(0.75, 2, 12, 16, 24, 32)])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_what_is_not_finite_is_left_out(value: float) -> None:
    output = np.full((2, 24, 6), 0.5, np.float32)
    output[0, :-1, 2] = value
    output[1, :, 4:] = np.nan
    for coding, strides in (("pixels", ()), ("grid", (8,))):
        first, second = Yolo(**ALL, coding=coding, strides=strides).decode(
            {"y": output}, HEIGHT, WIDTH
        )
        # A size of exp(-inf) is none, not an unusable one.
        flat = coding == "grid" and value == -np.inf
        assert len(first) == (48 if flat else 2)
        assert len(second) == 0


EXAMPLES = [
    DecodedBoxes(boxes="b", scores="s"),
    Ssd(boxes="b", scores="s", anchors=ANCHORS),
    Yolo(coding="grid", strides=(8, 16)),
]


@pytest.mark.parametrize("decoder", EXAMPLES)
def test_a_decoder_survives_json(decoder: Decoder) -> None:
    assert decoder_from_json(json.loads(json.dumps(decoder.to_json()))) == decoder


def test_every_kind_has_an_example_here() -> None:
    assert {type(d) for d in EXAMPLES} == set(DECODERS.values())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "expected a table with a key 'kind'"),
        ({"kind": "yolo8"}, "Did you mean 'yolo'"),
        ({"kind": "yolo", "stride": [8]}, "strides"),
        ({"kind": "yolo", "coding": "grid"}, "strides: received"),
        ({"kind": "yolo", "strides": [8]}, "expected none"),
        ({"kind": "yolo", "coding": "grid", "strides": [0]}, "strides: received"),
        ({"kind": "yolo", "score_threshold": float("nan")}, "score_threshold"),
        ({"kind": "yolo", "iou_threshold": 1.5}, "iou_threshold"),
        ({"kind": "yolo", "max_detections": 1 << 40}, "max_detections"),
        ({"kind": "yolo", "score_threshold": 10**400}, "beyond all bounds"),
        ({"kind": "ssd", "boxes": "b", "scores": "s"}, "anchors"),
        ({"kind": "ssd", "boxes": "b", "scores": "s", "anchors": [[1, 2]]}, "anchors"),
        ({"kind": "boxes", "boxes": "b"}, "scores"),
        ({"kind": "boxes", "boxes": "b", "scores": "s", "layout": "abc"}, "layout"),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(value: Any, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        decoder_from_json(value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("decoder", "shapes", "message"),
    [
        (Yolo(), {"y": (1, 8, 4)}, "4 + classes"),
        (Yolo(), {"y": (1, 8)}, "4 + classes"),
        (Yolo(output="z"), {"y": (1, 8, 6), "x": (1, 2)}, "'z'"),
        (Yolo(coding="grid", strides=(8,)), {"y": (1, 7, 6)}, "received 7 places, expected 24"),
        (EXAMPLES[1], {"b": (1, 4, 4), "s": (1, 4, 3)}, "as the anchors"),
        (EXAMPLES[1], {"b": (1, 3, 4), "s": (1, 2, 3)}, "[1, 3, classes]"),
        (EXAMPLES[0], {"b": (1, 3, 5), "s": (1, 3, 3)}, "[batch, boxes, 4]"),
    ],
)
def test_outputs_that_do_not_fit_are_told(decoder: Decoder, shapes: Any, message: str) -> None:
    with pytest.raises(TensorError) as caught:
        decoder.decode({k: np.zeros(s, np.float32) for k, s in shapes.items()}, HEIGHT, WIDTH)
    assert message in str(caught.value)
