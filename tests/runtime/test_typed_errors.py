"""Odd files end in edgekit's own errors, which say what is odd."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.errors import ArtifactError, EdgekitError, RecipeError, TensorError
from edgekit.recipe import read_recipe
from edgekit.runtime import load
from edgekit.runtime.benchmark import benchmark
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.tflite import spec_of

pytestmark = pytest.mark.processes


def onnx_of(path: Path, op: str, inputs: list[Any], outputs: list[Any], **attributes: Any) -> Path:
    """A file of one operator; inputs and outputs are (name, type, dims)."""
    onnx = needs.package("onnx")
    sides = [
        [onnx.helper.make_tensor_value_info(name, getattr(onnx.TensorProto, kind), dims)]
        for side in (inputs, outputs)
        for name, kind, dims in side
    ]
    values = [value for side in sides for value in side]
    node = onnx.helper.make_node(op, [i[0] for i in inputs], [o[0] for o in outputs], **attributes)
    graph = onnx.helper.make_graph([node], "g", values[: len(inputs)], values[len(inputs) :])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


DIMS = [
    [-1, 3],
    [1, -7],
    [-(2**63), 1],
    [1, 0],
    [1, 2**40],
    [2**62, 4],
    [2**31, 2**31, 2**31],
    ["N", "odd\x1bname"],
    [1] * 40,
    [],
    None,
]


@pytest.mark.parametrize("dims", DIMS, ids=str)
def test_odd_dimensions_end_in_answers_or_in_typed_errors(dims: Any, tmp_path: Path) -> None:
    path = onnx_of(tmp_path / "m.onnx", "Relu", [("x", "FLOAT", dims)], [("y", "FLOAT", dims)])
    # Any other error fails the test.
    with suppress(EdgekitError):
        edgekit.inspect(path)
    with suppress(EdgekitError), load(path) as runner:
        runner.infer(random_inputs(runner))


def test_open_dimensions_are_inferred_on_and_timed(tmp_path: Path) -> None:
    dims = ["N", "odd\x1bname"]
    path = onnx_of(tmp_path / "m.onnx", "Relu", [("x", "FLOAT", dims)], [("y", "FLOAT", dims)])
    assert benchmark([path], seconds=0.001).runs


def test_an_input_that_no_memory_holds(tmp_path: Path) -> None:
    dims = [1, 2**40]
    path = onnx_of(tmp_path / "m.onnx", "Relu", [("x", "FLOAT", dims)], [("y", "FLOAT", dims)])
    with load(path) as runner, pytest.raises(TensorError, match="4,398,046,511,104 bytes"):
        random_inputs(runner)


def test_many_dynamic_dimensions_are_not_filled(tmp_path: Path) -> None:
    inputs = [("x", "FLOAT", list("abcdefg")), ("w", "FLOAT", [7, 5])]
    path = onnx_of(tmp_path / "m.onnx", "MatMul", inputs, [("y", "FLOAT", None)])
    with load(path) as runner, pytest.raises(ArtifactError, match="the inference failed"):
        # It takes 7 alone; 32 and 224 in each axis would be 10**11 and 10**17 bytes.
        random_inputs(runner)


def test_a_dynamic_dimension_has_as_many_places_as_scales() -> None:
    detail = {
        "shape": np.array([1, 1, 1, 1]),
        "shape_signature": np.array([-1, -1, -1, -1]),
        "dtype": np.int8,
        "quantization_parameters": {
            "scales": np.array([0.1] * 3),
            "zero_points": np.zeros(3, int),
            "quantized_dimension": 3,
        },
    }
    assert spec_of("x", detail).shape == (None, None, None, 3)


def test_a_model_without_inputs(tmp_path: Path) -> None:
    onnx = needs.package("onnx")
    value = onnx.helper.make_tensor("v", onnx.TensorProto.FLOAT, [1, 2], [1.0, 2.0])
    path = onnx_of(tmp_path / "m.onnx", "Constant", [], [("y", "FLOAT", [1, 2])], value=value)
    assert benchmark([path], seconds=0.001).runs[0].latency.p50_ms > 0
    with load(path) as runner:
        with pytest.raises(TensorError, match="classify: received one array"):
            runner.classify(np.zeros((1, 2), np.float32))
        assert runner.classify({}) == [("1", 2.0)]


def test_scores_that_are_no_numbers(tmp_path: Path) -> None:
    shape = [1, 3]
    truths = onnx_of(tmp_path / "b.onnx", "IsNaN", [("x", "FLOAT", shape)], [("y", "BOOL", shape)])
    texts = onnx_of(
        tmp_path / "t.onnx", "Identity", [("x", "STRING", shape)], [("y", "STRING", shape)]
    )
    for path, x in ((truths, np.zeros((1, 3), np.float32)), (texts, np.full((1, 3), "a", object))):
        with load(path) as runner, pytest.raises(TensorError, match="expected numbers"):
            runner.classify(x)


def test_unsigned_scores_are_ordered(tmp_path: Path) -> None:
    shape = [1, 3]
    path = onnx_of(
        tmp_path / "u.onnx", "Identity", [("x", "UINT64", shape)], [("y", "UINT64", shape)]
    )
    with load(path) as runner:
        found = runner.classify(np.array([[0, 9, 5]], np.uint64), top=3)
    assert [name for name, _ in found] == ["1", "2", "0"]


@pytest.mark.parametrize(
    ("scales", "axis", "message"),
    [
        ([0.1] * 3, 3, "3 scales along axis 3"),
        ([0.1] * 2, 7, "2 scales along axis 7"),
        ([0.1] * 2, -1, "2 scales along axis -1"),
        ([0.1, float("nan")], 0, "expected positive finite numbers"),
    ],
)
def test_scales_that_do_not_go_with_their_axis(
    scales: list[float], axis: int, message: str
) -> None:
    detail = {
        "shape": np.array([2, 4, 4, 1]),
        "dtype": np.int8,
        "quantization_parameters": {
            "scales": np.array(scales),
            "zero_points": np.zeros(len(scales), int),
            "quantized_dimension": axis,
        },
    }
    with pytest.raises(ArtifactError, match=message):
        spec_of("x", detail)


def test_a_recipe_that_nests_too_deep(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(f"a = {'[' * 100_000}")
    with pytest.raises(RecipeError, match="not TOML"):
        read_recipe(tmp_path / "r.toml")
