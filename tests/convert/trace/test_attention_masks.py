"""Masked attention keeps its precision in integers: what is hidden decides about no range."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit
from edgekit.calibration.masks import masked_scores, saturated
from edgekit.calibration.methods import Interval
from edgekit.formats.graph import Graph, Model, Operator, Tensor
from edgekit.metrics.distances import sqnr_db
from edgekit.samples import Samples


def causal(keras: Any) -> Any:
    a, b = keras.Input((6, 4), name="a"), keras.Input((6, 4), name="b")
    return keras.Model([a, b], keras.layers.Attention(name="y")([a, b], use_causal_mask=True))


def multi_head(keras: Any) -> Any:
    a, mask = keras.Input((6, 4), name="a"), keras.Input((6, 6), dtype="bool", name="mask")
    y = keras.layers.MultiHeadAttention(2, 4, name="y")(a, a, attention_mask=mask)
    return keras.Model([a, mask], y)


def padded(keras: Any) -> Any:
    ids = keras.Input((7,), dtype="int32", name="ids")
    x = keras.layers.Embedding(12, 4, mask_zero=True)(ids)
    return keras.Model(ids, keras.layers.Attention(name="y")([x, x]))


def inputs(model: Any, count: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {}
    for tensor in model.inputs:
        name, shape = tensor.name.split(":")[0], (count, *tensor.shape[1:])
        if name == "mask":
            # The last row sees nothing at all.
            made[name] = rng.random(shape) < 0.6
            made[name][:, -1] = False
        elif name == "ids":
            made[name] = rng.integers(0, 4, shape).astype(np.int32)
        else:
            made[name] = rng.uniform(-1, 1, shape).astype(np.float32)
    return made


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("build", [causal, multi_head, padded])
def test_integers_are_as_good_as_without_a_mask(
    tmp_path: Path, build: Callable[[Any], Any], flavour: str
) -> None:
    import importlib

    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    model = build(keras)
    files = edgekit.export(
        model,
        out=tmp_path,
        schemes=["float32", "int8", "int16x8"],
        formats=["tflite", "onnx"],
        calibration=Samples(inputs(model, 60, seed=1)),
    )
    assert len(files) == 5
    x = inputs(model, 32, seed=2)
    expected = np.asarray(
        model(next(iter(x.values())) if len(x) == 1 else list(x.values()), training=False)
    )
    for file in files:
        with edgekit.load(file.path) as runner:
            (answer,) = runner.infer_batch(x).values()
        if file.scheme == "float32":
            assert np.abs(answer - expected).max() <= 1e-5 * np.ptp(expected), file.name
        else:
            # Before, 2 to 20 dB: scores shared a scale with the stand-in for minus infinity.
            assert sqnr_db(expected, answer) > (28 if file.scheme == "int8" else 40), file.name


def tensor(name: str, constant: bool = False) -> Tensor:
    return Tensor(name, name, "float32", (1, 4), constant=constant)


def model_of(operators: list[Operator], outputs: tuple[Tensor, ...]) -> Model:
    return Model("tflite", (Graph((), outputs, tuple(operators), ()),), 0, {}, {})


def operator(op: str, given: list[Tensor], result: Tensor) -> Operator:
    return Operator(op, tuple(given), (result,), 1)


MASK, SCORES, LOW = tensor("mask"), tensor("scores"), tensor("low", constant=True)
HIDDEN, MOVED, WEIGHTS = tensor("hidden"), tensor("moved"), tensor("weights")


@pytest.mark.parametrize("select", ["SELECT_V2", "Where"])
def test_masked_scores_are_found_between_selection_and_softmax(select: str) -> None:
    operators = [
        operator(select, [MASK, SCORES, LOW], HIDDEN),
        operator("RESHAPE", [HIDDEN], MOVED),
        operator("SOFTMAX", [MOVED], WEIGHTS),
    ]
    found = masked_scores(model_of(operators, (WEIGHTS,)))
    assert found == {"hidden": ("scores",), "moved": ("scores",)}
    # Whoever else reads them wants their values.
    assert masked_scores(model_of(operators, (WEIGHTS, HIDDEN))) == {}
    more = [*operators, operator("TANH", [HIDDEN], tensor("other"))]
    assert masked_scores(model_of(more, (WEIGHTS,))) == {}
    assert masked_scores(model_of(operators[:2], (MOVED,))) == {}


@given(
    lowest=st.floats(-100, 100),
    width=st.floats(0, 100),
    margin=st.floats(1, 30),
    large=st.booleans(),
)
def test_only_ranges_that_reach_a_stand_in_are_cut(
    lowest: float, width: float, margin: float, large: bool
) -> None:
    end = -1e5 if large else lowest - 50
    ranges = {
        "scores": Interval(lowest, lowest + width),
        "hidden": Interval(end, lowest + width),
        "other": Interval(-1e6, 1.0),
    }
    seen = {name: interval.lowest for name, interval in ranges.items()}
    result = saturated(ranges, {"hidden": ("scores", "other")}, seen, margin)
    assert result["scores"] == ranges["scores"]
    assert result["other"] == ranges["other"]
    cut = Interval(lowest - margin, lowest + width)
    assert result["hidden"] == (cut if large else ranges["hidden"])
