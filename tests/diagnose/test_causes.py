"""Causes: a fault that was put into a file is named with its layer, and a file without one is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnose.conftest import Files

import edgekit
from edgekit.diagnose.causes.inputs import file_slip
from edgekit.diagnose.diagnose import diagnose
from edgekit.diagnose.heal.editor import Editor
from edgekit.diagnose.network import Grid
from edgekit.document.diagnosis import Diagnosis
from edgekit.drift.golden import Golden
from edgekit.report.diagnoses import diagnosis_lines
from edgekit.samples import Samples


def diagnosed(plain: Path, file: Path, images: Any) -> Diagnosis:
    with edgekit.load(plain) as theirs, edgekit.load(file) as ours:
        return diagnose(Golden.of(theirs, Samples(images)), ours, theirs)


@pytest.fixture
def editor(tflite: Files) -> Editor:
    return Editor(tflite.int8.read_bytes())


@pytest.fixture
def broken(editor: Editor, tmp_path: Path) -> Any:
    """Writes what the editor holds."""

    def write() -> Path:
        path = tmp_path / "broken.int8.tflite"
        path.write_bytes(editor.content)
        return path

    return write


def place_of(editor: Editor, op: str) -> int:
    operators = editor.file.graphs[0].operators
    return next(place for place, _ in editor.layers() if operators[place].op == op)


def test_a_well_made_file_is_healthy(files: Files, images: Any) -> None:
    found = diagnosed(files.plain, files.int8, images)
    assert found.verdict == "healthy"
    assert not found.faults
    assert found.layers is not None
    assert found.layers.samples == 24


def test_a_float_file_is_healthy(files: Files, images: Any) -> None:
    found = diagnosed(files.plain, files.plain, images)
    assert (found.verdict, found.causes, found.agreement) == ("healthy", (), 1.0)


def test_a_range_that_is_too_narrow(
    editor: Editor, broken: Any, tflite: Files, images: Any
) -> None:
    (group,) = (
        g
        for g in editor.groups()
        for i in g
        if editor.file.graphs[0].tensors[i].name.startswith("functional_1/depthwise")
    )
    scale, zero = editor.grid(group[0]) or (0.0, 0)
    editor.set_grid(group, Grid("", "int8", scale * 0.2, zero))
    found = diagnosed(tflite.plain, broken(), images)
    assert found.verdict == "faulty"
    first = found.causes[0]
    assert first.kind == "range_too_narrow"
    assert "depthwise_conv2d_1" in first.tensor + first.layer
    assert first.numbers["high"] == pytest.approx((127 - zero) * scale * 0.2, rel=1e-5)
    assert first.share is not None
    assert first.share > 0.5
    # The share that is clipped, counted on what the float file gives.
    assert 0 < first.numbers["clipped"] < 1


def test_a_range_that_is_too_wide(editor: Editor, broken: Any, tflite: Files, images: Any) -> None:
    (group,) = (
        g
        for g in editor.groups()
        for i in g
        if editor.file.graphs[0].tensors[i].name.startswith("functional_1/conv2d_1_2")
    )
    scale, zero = editor.grid(group[0]) or (0.0, 0)
    editor.set_grid(group, Grid("", "int8", scale * 30, zero // 30))
    found = diagnosed(tflite.plain, broken(), images)
    assert found.causes[0].kind == "range_too_wide"
    assert found.causes[0].numbers["used"] < 0.1


def test_weights_that_were_shuffled(
    editor: Editor, broken: Any, tflite: Files, images: Any
) -> None:
    place = place_of(editor, "DEPTHWISE_CONV_2D")
    operator = editor.file.graphs[0].operators[place]
    kernel = editor.file.graphs[0].tensors[operator.inputs[1]].constant("<i1")
    values = kernel.of(editor.file.content)
    values[:] = np.random.default_rng(0).permutation(values)
    found = diagnosed(tflite.plain, broken(), images)
    assert found.causes[0].kind == "weights_changed"
    assert "depthwise_conv2d_1" in found.causes[0].tensor
    assert found.causes[0].numbers["cosine"] < 0.9


def test_channels_that_were_wiped_out(
    editor: Editor, broken: Any, tflite: Files, images: Any
) -> None:
    place = place_of(editor, "CONV_2D")
    operator = editor.file.graphs[0].operators[place]
    kernel = editor.file.graphs[0].tensors[operator.inputs[1]]
    values = kernel.constant("<i1").of(editor.file.content).reshape(kernel.shape)
    values[[1, 2]] = 0
    found = diagnosed(tflite.plain, broken(), images)
    assert found.causes[0].kind == "dead_channels"
    assert found.causes[0].numbers["dead"] == 2
    assert "(1, 2)" in found.causes[0].sentence


def test_a_bias_that_was_changed(editor: Editor, broken: Any, tflite: Files, images: Any) -> None:
    place = place_of(editor, "CONV_2D")
    tensors = editor.file.graphs[0].tensors
    operator = editor.file.graphs[0].operators[place]
    bias = tensors[operator.inputs[2]]
    step = float(tensors[operator.outputs[0]].scales.of(editor.file.content)[0])
    off = np.array([60, -60, 60, 60]) * step
    bias.constant("<i4").of(editor.file.content)[:] += np.rint(
        off / bias.scales.of(editor.file.content)
    ).astype(np.int32)
    found = diagnosed(tflite.plain, broken(), images)
    assert found.causes[0].kind == "bias_changed"
    assert found.causes[0].numbers["max_abs"] == pytest.approx(60 * step, rel=0.05)


def test_a_bias_that_does_not_fit(
    editor: Editor, broken: Any, tflite: Files, images: Any, tmp_path: Path
) -> None:
    content = bytearray(tflite.plain.read_bytes())
    from edgekit.formats.tflite_check import read_file

    graph = read_file(content).graphs[0]
    plain = next(o for o in graph.operators if o.op == "CONV_2D")
    kernel, bias = (graph.tensors[i] for i in plain.inputs[1:3])
    kernel.constant("<f4").of(content).reshape(kernel.shape)[0] *= 1e-9
    bias.constant("<f4").of(content)[0] = 2.0
    other = tmp_path / "other.float32.tflite"
    other.write_bytes(content)
    place = place_of(editor, "CONV_2D")
    operator = editor.file.graphs[0].operators[place]
    tensors = editor.file.graphs[0].tensors
    scales = tensors[operator.inputs[1]].scales.of(editor.file.content)
    scales[0] *= 1e-9
    stored = tensors[operator.inputs[2]]
    stored.scales.of(editor.file.content)[0] *= 1e-9
    stored.constant("<i4").of(editor.file.content)[0] = 2**31 - 1
    found = diagnosed(other, broken(), images)
    cause = next(c for c in found.causes if c.kind == "bias_overflow")
    assert cause.numbers["channels"] == 1
    assert cause.numbers["needed"] == pytest.approx(2.0)
    held = (2**31 - 1) * float(stored.scales.of(editor.file.content)[0])
    assert cause.numbers["held"] == pytest.approx(held, rel=1e-3)


def test_another_model(editor: Editor, broken: Any, tflite: Files, images: Any) -> None:
    rng = np.random.default_rng(1)
    for place, _ in editor.layers():
        operator = editor.file.graphs[0].operators[place]
        kernel = editor.file.graphs[0].tensors[operator.inputs[1]].constant("<i1")
        values = kernel.of(editor.file.content)
        values[:] = rng.integers(-127, 128, values.shape)
    found = diagnosed(tflite.plain, broken(), images)
    assert [cause.kind for cause in found.faults] == ["another_model"]


def test_a_slip_at_the_input_is_named_by_samples_that_did_not_choose_it() -> None:
    rng = np.random.default_rng(2)
    x = rng.random((40, 6, 6, 3)).astype(np.float32)
    weights = rng.normal(size=(108, 4))

    def model(images: Any) -> Any:
        return {"y": np.tanh(images.reshape(len(images), -1) @ weights)}

    def swapped(given: Any) -> Any:
        return model(given["x"][..., ::-1])

    found = file_slip(swapped, {"x": x}, model(x))
    assert found is not None
    assert found.kind == "input_swapped"
    assert found.numbers["after_db"] > 60 > found.numbers["before_db"]
    assert file_slip(lambda given: model(given["x"]), {"x": x}, model(x)) is None
    wrong = rng.normal(size=(40, 4))
    assert file_slip(lambda given: {"y": wrong[: len(given["x"])]}, {"x": x}, model(x)) is None


def test_without_a_float_file_it_says_what_cannot_be_seen(tflite: Files, images: Any) -> None:
    with edgekit.load(tflite.plain) as plain, edgekit.load(tflite.int8) as file:
        found = diagnose(Golden.of(plain, Samples(images)), file)
    assert found.layers is None
    assert found.verdict == "healthy"
    assert any("--float" in line for line in diagnosis_lines(found))


def test_lines_keep_to_80_columns_and_the_document_comes_back(
    editor: Editor, broken: Any, tflite: Files, images: Any
) -> None:
    place = place_of(editor, "DEPTHWISE_CONV_2D")
    operator = editor.file.graphs[0].operators[place]
    kernel = editor.file.graphs[0].tensors[operator.inputs[1]].constant("<i1")
    kernel.of(editor.file.content)[:] *= -1
    found = diagnosed(tflite.plain, broken(), images)
    assert max(map(len, diagnosis_lines(found))) <= 80
    assert Diagnosis.from_json(found.to_json()) == found


def test_a_golden_file_of_another_model_is_told(tflite: Files, images: Any) -> None:
    rng = np.random.default_rng(3)
    with edgekit.load(tflite.plain) as plain, edgekit.load(tflite.int8) as file:
        golden = Golden.of(plain, Samples(images))
        other = rng.dirichlet(np.ones(5), 24).astype(np.float32)
        changed = replace(golden, outputs={"digit": other}, setup=None)
        found = diagnose(changed, file, plain)
    assert [cause.kind for cause in found.faults] == ["another_model"]
    assert "float file does not follow" in found.faults[0].sentence
