"""Diffs: what was changed is named, with the sizes that numpy finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnose.conftest import Files

import edgekit
from edgekit.diagnose.diff import diff
from edgekit.errors import UsageError
from edgekit.formats.tflite_check import read_file
from edgekit.report.diffs import diff_lines
from edgekit.samples import Samples


def diff_of(first: Path, second: Path, samples: Any = None) -> edgekit.Diff:
    with edgekit.load(first) as a, edgekit.load(second) as b:
        return diff(a, b, samples)


def test_a_file_does_not_differ_from_itself(files: Files, images: Any) -> None:
    found = diff_of(files.int8, files.int8, Samples(images))
    assert found.same_bytes
    assert found.same_structure
    assert not found.changed
    assert all(row.grid for row in found.layers)
    assert [output.equal for output in found.outputs] == [True]
    assert found.outputs[0].max_abs == 0
    assert found.samples == 24


def test_one_changed_weight_is_found_with_its_size(tflite: Files, tmp_path: Path) -> None:
    content = bytearray(tflite.int8.read_bytes())
    file = read_file(content)
    operator = next(o for o in file.graphs[0].operators if o.op == "DEPTHWISE_CONV_2D")
    kernel = file.graphs[0].tensors[operator.inputs[1]]
    weights = kernel.constant("<i1").of(content)
    # Channels are innermost: number 6 is the second place of channel 2.
    before = int(weights[6])
    weights[6] = 100 if before < 0 else -100
    other = tmp_path / "other.int8.tflite"
    other.write_bytes(content)
    found = diff_of(tflite.int8, other)
    assert found.same_structure
    assert not found.same_bytes
    (row,) = found.changed
    assert row.op == "DEPTHWISE_CONV_2D"
    scale = float(kernel.scales.of(content)[6 % 4])
    assert row.weights_max_abs == pytest.approx(abs(int(weights[6]) - before) * scale, rel=1e-6)
    assert row.grid
    assert row.bias_max_abs == 0


def test_answers_are_compared(tflite: Files, images: Any) -> None:
    found = diff_of(tflite.plain, tflite.int8, Samples(images))
    (output,) = found.outputs
    with edgekit.load(tflite.plain) as a, edgekit.load(tflite.int8) as b:
        x, y = (next(iter(r.infer_batch(images).values())).astype(np.float64) for r in (a, b))
    assert output.max_abs == pytest.approx(np.abs(x - y).max())
    assert output.sqnr_db == pytest.approx(10 * np.log10((x**2).sum() / ((x - y) ** 2).sum()))
    assert output.agreement == np.mean(x.argmax(1) == y.argmax(1))


def test_both_formats_of_a_model_hold_the_same_weights(models: Path, images: Any) -> None:
    first, second = (models / f"classifier.float32.{f}" for f in ("tflite", "onnx"))
    found = diff_of(first, second, Samples(images))
    held = [row for row in found.layers if row.weights_max_abs is not None]
    assert len(held) == 3
    # TFLite's converter takes the division by 16 in front of the first convolution into its kernel.
    assert [row.weights_max_abs is not None and row.weights_max_abs < 1e-6 for row in held] == [
        False,
        True,
        True,
    ]
    assert found.outputs[0].max_abs is not None
    assert found.outputs[0].max_abs < 1e-4


def equalised(plain: Path, factors: Any, last: float = 1.0) -> bytes:
    """A float .tflite file whose channels between the first two layers are multiplied by `factors`."""
    content = bytearray(plain.read_bytes())
    graph = read_file(content).graphs[0]
    first, second = (
        next(o for o in graph.operators if o.op == op) for op in ("CONV_2D", "DEPTHWISE_CONV_2D")
    )
    kernel, bias, reader = (
        graph.tensors[at].constant("<f4").of(content)
        for at in (first.inputs[1], first.inputs[2], second.inputs[1])
    )
    kernel.reshape(len(factors), -1)[:] *= factors[:, None]
    bias[:] *= factors
    reader.reshape(-1, len(factors))[:] /= factors
    reader[0] *= last
    return bytes(content)


def test_weights_that_were_equalised_are_the_same_function(
    tflite: Files, images: Any, tmp_path: Path
) -> None:
    factors = np.float32([1.5, 0.25, 8, 1])
    other = tmp_path / "other.float32.tflite"
    other.write_bytes(equalised(tflite.plain, factors))
    found = diff_of(tflite.plain, other, Samples(images))
    assert found.outputs[0].max_abs == pytest.approx(0, abs=1e-5)
    conv, depthwise, last = (row for row in found.layers if row.weights != "none")
    assert not found.changed
    assert [conv.weights, depthwise.weights, last.weights] == ["scaled", "scaled", "equal"]
    assert conv.factors == pytest.approx((0.25, 8), rel=1e-5)
    assert depthwise.factors == (1, 1)
    assert conv.bias_max_abs == pytest.approx(0, abs=1e-5)
    assert any("in 2 up to factors of channels" in line for line in diff_lines(found))
    # The other way round as well.
    assert not diff_of(other, tflite.plain).changed


def test_factors_that_nothing_takes_back_are_a_change(tflite: Files, tmp_path: Path) -> None:
    other = tmp_path / "other.float32.tflite"
    other.write_bytes(equalised(tflite.plain, np.float32([1.5, 0.25, 8, 1]), last=1.2))
    found = diff_of(tflite.plain, other)
    assert [row.op for row in found.changed] == ["CONV_2D", "DEPTHWISE_CONV_2D"]


def test_rounded_weights_are_not_called_scaled(files: Files) -> None:
    states = {row.weights for row in diff_of(files.plain, files.int8).layers}
    assert "scaled" not in states


def test_lines_keep_to_80_columns(tflite: Files, images: Any) -> None:
    lines = diff_lines(diff_of(tflite.plain, tflite.int8, Samples(images)))
    assert max(map(len, lines)) <= 80
    assert any("DEPTHWISE" in line and "different" in line for line in lines)


def test_a_bias_alone_and_weights_of_another_training_are_said_to_be_that(
    tflite: Files, images: Any
) -> None:
    found = diff_of(tflite.plain, tflite.int8, Samples(images))
    rows = tuple(
        replace(row, weights="equal", weights_max_abs=0.0, weights_sqnr_db=None, bias_max_abs=0.25)
        if row.weights == "different"
        else row
        for row in found.layers
    )
    assert any("bias alone       0.25" in line for line in diff_lines(replace(found, layers=rows)))
    assert not any("two trainings" in line for line in diff_lines(found))
    rows = tuple(
        replace(row, weights_sqnr_db=-2.0) if row.weights == "different" else row
        for row in found.layers
    )
    assert any("two trainings" in line for line in diff_lines(replace(found, layers=rows)))


def test_the_document_comes_back_as_it_was(files: Files) -> None:
    found = diff_of(files.plain, files.int8)
    assert edgekit.Diff.from_json(found.to_json()) == found


def test_a_keras_file_is_refused(tmp_path: Path) -> None:
    from edgekit.diagnose.opening import open_network

    (tmp_path / "m.keras").write_bytes(b"PK")
    with pytest.raises(UsageError, match="Export it first"):
        open_network(tmp_path / "m.keras")
