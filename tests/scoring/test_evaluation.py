"""Evaluations of real files and of an autoencoder."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest

import edgekit
from edgekit import document
from edgekit.cli import main
from edgekit.detection import DecodedBoxes
from edgekit.errors import SamplesError, UsageError


@pytest.fixture
def labelled(models: Path) -> edgekit.Samples:
    """The classifier's recorded inputs, labelled with what Keras answered, one label wrong."""
    with np.load(models / "expected.npz") as archive:
        image, digit = archive["classifier/in/image"], archive["classifier/out/digit"]
    labels = digit.argmax(axis=1)
    labels[0] = (labels[0] + 1) % 5
    return edgekit.Samples({"image": image}, labels)


@pytest.mark.parametrize("file", ["classifier.float32.tflite", "classifier.float32.onnx"])
def test_a_classification(models: Path, labelled: edgekit.Samples, file: str) -> None:
    with edgekit.load(models / file) as runner:
        result = edgekit.evaluate(runner, labelled)
    assert (result.task, result.output, result.count) == ("classification", "digit", 24)
    assert result.accuracy == 23 / 24
    assert np.trace(np.array(result.confusion)) == 23
    assert sum(row.count for row in result.per_class) == 24
    assert result.top5_accuracy is None
    assert 0.5 < (result.auc or 0) <= 1
    jsonschema.validate(result.to_json(), document.json_schema("evaluation"))


def test_a_regression(models: Path) -> None:
    with np.load(models / "expected.npz") as archive:
        signal, score = archive["dynamic/in/signal"], archive["dynamic/out/score"]
    with edgekit.load(models / "dynamic.float32.tflite") as runner:
        result = edgekit.evaluate(runner, edgekit.Samples({"signal": signal}, score + 2.0))
    assert result.task == "regression"
    assert result.accuracy is None
    assert result.mae == pytest.approx(2, abs=1e-5)
    assert result.rmse == pytest.approx(2, abs=1e-5)


def test_an_autoencoder_is_scored_by_its_reconstruction(tmp_path: Path) -> None:
    """A file whose answer has the shape of its input and is wrong by twice its size."""
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 3])
        for name in ("x", "made")
    ]
    negation = onnx.helper.make_node("Neg", ["x"], ["made"])
    graph = onnx.helper.make_graph([negation], "negation", ends[:1], ends[1:])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "negation.onnx"
    )
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((20, 3)).astype(np.float32)
    signal[10:] *= 0.01
    labels = np.array([1] * 10 + [0] * 10)
    with edgekit.load(tmp_path / "negation.onnx") as runner:
        result = edgekit.evaluate(runner, edgekit.Samples({"x": signal}, labels))
    assert result.task == "anomaly"
    assert result.auc == 1
    assert result.rmse == pytest.approx(float(np.sqrt(np.mean((2 * signal) ** 2))), rel=1e-5)


def test_labels_are_needed_and_must_fit(models: Path, labelled: edgekit.Samples) -> None:
    with edgekit.load(models / "classifier.int8.tflite") as runner:
        with pytest.raises(UsageError, match="no labels"):
            edgekit.evaluate(runner, edgekit.Samples(labelled.inputs))
        odd = np.zeros((24, 7), np.float32)
        with pytest.raises(SamplesError, match=r"float32, \[24, 7\].*fit no output.*'digit'"):
            edgekit.evaluate(runner, edgekit.Samples(labelled.inputs, odd))


