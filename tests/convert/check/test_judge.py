"""Judging outputs as what they are: amounts, numbers of classes, softmaxes over other axes, constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import edgekit
from edgekit.convert.check.ends import INTEGERS, SOFTMAX, VALUES, End
from edgekit.convert.check.judge import figures, judge
from edgekit.convert.check.reference import Reference
from edgekit.convert.check.run import Answers, joined_rows, run
from edgekit.errors import require
from edgekit.formats.model_file import ModelFile
from edgekit.models.objects import from_object
from edgekit.samples import Samples

RNG = np.random.default_rng(0)


def verdict_of(scheme: str, expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> Any:
    """The verdict over one integer output of a model that answers `expected`."""
    keras = require("keras", "export", "a test")
    x = keras.Input((1,), name="x")
    reference = Reference(from_object(keras.Model(x, keras.layers.Dense(1, name="y")(x))))
    given = {"samples": Samples({"x": np.zeros((64, 1), np.float32)}), "nudged": {"y": expected}}
    vars(reference).update(answers={"y": expected}, **given)
    return judge(scheme, reference, Answers({"y": found}, {}, {"y": End(INTEGERS)}, ("none",)))


def test_pixels_that_are_a_step_off_follow_the_model() -> None:
    expected = RNG.integers(2, 253, (64, 12, 12, 3), np.uint8)
    found = (expected.astype(int) + RNG.integers(-1, 2, expected.shape)).astype(np.uint8)
    verdict = verdict_of("int8", expected, found)
    (row,) = verdict.check.outputs
    assert (verdict.faults, verdict.warnings) == ((), ())
    assert row.kept is not None
    assert row.kept < 0.4
    # Two thirds of the values are one step off: their mean square is 2/3, that of the spread 251^2 / 12.
    assert row.sqnr_db == pytest.approx(10 * np.log10(251**2 / 12 / (2 / 3)), abs=0.3)


def test_classes_that_are_mixed_up_are_no_amounts() -> None:
    expected = RNG.integers(0, 200, (64, 30), np.int32)
    found = np.where(RNG.random(expected.shape) < 0.6, RNG.integers(0, 200, (64, 30)), expected)
    verdict = verdict_of("int8", expected, found.astype(np.int32))
    assert verdict.check.outputs[0].sqnr_db is None
    assert len(verdict.faults) == 1


@pytest.mark.parametrize(("wrong", "faults"), [(9, 0), (11, 1)])
def test_a_float_file_may_decide_ties_otherwise(wrong: int, faults: int) -> None:
    expected = np.zeros((100, 100), np.int32)
    expected[:, ::2] = 7
    found = expected.copy()
    found.flat[:wrong] = 3
    assert len(verdict_of("float32", expected, found).faults) == faults


def test_a_softmax_over_another_axis_is_values() -> None:
    logits = RNG.normal(0, 2, (50, 6, 4))
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = expected + RNG.uniform(-1, 1, expected.shape) / 512
    row = figures("y", End(SOFTMAX, 1 / 256), expected, found)
    assert (row.kind, row.kept) == (VALUES, None)
    assert row.sqnr_db is not None
    assert row.sqnr_db > 40
    over_the_last = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert figures("y", End(SOFTMAX), over_the_last, over_the_last).kind == SOFTMAX


@given(batch=st.integers(1, 5), count=st.integers(1, 12), rows=st.sampled_from([1, 7]))
def test_what_has_no_axis_of_samples_is_the_same_for_all(batch: int, count: int, rows: int) -> None:
    parts = -(-count // batch)
    constant = np.arange(rows * 2.0).reshape(rows, 2)
    each = joined_rows([constant] * parts, batch, count)
    assert each.shape == ((count, 2) if rows == 1 else (count, 7, 2))
    assert all(np.array_equal(row, constant[0] if rows == 1 else constant) for row in each)
    values = np.arange(parts * batch * 3.0).reshape(parts, batch, 3)
    joined = joined_rows(list(values), batch, count)
    np.testing.assert_array_equal(joined, values.reshape(-1, 3)[:count])


def test_logits_of_every_step_are_logits_of_their_samples() -> None:
    """A dense layer for every step takes samples and steps as one axis, and so does its softmax."""
    nodes = [
        helper.make_node("Reshape", ["x", "rows"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["chances"]),
        helper.make_node("QuantizeLinear", ["chances", "scale", "zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["rounded", "scale", "zero"], ["flat"]),
        helper.make_node("Reshape", ["flat", "steps"], ["p"]),
    ]
    held = [
        numpy_helper.from_array(np.array([7, 3]), "rows"),
        numpy_helper.from_array(np.array([1, 7, 3]), "steps"),
        numpy_helper.from_array(np.float32(1 / 256), "scale"),
        numpy_helper.from_array(np.uint8(0), "zero"),
    ]
    x, p = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 7, 3)) for n in "xp")
    graph = helper.make_graph(nodes, "g", [x], [p], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    given = RNG.normal(0, 1, (20, 7, 3)).astype(np.float32)
    answers = run(ModelFile.read(model.SerializeToString(), "onnx"), Samples({"x": given}))
    np.testing.assert_array_equal(answers.logits["p"], given)
    assert answers.outputs["p"].shape == (20, 7, 3)


def test_outputs_may_be_called_in_any_script(tmp_path: Path) -> None:
    tf = require("tensorflow", "export", "a test")
    kernel = RNG.normal(0, 1, (4, 3)).astype(np.float32)

    class Model(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None, 4), name="x")])
        def serve(self, x: Any) -> dict[str, Any]:
            return {"größe": x @ kernel, "数": x[:, :2]}

    model = Model()
    tf.saved_model.save(model, tmp_path / "m", {"serving_default": model.serve})
    x = RNG.uniform(-1, 1, (1, 4)).astype(np.float32)
    files = ["float32.tflite", "float32.onnx"]
    for file in edgekit.export(tmp_path / "m", out=tmp_path / "out", files=files, cache=False):
        with edgekit.load(file.path) as runner:
            answers = runner.infer({"x": x})
        assert set(answers) == {"größe", "数"}
        np.testing.assert_allclose(answers["größe"], x @ kernel, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(answers["数"], x[:, :2])
