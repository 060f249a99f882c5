"""The commands diff, diagnose and heal, and compare --layers, as a shell sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.diagnose.heal.editor import Editor


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    needs.package("ai_edge_litert")
    rng = np.random.default_rng(4)
    np.savez(tmp_path / "x.npz", x=(rng.random((40, 8, 8, 1)) * 16).astype(np.float32))
    return tmp_path / "x.npz"


@pytest.fixture
def golden(models: Path, samples: Path, tmp_path: Path) -> Path:
    with edgekit.load(models / "classifier.float32.tflite") as runner:
        edgekit.Golden.of(runner, samples).save(tmp_path / "golden.npz")
    return tmp_path / "golden.npz"


@pytest.fixture
def broken(models: Path, tmp_path: Path) -> Path:
    """A file with the last kernel turned round."""
    editor = Editor((models / "classifier.int8.tflite").read_bytes())
    place, _ = list(editor.layers())[-1]
    graph = editor.file.graphs[0]
    kernel = graph.tensors[graph.operators[place].inputs[1]].constant("<i1")
    values = kernel.of(editor.file.content)
    values[:] = values[::-1].copy()
    path = tmp_path / "broken.int8.tflite"
    path.write_bytes(editor.content)
    return path


def test_diff_is_a_document_on_stdout(command: Any, models: Path, samples: Path) -> None:
    first, second = (models / f"classifier.{s}.tflite" for s in ("float32", "int8"))
    done = command("diff", first, second, "--samples", samples)
    assert done.code == 0, done.err
    found = edgekit.Diff.from_json(done.json())
    assert found.samples == 40
    assert len(found.changed) == 3


def test_compare_shows_layers_and_writes_node_data(
    command: Any, models: Path, golden: Path, tmp_path: Path
) -> None:
    files = [models / f"classifier.{s}.tflite" for s in ("float32", "int8")]
    data, out = tmp_path / "nodes.json", tmp_path / "drift.json"
    done = command(
        "compare", *files, "--golden", golden, "--layers", "--node-data", data, "--json", out
    )
    assert done.code == 0, done.err
    assert "own dB" in done.err
    found = edgekit.Drift.from_json(json.loads(out.read_text("utf-8")))
    plain, int8 = found.candidates
    assert plain.layers is None
    assert int8.layers is not None
    assert json.loads(data.read_text("utf-8"))["main"]["results"]


def test_node_data_needs_layers(fails: Callable[..., str], models: Path, golden: Path) -> None:
    file = models / "classifier.int8.tflite"
    said = fails(2, "compare", file, "--golden", golden, "--node-data", "n.json")
    assert "needs --layers" in said
    said = fails(2, "compare", file, "--golden", golden, "--layers")
    assert "--layers FLOAT" in said


def test_diagnose_tells_healthy_from_broken(
    command: Any, models: Path, golden: Path, broken: Path
) -> None:
    plain = models / "classifier.float32.tflite"
    healthy = models / "classifier.int8.tflite"
    done = command("diagnose", healthy, "--golden", golden, "--float", plain)
    assert done.code == 0, done.err
    assert done.json()["verdict"] == "healthy"
    done = command("diagnose", broken, "--golden", golden, "--float", plain)
    assert done.code == 3, done.err
    cause = done.json()["causes"][0]
    assert cause["kind"] == "weights_changed"
    assert cause["layer"] == "conv2d_1_2"


def test_a_float_file_of_the_other_format_is_refused(
    fails: Callable[..., str], models: Path, golden: Path, broken: Path
) -> None:
    other = models / "classifier.float32.onnx"
    assert "expected one in tflite" in fails(
        2, "diagnose", broken, "--golden", golden, "--float", other
    )


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_a_quantised_file_is_no_float_file(
    fails: Callable[..., str],
    models: Path,
    golden: Path,
    samples: Path,
    tmp_path: Path,
    format: str,
) -> None:
    plain, int8 = (models / f"classifier.{s}.{format}" for s in ("float32", "int8"))
    said = "received a quantised file, expected the float file"
    assert said in fails(2, "diagnose", plain, "--golden", golden, "--float", int8)
    assert said in fails(2, "compare", plain, "--golden", golden, "--layers", int8)
    if format == "tflite":
        dynamic = models / "classifier.dynamic.tflite"
        assert said in fails(2, "diagnose", plain, "--golden", golden, "--float", dynamic)
        given = ("--calibration", samples, "--samples", samples, "-o", tmp_path / "out.tflite")
        assert said in fails(2, "heal", int8, plain, *given)
    assert not (tmp_path / "out.tflite").exists()


def test_layers_without_a_file_of_the_same_format_are_refused(
    fails: Callable[..., str], models: Path, golden: Path
) -> None:
    plain, other = models / "classifier.float32.tflite", models / "classifier.int8.onnx"
    said = "no other file to hold against it"
    assert said in fails(2, "compare", other, "--golden", golden, "--layers", plain)
    assert said in fails(2, "compare", plain, "--golden", golden, "--layers")


def test_a_file_beside_itself_is_equal(command: Any, models: Path, golden: Path) -> None:
    plain = models / "classifier.float32.tflite"
    done = command("diagnose", plain, "--golden", golden, "--float", plain)
    assert done.code == 0, done.err
    assert "equal in every operator" in " ".join(done.err.split())
    assert "- dB" not in done.err


@pytest.mark.tensorflow
def test_the_model_is_named_and_not_a_file_that_is_gone(
    command: Any, digits_model: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    x = (rng.random((40, 8, 8, 1)) * 16).astype(np.float32)
    edgekit.Golden.of(digits_model, {"image": x}).save(tmp_path / "digits.npz")
    (made,) = edgekit.export(digits_model, out=tmp_path / "made", schemes=["float32"])
    done = command(
        "diagnose", made.path, "--golden", tmp_path / "digits.npz", "--model", digits_model
    )
    found = done.json()
    assert found["reference"] == found["layers"]["reference"] == str(digits_model)


@pytest.mark.slow
def test_heal_writes_a_better_file_or_none(
    command: Any, models: Path, samples: Path, broken: Path, tmp_path: Path
) -> None:
    plain, out = models / "classifier.float32.tflite", tmp_path / "better.int8.tflite"
    rng = np.random.default_rng(9)
    calibration = tmp_path / "calibration.npz"
    np.savez(calibration, x=(rng.random((80, 8, 8, 1)) * 16).astype(np.float32))
    ends = ("--calibration", calibration, "--samples", samples, "-o", out)
    done = command("heal", plain, broken, *ends)
    assert done.code == 0, done.err
    found = edgekit.Healing.from_json(done.json())
    assert found.healed is not None
    assert found.healed.file == str(out)
    assert out.exists()
    done = command("heal", plain, broken, *ends)
    assert done.code == 2
    out.unlink()
    # A float file cannot follow itself better.
    done = command("heal", plain, plain, *ends)
    assert done.code == 3, done.err
    assert not out.exists()


def test_the_original_model_names_its_own_layers(
    command: Any, digits_files: Any, digits_model: Path, digits: Any, tmp_path: Path
) -> None:
    """A float file is made of the model, and the fault is placed in a layer that the model has."""
    import keras

    needs.package("ai_edge_litert")
    with edgekit.load(digits_files.path("tflite", "float32")) as runner:
        edgekit.Golden.of(runner, digits.test.subset(60)).save(tmp_path / "golden.npz")
    editor = Editor(digits_files.path("tflite", "int8").read_bytes())
    place, _ = list(editor.layers())[-1]
    graph = editor.file.graphs[0]
    values = graph.tensors[graph.operators[place].inputs[1]].constant("<i1")
    kernel = values.of(editor.file.content)
    kernel[:] = kernel[::-1].copy()
    broken = tmp_path / "broken.int8.tflite"
    broken.write_bytes(editor.content)
    done = command(
        "diagnose",
        broken,
        "--golden",
        tmp_path / "golden.npz",
        "--model",
        digits_model,
        "--json",
        "-",
    )
    assert done.code == 3, done.err
    found = edgekit.Diagnosis.from_json(done.json())
    assert found.reference == str(digits_model)
    assert found.layers is not None
    layers = keras.models.load_model(digits_model).layers
    known = [layer.name for layer in layers]
    assert found.causes[0].kind == "weights_changed"
    assert found.causes[0].layer == [layer.name for layer in layers if layer.weights][-1]
    assert {row.layer for row in found.layers.layers} <= {"", *known}