def test_scoring_makes_no_golden(
    models: Path, labelled: edgekit.Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("an evaluation needs no golden")

    monkeypatch.setattr(edgekit.Golden, "__init__", refuse)
    assert edgekit.evaluate(models / "classifier.float32.tflite", labelled).count == 24


def test_the_command(models: Path, labelled: edgekit.Samples, tmp_path: Path) -> None:
    assert labelled.labels is not None
    np.savez(tmp_path / "s.npz", x=labelled.inputs["image"], y=labelled.labels)
    words = [str(models / "classifier.int8.tflite"), "--samples", str(tmp_path / "s.npz")]
    assert main(["evaluate", *words, "--json", str(tmp_path / "e.json")]) == 0
    read = document.load(tmp_path / "e.json")
    assert isinstance(read, edgekit.Evaluation)
    assert read.count == 24
    assert json.loads((tmp_path / "e.json").read_text())["accuracy"] > 0.7


def test_what_speaks_against_the_samples_is_said(
    models: Path, labelled: edgekit.Samples, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Five times the same samples."""
    assert labelled.labels is not None
    x, y = (np.concatenate([each] * 5) for each in (labelled.inputs["image"], labelled.labels))
    np.savez(tmp_path / "s.npz", x=x, y=y)
    words = [str(models / "classifier.int8.tflite"), "--samples", str(tmp_path / "s.npz")]
    assert main(["evaluate", *words, "--json", str(tmp_path / "e.json")]) == 0
    (found,) = document.load(tmp_path / "e.json").findings
    assert found.kind == "repeated_samples"
    assert f"warning: {found.sentence}" in capfd.readouterr().err


def figures_of(result: edgekit.Evaluation) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in result.figures if not figure.group}


@pytest.mark.parametrize("task", ["embedding", "multi-label"])
def test_a_task_is_judged_as_compare_does(
    models: Path, labelled: edgekit.Samples, task: str
) -> None:
    file = models / "classifier.int8.tflite"
    result = edgekit.evaluate(file, labelled, task)
    assert (result.task, result.count) == (task, 24)
    golden = edgekit.Golden.of(models / "classifier.float32.tflite", labelled, tasks=task)
    (candidate,) = edgekit.compare(golden, file).candidates
    known = {f.name: f.value for f in candidate.figures if not f.group and f.reference is not None}
    assert figures_of(result) == known
    assert all(f.reference is None for f in result.figures)
    jsonschema.validate(result.to_json(), document.json_schema("evaluation"))


def test_boxes_are_scored_by_a_decoder(models: Path) -> None:
    with np.load(models / "expected.npz") as archive:
        image = archive["detector/in/image"]
    file = models / "detector.float32.tflite"
    decoder = DecodedBoxes(
        boxes="boxes", scores="scores", classes="classes", count="count", score_threshold=0.0
    )
    with edgekit.load(file) as runner:
        golden = edgekit.Golden.of(runner, {"image": image}, decoder=decoder)
        found = golden.boxes()
        labels = np.full((24, 5, 5), -1.0)
        for row, boxes in zip(labels, found, strict=True):
            row[: len(boxes), :4], row[: len(boxes), 4] = boxes.corners, boxes.classes
        samples = edgekit.Samples({"image": image}, labels)
        result = edgekit.evaluate(runner, samples, decoder=decoder)
        assert result.task == "detection"
        (candidate,) = edgekit.compare(
            edgekit.Golden.of(runner, samples, decoder=decoder), runner
        ).candidates
        of_both = {f.name: f.value for f in candidate.figures}
        assert figures_of(result)["map50"] == of_both["map50"]
        with pytest.raises(UsageError, match="needs a decoder"):
            edgekit.evaluate(runner, samples, {"boxes": "detection"})


def test_the_command_takes_labels_and_tasks(
    models: Path, labelled: edgekit.Samples, tmp_path: Path
) -> None:
    np.savez(tmp_path / "s.npz", image=labelled.inputs["image"])
    np.savez(tmp_path / "labels.npz", **{"y/digit": labelled.labels})
    words = [str(models / "classifier.float32.tflite"), "--samples", str(tmp_path / "s.npz")]
    words += ["--labels", str(tmp_path / "labels.npz"), "--json", str(tmp_path / "e.json")]
    assert main(["evaluate", *words]) == 0
    assert json.loads((tmp_path / "e.json").read_text())["accuracy"] == 23 / 24
    assert main(["evaluate", *words, "--task", "digit=embedding", "--overwrite"]) == 0
    assert json.loads((tmp_path / "e.json").read_text())["task"] == "embedding"
    assert main(["evaluate", *words[:3]]) == 2
