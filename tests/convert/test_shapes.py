"""Models with dynamic dimensions, and Sequential models that were built with some batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support import needs

import edgekit
from edgekit.cli import main
from edgekit.errors import ExportError, RecipeError, UsageError
from edgekit.models import from_object
from edgekit.recipe import ExportRecipe

FILES = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")


def any_image() -> Any:
    import keras

    given = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(4, 3, 2, activation="relu")(given)
    x = keras.layers.Conv2D(5, 3, activation="relu")(x)
    return keras.Model(given, keras.layers.GlobalAveragePooling2D(name="mean")(x))


def any_text() -> Any:
    import keras

    given = keras.Input((None,), dtype="int32", name="ids")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(40, 6)(given))
    return keras.Model(given, keras.layers.Dense(3, name="scores")(x))


def check(files: Any, name: str, x: NDArray[Any], expected: NDArray[Any]) -> None:
    for file in files:
        with edgekit.load(file) as runner:
            answers = runner.infer_batch({name: x})[runner.outputs[0].name]
        limit = 1e-5 if file.scheme == "float32" else 0.05
        np.testing.assert_allclose(answers, expected, rtol=0, atol=limit * np.ptp(expected))


def test_a_shape_fixes_what_the_model_leaves_open(tmp_path: Path) -> None:
    model = any_image()
    x = np.random.default_rng(0).normal(size=(32, 11, 13, 3)).astype(np.float32)
    made = edgekit.export(
        model, out=tmp_path, files=FILES, shape={"image": (1, 11, 13, 3)}, calibration=x
    )
    assert not made.skipped
    assert {file.inputs[0].shape for file in made.manifest.files} == {(1, 11, 13, 3)}
    check(made.files, "image", x, np.asarray(model(x)))


def test_what_stays_dynamic_takes_any_size(tmp_path: Path) -> None:
    model = any_image()
    x = np.random.default_rng(0).normal(size=(32, 11, 13, 3)).astype(np.float32)
    shape = {"image": ("dynamic", "dynamic", "dynamic", 3)}
    made = edgekit.export(model, out=tmp_path, files=FILES, shape=shape, calibration=x)
    assert not made.skipped
    assert {file.inputs[0].shape for file in made.manifest.files} == {(None, None, None, 3)}
    check(made.files, "image", x, np.asarray(model(x)))
    larger = np.random.default_rng(1).normal(size=(3, 20, 17, 3)).astype(np.float32)
    check(made.files[::2], "image", larger, np.asarray(model(larger)))


def test_words_of_any_number_on_the_command_line(tmp_path: Path) -> None:
    any_text().save(tmp_path / "m.keras")
    words = ["export", str(tmp_path / "m.keras"), "-o", str(tmp_path / "out"), "--format", "onnx"]
    assert main([*words, "--shape", "ids=1,dynamic"]) == 0
    with edgekit.load(tmp_path / "out" / "m.float32.onnx") as runner:
        assert runner.inputs[0].shape == (1, None)
        assert runner.infer({"ids": np.zeros((1, 7), np.int32)})["scores"].shape == (1, 3)


def test_a_dynamic_dimension_is_refused_with_what_to_say(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"--shape ids=1,128 \(shape=\{'ids': \(1, 128\)\}\)"):
        edgekit.export(any_text(), out=tmp_path, schemes=["float32"])


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"words": (1, 8)}, "expected the input 'ids'"),
        ({"ids": (1, 8, 2)}, r"fits \[None, None\]"),
    ],
)
def test_a_shape_that_the_model_cannot_have(shape: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        edgekit.export(any_text(), out=tmp_path, schemes=["float32"], shape=shape)


def test_the_batch_of_a_shape_is_that_of_the_files() -> None:
    assert ExportRecipe(shape={"a": (4, 2)}).batch_size == 4
    assert ExportRecipe(shape={"a": ("dynamic", 2)}).batch_size is None
    with pytest.raises(RecipeError, match="for the batch"):
        ExportRecipe(shape={"a": (4, 2), "b": (2, 2)})
    with pytest.raises(RecipeError, match="for the batch"):
        ExportRecipe(shape={"a": (4, 2)}, batch=3)
    with pytest.raises(RecipeError, match="positive numbers"):
        ExportRecipe(shape={"a": (4, 0)})


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("batch", ["1", "dynamic"])
def test_a_sequential_model_takes_other_batches_than_it_was_built_with(
    flavour: str, batch: str, tmp_path: Path
) -> None:
    keras = needs.package(flavour)
    model = keras.Sequential([keras.layers.Dense(6, "relu"), keras.layers.Dense(3, name="out")])
    x = np.random.default_rng(0).normal(size=(32, 5)).astype(np.float32)
    expected = np.asarray(model(x))
    made = edgekit.export(
        model, out=tmp_path, files=["float32.onnx"], recipe=ExportRecipe(batch=batch)
    )
    (file,) = made.manifest.files
    assert file.inputs[0].shape == (None if batch == "dynamic" else 1, 5)
    check(made.files, file.inputs[0].name, x, expected)


def test_a_state_keeps_the_batch_that_it_was_built_for() -> None:
    import keras

    given = keras.Input(batch_shape=(2, 3, 4))
    model = keras.Sequential([given, keras.layers.SimpleRNN(2, stateful=True)])
    assert from_object(model).inputs[0].shape == (2, 3, 4)


def test_a_batch_that_the_model_fixes_is_not_called_dynamic(tmp_path: Path) -> None:
    import keras

    given = keras.Input(batch_shape=(4, 8), name="x")
    model = keras.Model(given, keras.layers.Reshape((2, 4))(given))
    with pytest.raises(ExportError, match=r"fixes the batch at 4, received dynamic.*--batch 4"):
        edgekit.export(
            model, out=tmp_path, schemes=["float32"], recipe=ExportRecipe(batch="dynamic")
        )


def test_inputs_and_outputs_come_in_the_order_of_the_model(tmp_path: Path) -> None:
    import keras

    given = [keras.Input((n,), name=name) for n, name in ((3, "zeta"), (4, "alpha"), (2, "mid"))]
    x = keras.layers.Concatenate()(given)
    outputs = [keras.layers.Dense(n, name=name)(x) for n, name in ((2, "second"), (5, "first"))]
    samples = {each.name: np.random.default_rng(0).random((16, each.shape[1])) for each in given}
    made = edgekit.export(
        keras.Model(given, outputs), out=tmp_path, files=FILES[:3], calibration=samples
    )
    for file in made.files:
        with edgekit.load(file) as runner:
            assert [spec.name for spec in runner.inputs] == ["zeta", "alpha", "mid"]
            assert [spec.name for spec in runner.outputs] == ["second", "first"]
            assert runner.outputs[1].shape == (1, 5)


def test_unsigned_bytes_in_and_out(tmp_path: Path) -> None:
    import keras

    given = keras.Input((6, 6, 3), name="image")
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(given))
    model = keras.Model(given, keras.layers.Dense(3, activation="softmax", name="scores")(x))
    images = np.random.default_rng(0).random((64, 6, 6, 3)).astype(np.float32)
    made = edgekit.export(
        model,
        out=tmp_path,
        files=["int8.tflite"],
        calibration=images,
        recipe=ExportRecipe(io_dtype="uint8"),
    )
    (file,) = made.manifest.files
    assert [spec.dtype for spec in (*file.inputs, *file.outputs)] == ["uint8", "uint8"]
    check(made.files, "image", images, np.asarray(model(images)))
