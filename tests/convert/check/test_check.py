"""Every file is run beside its model; one that does not answer as the model does is not handed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.convert.check.cause import first_lost
from edgekit.convert.check.ends import VALUES, End
from edgekit.convert.check.judge import REFUSED_DB, WARNED_DB, is_random, judge, max_error
from edgekit.convert.check.reference import Reference
from edgekit.convert.check.run import run
from edgekit.errors import ExportError, require
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite_check import read_file
from edgekit.models import load
from edgekit.models.objects import from_object
from edgekit.runtime.onnx_session import has_modes
from edgekit.samples import Samples

FILES = ["float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx"]


def images(count: int = 100) -> Samples:
    x = np.random.default_rng(0).random((count, 8, 8, 1)).astype(np.float32)
    return Samples({"image": x})


@pytest.fixture(scope="module")
def made(once: Callable[..., Path]) -> Path:
    """A small classifier, exported four times, with its manifest."""

    def make(folder: Path) -> None:
        keras = require("keras", "export", "a test")
        keras.utils.set_random_seed(0)
        wide = keras.initializers.RandomNormal(stddev=1.0)
        layers = keras.layers
        given = layers.Input((8, 8, 1), name="image")
        x = layers.Conv2D(6, 3, activation="relu", name="first", kernel_initializer=wide)(given)
        x = layers.Conv2D(6, 3, activation="relu", name="second")(x)
        x = layers.Dense(5, name="last", kernel_initializer=wide)(layers.Flatten()(x))
        model = keras.Model(given, layers.Softmax(name="scores")(x))
        model.save(folder / "m.keras")
        edgekit.export(folder / "m.keras", out=folder, files=FILES, calibration=images())

    return once("checked", make)


@pytest.fixture(scope="module")
def reference(made: Path) -> Reference:
    return Reference(load(made / "m.keras"), images())


def file_of(made: Path, name: str) -> ModelFile:
    return ModelFile.read((made / f"m.{name}").read_bytes(), name.rsplit(".", 1)[-1])


def test_the_manifest_says_how_each_file_follows_the_model(made: Path) -> None:
    files = json.loads((made / "manifest.json").read_text("utf-8"))["files"]
    assert {file["path"] for file in files} == {f"m.{name}" for name in FILES}
    for file in files:
        check = file["check"]
        assert (check["samples"], check["origin"]) == (64, "calibration")
        assert check["kernels"][0].startswith(
            "onnxruntime 1" if file["format"] == "onnx" else "ai-edge-litert 2"
        )
        if (file["format"], file["scheme"]) == ("onnx", "int8") and has_modes():
            assert check["kernels"][1] == f"{check['kernels'][0]}, exact mode"
        else:
            assert len(check["kernels"]) == 1
        (row,) = check["outputs"]
        assert (row["output"], row["kind"], row["channels"]) == ("scores", "softmax", 5)
        assert row["kept"] > 0.9
        assert row["dead"] == []
        if file["scheme"] == "float32":
            assert row["max_error"] < 1e-5
        else:
            assert row["sqnr_db"] > WARNED_DB
            assert not [line for line in file["warnings"] if "follows" in line]


@pytest.mark.parametrize("name", FILES)
def test_a_file_as_it_was_made_is_judged_as_the_manifest_says(
    made: Path, reference: Reference, name: str
) -> None:
    verdict = judge(name.split(".")[0], reference, run(file_of(made, name), reference.samples))
    assert (verdict.faults, verdict.warnings) == ((), ())
    files = json.loads((made / "manifest.json").read_text("utf-8"))["files"]
    (entry,) = (file for file in files if file["path"] == f"m.{name}")
    assert verdict.check.to_json() == entry["check"]


def constants(content: bytearray, dtype: str, least: int) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """The constants of a TFLite file of at least so many values, writable."""
    kinds = {"float32": "<f4", "int8": "<i1"}
    (graph,) = read_file(content).graphs
    found = [
        (tensor.name, tensor.constant(kinds[dtype]).of(content))
        for tensor in graph.tensors
        if tensor.dtype == dtype
    ]
    return [(name, values) for name, values in found if values.size >= least]


def test_a_float_file_with_a_wrong_kernel_is_refused_and_the_layer_named(
    made: Path, reference: Reference
) -> None:
    content = bytearray(file_of(made, "float32.tflite").content)
    # The largest kernel but that of the dense layer: 3 x 3 x 6 x 6 values.
    (kernel,) = (v for _, v in constants(content, "float32", 324) if v.size == 324)
    kernel *= 1.02
    file = ModelFile.read(bytes(content), "tflite")
    verdict = judge("float32", reference, run(file, reference.samples))
    (fault,) = verdict.faults
    assert "output 'scores': differs from the model by" in fault
    assert first_lost(file, reference, verdict.least_db).startswith("layer 'second' at ")


def test_a_channel_that_is_lost_is_warned_of_by_its_place(made: Path, reference: Reference) -> None:
    content = bytearray(file_of(made, "int8.tflite").content)
    (kernel,) = (v for _, v in constants(content, "int8", 400) if v.size == 480)
    kernel.reshape(5, -1)[3] = 0
    verdict = judge(
        "int8", reference, run(ModelFile.read(bytes(content), "tflite"), reference.samples)
    )
    (row,) = verdict.check.outputs
    # What is left of the logit is one constant, seen through the mean of all.
    assert verdict.faults or verdict.warnings
    assert row.sqnr_db is not None
    assert row.sqnr_db < WARNED_DB


def test_a_file_whose_classes_are_mixed_up_is_refused(made: Path, reference: Reference) -> None:
    content = bytearray(file_of(made, "int8.tflite").content)
    (kernel,) = (v for _, v in constants(content, "int8", 400) if v.size == 480)
    kernel[:] = np.roll(kernel.reshape(5, -1), 1, 0).ravel()
    verdict = judge(
        "int8", reference, run(ModelFile.read(bytes(content), "tflite"), reference.samples)
    )
    (fault,) = verdict.faults
    assert "output 'scores'" in fault
    (row,) = verdict.check.outputs
    assert row.kept is not None
    assert row.kept < 0.5 or (row.sqnr_db is not None and row.sqnr_db < REFUSED_DB)


def test_a_file_that_is_far_off_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    """Kernels that are 1 but for 1e-4: half precision has steps of 5e-4 there, and the difference is all."""
    keras = require("keras", "export", "a test")
    given = keras.layers.Input((4,), name="x")
    near, one = keras.layers.Dense(3, use_bias=False), keras.layers.Dense(3, use_bias=False)
    model = keras.Model(given, keras.layers.Subtract(name="y")([near(given), one(given)]))
    ones = np.ones((4, 3), np.float32)
    near.set_weights([ones + np.random.default_rng(1).uniform(0, 2e-4, (4, 3)).astype("f4")])
    one.set_weights([ones])
    calibration = Samples({"x": np.random.default_rng(0).random((64, 4)).astype(np.float32) + 1})
    wanted: dict[str, Any] = {"files": ["float32.onnx", "float16.onnx"], "calibration": calibration}
    result = edgekit.export(model, out=tmp_path / "a", **wanted)
    (skipped,) = result.skipped
    assert [file.scheme for file in result] == ["float32"]
    assert not (tmp_path / "a" / f"{model.name}.float16.onnx").exists()
    assert (
        "does not answer as the model does: output 'y': differs from the model by" in skipped.reason
    )
    assert "--allow-inaccurate" in skipped.reason
    result = edgekit.export(
        model,
        out=tmp_path / "b",
        recipe=edgekit.ExportRecipe(allow_inaccurate=True),
        **wanted,
    )
    assert [file.scheme for file in result] == ["float32", "float16"]
    assert any("differs from the model" in line for line in result.warnings)


def test_only_seeded_inputs_where_there_is_nothing_else(tmp_path: Path) -> None:
    keras = require("keras", "export", "a test")
    given = keras.layers.Input((7,), dtype="int32", name="ids")
    x = keras.layers.Flatten()(keras.layers.Embedding(90, 3)(given))
    model = keras.Model(given, keras.layers.Dense(2)(x))
    (file,) = edgekit.export(model, out=tmp_path, files=["float32.tflite"])
    (entry,) = json.loads((tmp_path / "manifest.json").read_text("utf-8"))["files"]
    assert entry["check"]["origin"] == "seeded"
    assert entry["check"]["samples"] == 64
    assert file.scheme == "float32"


def test_a_state_of_the_model_is_its_own_again_afterwards() -> None:
    keras = require("keras", "export", "a test")
    given = keras.layers.Input(batch_shape=(1, 3, 2), name="x")
    model = keras.Model(given, keras.layers.SimpleRNN(4, stateful=True)(given))
    x = np.ones((1, 3, 2), np.float32)
    model(x)
    before = [np.array(state) for state in model.layers[-1].states]
    reference = Reference(from_object(model), Samples({"x": np.ones((6, 3, 2), np.float32)}))
    answers = next(iter(reference.answers.values()))
    after = [np.array(state) for state in model.layers[-1].states]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    # It began without a state, and carried it on.
    assert not np.array_equal(answers[0], answers[1])
    model.layers[-1].reset_state()
    assert answers[0] == pytest.approx(np.array(model(x))[0], abs=1e-6)


def test_a_model_that_fails_itself_is_said_to_be_unchecked(made: Path) -> None:
    source = load(made / "m.keras")

    def fail(_: Any) -> Any:
        raise ValueError("no such kernel")

    with pytest.raises(ExportError, match=r"the model itself fails on samples .* no such kernel"):
        _ = Reference(replace(source, call=fail), images()).answers


def test_a_model_whose_answers_hang_on_their_batch_is_asked_as_the_file_is(tmp_path: Path) -> None:
    """A branch that the mean of a batch decides: asked 32 at a time, the model answers otherwise."""
    keras = require("keras", "export", "a test")
    given = keras.layers.Input((4,), name="x")
    kernel = keras.layers.Dense(4)
    high, low = kernel(given), keras.layers.Dense(4)(given)
    decided = keras.ops.cast(keras.ops.mean(given) > 0.0, "float32")
    model = keras.Model(given, {"y": decided * high + (1.0 - decided) * low})
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    result = edgekit.export(model, out=tmp_path, files=["float32.onnx"], calibration={"x": x})
    (warning,) = result.warnings
    assert "hangs on the others of its batch" in warning
    with edgekit.load(result[0].path) as runner:
        answers = [runner.infer({"x": row[None]})["y"] for row in x[:8]]
    expected = [np.asarray(model(row[None])["y"]) for row in x[:8]]
    np.testing.assert_allclose(answers, expected, rtol=1e-4, atol=1e-5)


def test_a_model_that_draws_random_numbers_is_refused_for_that(made: Path) -> None:
    """Its float files were handed over, since the model differs from itself as far as they do."""
    source = load(made / "m.keras")
    rng = np.random.default_rng(0)

    def draw(inputs: Any) -> Any:
        answers = source.call(inputs)
        noise = tensorflow.numpy_function(
            lambda x: rng.normal(size=x.shape).astype(np.float32), [*answers.values()], "float32"
        )
        return {name: answer + noise for name, answer in answers.items()}

    tensorflow = require("tensorflow", "export", "a test")
    reference = Reference(replace(source, call=draw), images())
    file = file_of(made, "float32.onnx")
    verdict = judge("float32", reference, run(file, reference.samples))
    assert verdict.faults
    assert is_random(reference)
    assert not is_random(Reference(source, images()))


def test_what_keeps_a_layer_from_being_named_is_said(made: Path) -> None:
    source = load(made / "m.keras")
    renamed = Samples({"other": images().inputs["image"]})
    found = first_lost(file_of(made, "int8.tflite"), Reference(source, renamed), WARNED_DB)
    assert found == "unknown: KeyError: 'image'"


def test_the_last_bits_of_large_numbers_are_no_error() -> None:
    """Near 100,000, float32 knows every 0.008: an output that moves by 1 there differs by that much."""
    expected = np.array([[1e5], [1e5 + 1]], np.float32)
    found = np.nextafter(expected, np.float32(np.inf))
    assert max_error(expected, found) == 0.0
    assert max_error(expected, found + np.float32(0.1)) == pytest.approx(0.109, abs=0.01)


def test_channels_of_a_float16_file_are_judged_by_what_they_move(made: Path) -> None:
    reference = Reference(load(made / "m.keras"), images())
    answers = run(file_of(made, "float32.onnx"), reference.samples)
    rng = np.random.default_rng(0)
    # Degrees of a town: 52.3 moves by 0.01, and half precision has steps of 0.03 there.
    place = (np.array([52.3, 4.9]) + rng.normal(0, 0.01, (64, 2))).astype(np.float32)
    half = place.astype(np.float16).astype(np.float32)
    town = Reference(reference.source, images())
    vars(town)["answers"] = {"scores": place}
    ends = {"scores": End(VALUES)}
    verdict = judge("float16", town, replace(answers, outputs={"scores": half}, ends=ends))
    assert not verdict.faults
    assert len(verdict.warnings) == 1
    near = (place + rng.normal(0, 1e-4, place.shape)).astype(np.float32)
    verdict = judge("float16", town, replace(answers, outputs={"scores": near}, ends=ends))
    assert (verdict.faults, verdict.warnings) == ((), ())


@pytest.mark.parametrize("whole", [False, True])
def test_a_part_that_is_lost_beside_what_it_is_stacked_on_is_warned_of(
    made: Path, reference: Reference, whole: bool
) -> None:
    x = np.random.default_rng(0).standard_normal((64, 2, 3)).astype(np.float32) * [[2000.0], [0.5]]
    model, answers = reference.source, run(file_of(made, "int8.tflite"), reference.samples)
    stacked = Reference(model, reference.calibration)
    stacked.__dict__["answers"] = {"scores": x}
    found = x + 3.0 if whole else np.rint(x / 20) * 20
    found[:, 1] += x[:, 1] - found[:, 1] if whole else 0
    given = replace(
        answers, outputs={"scores": found}, logits={}, ends={"scores": End(VALUES, step=20.0)}
    )
    verdict = judge("int8", stacked, given)
    assert verdict.faults == ()
    if whole:
        assert verdict.warnings == ()
    else:
        (line,) = verdict.warnings
        assert line.startswith("output 'scores': on axis 1 parts 1 of 2 are lost")


def test_texts_beside_numbers(tmp_path: Path) -> None:
    """A SavedModel that names its classes itself: texts are equal or not, and no number is made of them."""
    tf = require("tensorflow", "export", "a test")

    class Named(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(
                np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
            )

        @tf.function(input_signature=[tf.TensorSpec((None, 4), name="x")])
        def serve(self, x: Any) -> dict[str, Any]:
            score = x @ self.kernel
            name = tf.gather(tf.constant(["ape", "bee", "cat"]), tf.argmax(score, -1))
            return {"name": name, "score": score}

    model = Named()
    tf.saved_model.save(model, tmp_path / "named", signatures={"serving_default": model.serve})
    x = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    result = edgekit.export(
        tmp_path / "named", out=tmp_path, files=FILES[2:], calibration={"x": x}, cache=False
    )
    assert not result.skipped
    checks = [{row.output: row for row in file.check.outputs} for file in result.manifest.files]
    assert [round(check["name"].kept, 1) for check in checks] == [1.0, 1.0]
