"""A trained classifier in every scheme and format: the same answers, names, and nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import document
from edgekit.artifact import SCHEMES, Artifact
from edgekit.convert import finish, making, request
from edgekit.errors import (
    DocumentError,
    ExportError,
    OutputExistsError,
    RecipeError,
    SamplesError,
    TensorError,
    UsageError,
)
from edgekit.recipe import ExportRecipe, PruneRecipe
from edgekit.samples import Samples
from edgekit.tensor import TensorSpec

ONNX_SCHEMES = ("float32", "float16", "dynamic", "int8")
# The digits' dense layer has 48 inputs: no blocks of 32.
TFLITE_SCHEMES = tuple(s for s in SCHEMES if s != "int4-blocks")
MADE = [("tflite", s) for s in TFLITE_SCHEMES] + [("onnx", s) for s in ONNX_SCHEMES]
TOLERANCE = 1e-5


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def expected(digits_model: Path, digits: Any) -> np.ndarray:
    """What Keras answers to all validation samples."""
    import keras

    model = keras.saving.load_model(digits_model)
    return model.predict(digits.validation.inputs["image"], verbose=0)


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(answers.argmax(-1) == labels))


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_float_files_answer_as_keras_does(
    digits_files: Any, digits: Any, expected: np.ndarray, format: str
) -> None:
    with edgekit.load(digits_files.path(format, "float32")) as runner:
        answers = runner.infer_batch(digits.validation.inputs)["probabilities"]
    assert np.abs(answers - expected).max() <= TOLERANCE * np.ptp(expected)


@pytest.mark.parametrize(("format", "scheme"), MADE)
def test_every_file_keeps_the_accuracy(
    digits_files: Any, digits: Any, expected: np.ndarray, format: str, scheme: str
) -> None:
    labels = digits.validation.labels
    with edgekit.load(digits_files.path(format, scheme)) as runner:
        answers = runner.infer_batch(digits.validation.inputs)["probabilities"]
    # Sixteen steps for a weight cost more than 256.
    lost = 0.02 if scheme.startswith("int4") else 0.01
    assert accuracy(answers, labels) >= accuracy(expected, labels) - lost


@pytest.mark.parametrize(("format", "scheme"), MADE)
def test_names_and_a_batch_of_one(digits_files: Any, format: str, scheme: str) -> None:
    with edgekit.load(digits_files.path(format, scheme)) as runner:
        assert [(s.name, s.shape) for s in runner.inputs] == [("image", (1, 8, 8, 1))]
        assert [(s.name, s.shape) for s in runner.outputs] == [("probabilities", (1, 10))]


def test_quantised_files_are_smaller(digits_files: Any) -> None:
    sizes = {s: digits_files.path("tflite", s).stat().st_size for s in TFLITE_SCHEMES}
    assert sizes["int4-weights"] < sizes["int8-weights"] < sizes["float16"]
    assert sizes["int8"] < sizes["float16"] < sizes["float32"]
    assert sizes["dynamic"] < sizes["float16"]


def test_int8_files_compute_in_integers(digits_files: Any) -> None:
    with edgekit.load(digits_files.path("tflite", "int8")) as runner:
        assert {spec.dtype for spec in (*runner.inputs, *runner.outputs)} == {"int8"}
    with edgekit.load(digits_files.path("tflite", "int16x8")) as runner:
        assert runner.inputs[0].dtype == "int16"


def test_the_manifest_tells_it_all(digits_files: Any, digits_model: Path) -> None:
    read = document.load(digits_files.folder / "manifest.json")
    kind, manifest = read.kind, read.to_json()
    assert kind == "manifest"
    assert manifest["source"]["sha256"] == Artifact.of(digits_model).sha256
    assert manifest["source"]["path"] == "digits.keras"
    assert manifest["source"]["flavour"] == "keras"
    assert {"tensorflow", "keras", "edgekit", "tf2onnx"} <= set(manifest["versions"])
    files = {row["path"]: row for row in manifest["files"]}
    assert set(files) == {
        *(f"digits.{scheme}.{format}" for format, scheme in MADE),
        "digits.prune50.int8.tflite",
    }
    for name, row in files.items():
        artifact = Artifact.of(digits_files.folder / name)
        assert row["sha256"] == artifact.sha256
        assert row["size_bytes"] == artifact.size_bytes
        assert row["recipe"]["scheme"] == row["scheme"] == artifact.scheme
        assert row["ops"]
    int8 = files["digits.int8.tflite"]
    assert int8["inputs"][0]["quantization"]["scale"][0] > 0
    calibration = int8["recipe"]["calibration"]
    assert calibration["samples"] == 900
    assert calibration["method"] == ExportRecipe.calibration_method
    assert calibration["split_half"]["enough"] is True
    assert files["digits.int8.onnx"]["recipe"]["calibration"]["split_half"]["enough"] is True
    assert int8["float_ops"] == []
    assert "int8" in int8["ops"]
    assert files["digits.float32.tflite"]["recipe"].get("calibration") is None
    pruned = files["digits.prune50.int8.tflite"]["recipe"]["prune"]
    assert pruned["sparsity"] == 0.5
    assert set(pruned["sparsity_by_layer"]) == {"conv1", "conv2", "conv3", "logits"}


def test_what_a_quantiser_does_not_offer_is_skipped_with_its_reason(digits_files: Any) -> None:
    manifest = document.load(digits_files.folder / "manifest.json").to_json()
    skipped = {(row["format"], row["scheme"]): row["reason"] for row in manifest["skipped"]}
    assert "not divisible by block size 32" in skipped.pop(("tflite", "int4-blocks"))
    assert set(skipped) == {("onnx", s) for s in SCHEMES if s not in ONNX_SCHEMES}
    assert all("use float32, float16, dynamic or int8" in reason for reason in skipped.values())


def test_only_the_files_and_the_manifest_are_left(digits_files: Any) -> None:
    names = {path.name for path in digits_files.folder.iterdir()}
    assert names == {
        *(f"digits.{scheme}.{format}" for format, scheme in MADE),
        "digits.prune50.int8.tflite",
        "digits.prune50.keras",
        "manifest.json",
    }


@pytest.mark.parametrize("format", ["tflite", "onnx"])
@pytest.mark.parametrize(("batch", "size"), [("dynamic", None), ("4", 4)])
def test_other_batches(
    tmp_path: Path,
    digits_model: Path,
    digits: Any,
    expected: np.ndarray,
    format: str,
    batch: str,
    size: int | None,
) -> None:
    (file,) = edgekit.export(
        digits_model,
        out=tmp_path,
        schemes=["float32"],
        formats=[format],
        recipe=ExportRecipe(batch=batch),
    )
    count = 10
    with edgekit.load(file.path) as runner:
        assert runner.inputs[0].shape[0] == size
        answers = runner.infer_batch(digits.validation[:count].inputs)["probabilities"]
    assert np.abs(answers - expected[:count]).max() <= TOLERANCE


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_int8_with_a_batch_of_four(
    tmp_path: Path, digits_model: Path, digits: Any, format: str
) -> None:
    (file,) = edgekit.export(
        digits_model,
        out=tmp_path,
        schemes=["int8"],
        formats=[format],
        calibration=digits.train,
        recipe=ExportRecipe(batch="4", calibration=30),
    )
    part = digits.validation
    with edgekit.load(file.path) as runner:
        answers = runner.infer_batch(part.inputs)["probabilities"]
    assert accuracy(answers, part.labels) > 0.9


def test_int8_with_real_numbers_at_its_ends(
    tmp_path: Path, digits_model: Path, digits: Any, expected: np.ndarray
) -> None:
    (file,) = edgekit.export(
        digits_model,
        out=tmp_path,
        schemes=["int8"],
        calibration=digits.train,
        recipe=ExportRecipe(io_dtype="float32"),
    )
    part = digits.validation
    with edgekit.load(file.path) as runner:
        assert {spec.dtype for spec in (*runner.inputs, *runner.outputs)} == {"float32"}
        answers = runner.infer_batch(part.inputs)["probabilities"]
    assert accuracy(answers, part.labels) >= accuracy(expected, part.labels) - 0.01
    manifest = document.load(tmp_path / "manifest.json").to_json()
    assert manifest["files"][0]["recipe"]["io_dtype"] == "float32"


def test_files_are_named_one_by_one(tmp_path: Path, digits_model: Path) -> None:
    made = edgekit.export(digits_model, out=tmp_path, files=["float16.onnx", "float32.tflite"])
    assert [(file.name, file.format, file.scheme) for file in made] == [
        ("digits.float16.onnx", "onnx", "float16"),
        ("digits.float32.tflite", "tflite", "float32"),
    ]
    assert {path.name for path in tmp_path.iterdir()} == {
        *(file.name for file in made),
        "manifest.json",
    }


def test_what_a_recipe_says_stands(tmp_path: Path, digits_model: Path, digits: Any) -> None:
    recipe = ExportRecipe(schemes=("float16",), formats=("onnx",))
    made = edgekit.export(digits_model, out=tmp_path, recipe=recipe, calibration=digits.train)
    assert [file.name for file in made] == ["digits.float16.onnx"]


def test_a_second_export_adds_to_the_manifest(tmp_path: Path, digits_model: Path) -> None:
    out = tmp_path / "new" / "folder"
    edgekit.export(digits_model, out=out, schemes=["float32"])
    edgekit.export(digits_model, out=out, schemes=["dynamic", "float16"])
    edgekit.export(digits_model, out=out, schemes=["float32"], overwrite=True)
    manifest = document.load(out / "manifest.json").to_json()
    names = [row["path"] for row in manifest["files"]]
    assert names == [f"digits.{s}.tflite" for s in ("dynamic", "float16", "float32")]
    assert sorted(content(out)) == sorted([*names, "manifest.json"])


def test_what_exists_is_refused(tmp_path: Path, digits_model: Path) -> None:
    taken = tmp_path / "digits.float32.tflite"
    taken.write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match=r"digits\.float32\.tflite exists already"):
        edgekit.export(digits_model, out=tmp_path, schemes=["float32"])
    assert content(tmp_path) == {"digits.float32.tflite": b"mine"}


def another_models(folder: Path) -> None:
    import keras

    inputs = keras.Input((2,), name="x")
    keras.Model(inputs, keras.layers.Dense(1)(inputs)).save(folder / "other.keras")


def test_another_models_manifest_stays(tmp_path: Path, digits_model: Path) -> None:
    another_models(tmp_path)
    out = tmp_path / "out"
    edgekit.export(tmp_path / "other.keras", out=out, schemes=["float32"])
    before = content(out)
    with pytest.raises(DocumentError, match=r"is of a model with sha256"):
        edgekit.export(digits_model, out=out, schemes=["float32"])
    assert content(out) == before


def test_a_foreign_manifest_stays(tmp_path: Path, digits_model: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a web application"}')
    before = content(tmp_path)
    with pytest.raises(DocumentError, match="not a manifest of edgekit's"):
        edgekit.export(digits_model, out=tmp_path, schemes=["float32"])
    assert content(tmp_path) == before


@pytest.mark.parametrize("at", ["a trace", "a file", "the manifest"])
@pytest.mark.parametrize("existed", [False, True])
@pytest.mark.parametrize("error", [ExportError, KeyboardInterrupt])
def test_a_failure_leaves_the_folder_as_it_was(
    tmp_path: Path,
    digits_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    existed: bool,
    error: type[BaseException],
) -> None:
    out = tmp_path / "new" / "folder"
    if existed:
        out.mkdir(parents=True)
        (out / "digits.dynamic.tflite").write_bytes(b"old")

    def fails(*_: object) -> None:
        raise error("on purpose")

    target, name = {
        "a trace": (making, "freeze"),
        "a file": (finish, "operators_of"),
        "the manifest": (request, "move"),
    }[at]
    monkeypatch.setattr(target, name, fails)
    with pytest.raises(error, match="on purpose"):
        edgekit.export(digits_model, out=out, schemes=["dynamic"], overwrite=True, cache=False)
    if existed:
        assert content(out) == {"digits.dynamic.tflite": b"old"}
    else:
        assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_load_is_not_kept(
    tmp_path: Path, digits_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(finish._WRITERS, "tflite", lambda *_: b"nonsense")
    with pytest.raises(ExportError, match="tflite float32: was made, but does not load"):
        edgekit.export(digits_model, out=tmp_path / "out", schemes=["float32"], cache=False)
    assert not (tmp_path / "out").exists()


def test_calls_that_are_wrong(tmp_path: Path, digits_model: Path, digits: Any) -> None:
    out = tmp_path / "out"
    x = digits.train.inputs["image"]
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (RecipeError, "Did you mean 'int8'", {"schemes": ["int9"]}),
        (RecipeError, "Did you mean 'tflite'", {"formats": ["tflight"]}),
        (RecipeError, "received none", {"schemes": []}),
        (UsageError, r"expected a list: \['float32'\]", {"schemes": "float32"}),
        (UsageError, r"calibration: received int, expected edgekit.Samples", {"calibration": 5}),
        (UsageError, "does not exist", {"model": tmp_path / "missing.keras"}),
        (UsageError, "does not exist", {"calibration": tmp_path / "missing.npz"}),
        (TensorError, "no such input", {"calibration": Samples({"imago": x})}),
        (TensorError, "channel axis", {"calibration": Samples({"image": x[..., 0]})}),
        (UsageError, "samples to fine-tune with", {"recipe": ExportRecipe(prune=PruneRecipe(0.5))}),
        (
            UsageError,
            "no labels",
            {"recipe": ExportRecipe(prune=PruneRecipe(0.5)), "data": Samples({"image": x})},
        ),
        (
            SamplesError,
            "received 10 at sample 0",
            {
                "recipe": ExportRecipe(prune=PruneRecipe(0.5)),
                "data": Samples({"image": x}, np.full(len(x), 10)),
            },
        ),
    ]
    for error, message, arguments in cases:
        given = {"model": digits_model, "out": out, "schemes": ["float32"], **arguments}
        with pytest.raises(error, match=message):
            edgekit.export(given.pop("model"), **given)
        assert not out.exists(), message
    out.write_text("a file")
    with pytest.raises(UsageError, match="is a file, expected a folder"):
        edgekit.export(digits_model, out=out, schemes=["float32"])


def test_steps_are_told(tmp_path: Path, digits_model: Path) -> None:
    lines: list[str] = []
    edgekit.export(
        digits_model,
        out=tmp_path,
        schemes=["float32", "int8-weights"],
        formats=["tflite", "onnx"],
        progress=lines.append,
    )
    assert len(lines) == 4
    assert any("digits.int8-weights.onnx: skipped" in line for line in lines)


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_calibration_says_what_the_samples_are_worth(
    tmp_path: Path, digits_model: Path, digits: Any, format: str
) -> None:
    lines: list[str] = []
    scaled = {name: x * 4 for name, x in digits.validation.inputs.items()}
    # Few ones: the model's own statistics complete them.
    pictures = digits.train.inputs["image"][:2]
    made = edgekit.export(
        digits_model,
        out=tmp_path,
        schemes=["int8"],
        formats=[format],
        calibration=Samples({"image": pictures}),
        validation=Samples(scaled),
        recipe=ExportRecipe(calibration_method="percentile", percentile=99.9),
        progress=lines.append,
    )
    manifest = document.load(tmp_path / "manifest.json").to_json()
    calibration = manifest["files"][0]["recipe"]["calibration"]
    assert (calibration["method"], calibration["percentile"]) == ("percentile", 99.9)
    assert calibration["validation"]["alike"] is False
    assert "generate 62 inputs from the model's batch normalisations, to calibrate on" in lines
    assert any(
        "2 samples were given: calibrated on 62 generated inputs" in w for w in made.warnings
    )
    assert any("do not look like" in line for line in lines)


def test_blocks_of_four_bits_where_a_dense_layer_has_them(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((64,), name="image")
    dense = keras.layers.Dense(96, activation="relu")(image)
    keras.Model(image, keras.layers.Dense(4, name="scores")(dense)).save(tmp_path / "m.keras")
    (blocks, whole) = edgekit.export(
        tmp_path / "m.keras", out=tmp_path / "out", schemes=["int4-blocks", "float32"]
    )
    assert blocks.name == "m.int4-blocks.tflite"
    assert blocks.scheme == Artifact.of(blocks.path).scheme == "int4-blocks"
    assert blocks.size_bytes < whole.size_bytes / 3
    x = {"image": np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)}
    with edgekit.load(blocks.path) as small, edgekit.load(whole.path) as large:
        ours, theirs = small.infer_batch(x)["scores"], large.infer_batch(x)["scores"]
    # 0.10 to 0.14 of what varies, with weights of four seeds.
    assert 0 < np.std(ours - theirs) < 0.28 * np.std(theirs)


def test_a_model_without_weights_for_a_scheme_says_so(tmp_path: Path) -> None:
    import keras

    image = keras.Input((4, 4, 2), name="image")
    pooled = keras.layers.GlobalAveragePooling2D(name="mean")(image)
    keras.Model(image, pooled).save(tmp_path / "m.keras")
    schemes = ["int8-weights", "int4-weights", "int4-blocks", "dynamic"]
    edgekit.export(
        tmp_path / "m.keras",
        out=tmp_path / "out",
        schemes=["float32", *schemes],
        formats=["tflite", "onnx"],
    )
    manifest = document.load(tmp_path / "out" / "manifest.json").to_json()
    reasons = {(row["format"], row["scheme"]): row["reason"] for row in manifest["skipped"]}
    for scheme in schemes[:3]:
        assert "no weights" in reasons["tflite", scheme]
    assert "no weights" in reasons["onnx", "dynamic"]


def test_the_specs_returned_are_the_files(digits_files: Any) -> None:
    manifest = json.loads((digits_files.folder / "manifest.json").read_text("utf-8"))
    for row in manifest["files"]:
        with edgekit.load(digits_files.folder / row["path"]) as runner:
            specs: tuple[TensorSpec, ...] = runner.inputs
            assert row["inputs"] == [spec.to_json() for spec in specs]
