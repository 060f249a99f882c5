"""Values that decide which place is read are the same in every scheme of both formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit
from edgekit.recipe import ExportRecipe

FILES = ("float32.tflite", "int8.tflite", "float16.onnx", "int8.onnx", "dynamic.onnx")
Case = tuple[Any, dict[str, NDArray[Any]]]


def table(words: int, width: int = 4) -> Any:
    """An embedding in which neighbours have nothing to do with each other."""
    import keras

    wide = keras.initializers.RandomNormal(stddev=1.0, seed=1)
    return keras.layers.Embedding(words, width, embeddings_initializer=wide)


def words_of_two_inputs() -> Case:
    import keras

    rng = np.random.default_rng(0)
    first, second = keras.Input((4,), name="first"), keras.Input((6,), name="second")
    joined = keras.layers.Concatenate()([first, keras.layers.Reshape((6,))(second)])
    x = keras.layers.Flatten()(table(9000)(joined))
    samples = {"first": rng.integers(0, 9000, (64, 4)), "second": rng.integers(0, 9000, (64, 6))}
    return keras.Model([first, second], keras.layers.Dense(3)(x)), samples


def words_beside_measurements() -> Case:
    import keras

    rng = np.random.default_rng(0)
    given = keras.Input((5,), name="row")
    word = keras.layers.Flatten()(table(5000)(given[:, :2]))
    measured = keras.layers.Dense(6, activation="relu")(given[:, 2:])
    x = keras.layers.Concatenate()([word, measured])
    rows = np.concatenate([rng.integers(0, 5000, (64, 2)), rng.normal(size=(64, 3))], 1)
    return keras.Model(given, keras.layers.Dense(3)(x)), {"row": rows}


def buckets_and_remainders() -> Case:
    import keras

    rng = np.random.default_rng(0)
    given = keras.Input((2,), name="code")
    upper = keras.ops.cast(keras.ops.floor(given / 100.0), "int32")
    lower = keras.ops.cast(keras.ops.mod(given, 100.0), "int32")
    x = table(900)(upper) + table(100)(lower)
    model = keras.Model(given, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    return model, {"code": rng.integers(0, 90000, (64, 2))}


def buckets_of_real_numbers() -> Case:
    import keras

    edges = list(np.linspace(0.001, 0.999, 300))
    given = keras.Input((1,), name="share")
    x = table(301)(keras.layers.Discretization(edges)(given))
    model = keras.Model(given, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    return model, {"share": np.random.default_rng(0).random((64, 1))}


@pytest.mark.parametrize(
    ("make", "batch"),
    [
        (words_of_two_inputs, "1"),
        (words_beside_measurements, "1"),
        (buckets_and_remainders, "dynamic"),
        (buckets_of_real_numbers, "1"),
    ],
)
def test_every_scheme_reads_the_same_places(
    make: Callable[[], Case], batch: str, tmp_path: Path
) -> None:
    model, arrays = make()
    samples = {name: x.astype(np.float32) for name, x in arrays.items()}
    made = edgekit.export(
        model, out=tmp_path, files=FILES, calibration=samples, recipe=ExportRecipe(batch=batch)
    )
    assert not made.skipped
    inputs = list(samples.values())
    expected = np.asarray(model(inputs if len(inputs) > 1 else inputs[0]))
    for file in made.files:
        with edgekit.load(file) as runner:
            (answers,) = runner.infer_batch(samples).values()
        error = np.abs(answers - expected).max() / np.ptp(expected)
        limit = {"float32": 1e-5, "float16": 2e-3}.get(file.scheme or "", 0.03)
        assert error < limit, f"{file.name}: {error}"


@pytest.mark.parametrize("batch", ["1", "dynamic"])
def test_bounds_beyond_what_half_precision_counts(batch: str, tmp_path: Path) -> None:
    import keras

    given = keras.Input((5000,), name="signal")
    model = keras.Model(given, keras.layers.Activation("linear", name="part")(given[:, 4101:4108]))
    made = edgekit.export(
        model, out=tmp_path, files=["float16.onnx"], recipe=ExportRecipe(batch=batch)
    )
    x = np.random.default_rng(0).normal(size=(3, 5000)).astype(np.float32)
    with edgekit.load(made.files[0]) as runner:
        answers = runner.infer_batch({"signal": x})["part"]
    np.testing.assert_allclose(answers, x[:, 4101:4108], rtol=1e-3, atol=1e-6)


def test_integers_that_half_precision_does_not_hold(tmp_path: Path) -> None:
    import keras

    given = keras.Input((2,), dtype="int32", name="steps")
    x = keras.ops.cast(given, "float32") * 0.001 - 50.0
    model = keras.Model(given, keras.layers.Dense(2, name="out")(x))
    made = edgekit.export(model, out=tmp_path, files=["float16.onnx"])
    steps = np.array([[10, 99_999], [70_001, 65_520]], np.int32)
    with edgekit.load(made.files[0]) as runner:
        answers = runner.infer_batch({"steps": steps})["out"]
    np.testing.assert_allclose(answers, model(steps), rtol=0, atol=0.15)
