"""Mixed files: what integers lose stays in float, in both formats, and the manifest says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.manifest import ExportedFile
from edgekit.samples import Samples

INT8 = ("int8.tflite", "int8.onnx")


def made(
    model: Any, x: dict[str, Any], folder: Path, names: Sequence[str] = INT8
) -> dict[str, tuple[Any, ExportedFile]]:
    """Answers of each file, by its format, and its entry in the manifest."""
    files = edgekit.export(model, out=folder, files=names, calibration=Samples(x))
    found = {}
    for entry in files.manifest.files:
        with edgekit.load(folder / entry.artifact.name) as runner:
            found[entry.artifact.format] = next(iter(runner.infer_batch(x).values())), entry
    return found


def sqnr(answers: Any, wanted: Any) -> Any:
    """Of each channel, in dB."""
    axes = tuple(range(wanted.ndim - 1))
    return 10 * np.log10(wanted.var(axes) / ((answers - wanted) ** 2).mean(axes))


@pytest.fixture(scope="module")
def pedestrian(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Positions in pixels beside a probability and an angle, from a network with three heads."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((12, 12, 2), name="x")
    y = keras.layers.Conv2D(8, 3, 2, activation="relu")(x)
    places = keras.layers.Conv2D(2, 1, activation="sigmoid")(y) * 480.0
    seen = keras.layers.Conv2D(1, 1, activation="sigmoid")(y)
    angle = keras.layers.Conv2D(1, 1, activation="tanh")(y)
    model = keras.Model(x, keras.layers.Concatenate(name="y")([places, seen, angle]))
    samples = {"x": np.random.default_rng(0).normal(0, 1, (64, 12, 12, 2)).astype(np.float32)}
    files = made(model, samples, tmp_path_factory.mktemp("parts"))
    return files, model.predict(samples["x"], verbose=0)


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_parts_of_an_output_keep_scales_of_their_own(pedestrian: Any, format: str) -> None:
    files, wanted = pedestrian
    answers, entry = files[format]

    assert sqnr(answers, wanted).min() > 15
    # What only moves values stays with what gives them. Whether the ends of heads are in float as well hangs
    # on a few tenths of a dB; what multiplies never is.
    moves = {"CONCATENATION", "Concat", "Transpose", "Reshape"}
    ends = {"LOGISTIC", "Sigmoid", "TANH", "Tanh", "MUL", "Mul"}
    assert {op.op for op in entry.float_ops} <= moves | ends
    assert any("channels differ too much for one scale" in x for x in entry.recipe["fallbacks"])


def test_inputs_of_other_scales_meet_inside(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    x = {
        "age": np.random.default_rng(1).normal(0, 1, (96, 3)).astype(np.float32),
        "income": np.random.default_rng(2).normal(3e4, 1e4, (96, 2)).astype(np.float32),
    }
    ends = {name: keras.Input(rows.shape[1:], name=name) for name, rows in x.items()}
    joined = keras.layers.Concatenate()([*ends.values()])
    hidden = keras.layers.Dense(8, activation="relu")
    model = keras.Model(ends, keras.layers.Dense(3)(hidden(joined)))
    kernel, bias = hidden.get_weights()
    kernel[3:] /= 1e4
    hidden.set_weights([kernel, bias])
    wanted = model.predict(x, verbose=0)
    for answers, _ in made(model, x, tmp_path).values():
        assert sqnr(answers, wanted).min() > 20


def test_a_chain_whose_small_values_count(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 2), name="x")
    y = keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.RandomNormal(0, 0.5))(x)
    y = keras.ops.log(1 + keras.ops.exp(2 * y))
    model = keras.Model(x, keras.layers.Conv2D(3, 3, name="y")(y))
    samples = {"x": np.random.default_rng(3).normal(0, 1.5, (64, 8, 8, 2)).astype(np.float32)}
    wanted = model.predict(samples["x"], verbose=0)
    for answers, entry in made(model, samples, tmp_path).values():
        assert sqnr(answers, wanted).min() > 20
        counts = {dtype: sum(ops.values()) for dtype, ops in entry.ops.items()}
        assert counts["int8"] > 2
        assert not {"CONV_2D", "Conv"} & {op.op for op in entry.float_ops}


def test_small_values_that_a_mean_adds_up(tmp_path: Path) -> None:
    """Each value loses little of its own tensor, and all to one side: the mean shows nothing else."""
    import keras

    keras.utils.set_random_seed(1)
    x = keras.Input((10, 10, 3), name="x")
    wide = keras.initializers.RandomNormal(0, 0.3)
    y = keras.ops.exp(keras.layers.Conv2D(6, 3, kernel_initializer=wide)(x))
    y = keras.layers.Dense(3, name="y")(keras.layers.GlobalAveragePooling2D()(y))
    model = keras.Model(x, y)
    samples = {"x": np.random.default_rng(5).normal(size=(64, 10, 10, 3)).astype(np.float32)}
    wanted = model.predict(samples["x"], verbose=0)
    for answers, entry in made(model, samples, tmp_path).values():
        assert sqnr(answers, wanted).min() > 15
        assert not {"CONV_2D", "Conv", "Gemm", "MatMul"} & {op.op for op in entry.float_ops}


def test_healthy_files_are_integers_all_through(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((12, 12, 2), name="x")
    y = keras.layers.Conv2D(8, 3, activation="relu")(x)
    y = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, activation="relu")(y))
    model = keras.Model(x, keras.layers.Dense(5, activation="softmax")(y))
    samples = {"x": np.random.default_rng(4).normal(0, 1, (64, 12, 12, 2)).astype(np.float32)}
    for _, entry in made(model, samples, tmp_path).values():
        assert "fallbacks" not in entry.recipe


def test_a_dynamic_file_keeps_outputs_of_different_units(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    given = keras.layers.Input((10,), name="x")
    hidden = keras.layers.Dense(16, "relu")(given)
    units = keras.layers.Rescaling([12000.0, 1.0], [50000.0, 0.0], name="y")
    model = keras.Model(given, units(keras.layers.Dense(2)(hidden)))
    x = np.random.default_rng(0).standard_normal((64, 10)).astype(np.float32)
    (file,) = edgekit.export(
        model, out=tmp_path, files=["dynamic.tflite"], calibration=edgekit.Samples({"x": x})
    )
    with edgekit.load(file) as runner:
        answers = runner.infer_batch({"x": x})["y"]
    noise = np.square(answers - model(x).numpy()).mean(0) / model(x).numpy().var(0)
    assert (-10 * np.log10(noise) > 30).all()


@pytest.mark.parametrize("places", [1, 80])
@pytest.mark.parametrize("names", [INT8, ["int16x8.tflite"]], ids=["int8", "int16x8"])
def test_parts_joined_on_another_axis_keep_scales_of_their_own(
    tmp_path: Path, places: int, names: Sequence[str]
) -> None:
    """Prices stacked on probabilities: every channel holds both, and 80 places of each more than are runs."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((8,), name="x")
    hidden = keras.layers.Dense(16, activation="relu")(x)
    prices = keras.layers.Dense(3 * places)(hidden) * 5000.0
    chances = keras.layers.Dense(3 * places, activation="sigmoid")(hidden)
    rows = [keras.layers.Reshape((places, 3))(part) for part in (prices, chances)]
    model = keras.Model(x, keras.layers.Concatenate(1, name="y")(rows))
    samples = {"x": np.random.default_rng(0).normal(0, 1, (96, 8)).astype(np.float32)}
    wanted = model.predict(samples["x"], verbose=0)
    for answers, entry in made(model, samples, tmp_path, names).values():
        for part in (slice(0, places), slice(places, None)):
            assert sqnr(answers[:, part], wanted[:, part]).min() > 20
        assert not [line for line in entry.warnings if "output 'y'" in line]


def test_parts_joined_as_channels_and_moved_to_another_axis(tmp_path: Path) -> None:
    """A detector whose boxes and scores are the rows of its output: channels are places, and hold both."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = keras.Input((16, 16, 3), name="x")
    hidden = layers.Conv2D(8, 3, 2, "same", activation="relu")(x)
    boxes = layers.Reshape((64, 4))(layers.Conv2D(4, 1, activation="sigmoid")(hidden)) * 640.0
    scores = layers.Reshape((64, 2))(layers.Conv2D(2, 1, activation="sigmoid")(hidden))
    rows = layers.Permute((2, 1), name="y")(layers.Concatenate()([boxes, scores]))
    model = keras.Model(x, rows)
    samples = {"x": np.random.default_rng(0).normal(0, 1, (64, 16, 16, 3)).astype(np.float32)}
    wanted = model.predict(samples["x"], verbose=0)
    for answers, entry in made(model, samples, tmp_path).values():
        for part in (slice(0, 4), slice(4, None)):
            assert sqnr(answers[:, part], wanted[:, part]).mean() > 25
        assert not [line for line in entry.warnings if "output 'y'" in line]


def test_rows_of_an_input_in_other_units_and_their_constants(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 2), name="x")
    y = keras.layers.Conv2D(4, 3, padding="same")(x)
    joined = keras.layers.Concatenate(1)([y * 4000.0, keras.ops.tanh(y)])
    back = np.repeat(np.float32([1 / 4000, 1]), 8)[:, None, None]
    model = keras.Model(x, keras.layers.Dense(3)(keras.layers.Flatten()(joined * back)))
    samples = {"x": np.random.default_rng(0).normal(0, 1, (96, 8, 8, 2)).astype(np.float32)}
    wanted = model.predict(samples["x"], verbose=0)
    found = made(model, samples, tmp_path)
    assert set(found) == {"tflite", "onnx"}
    for answers, _ in found.values():
        assert sqnr(answers, wanted).min() > 20


def log_spectrum(keras: Any, x: Any) -> Any:
    """As a log-mel front computes it, from powers of many decades."""
    bands = np.abs(np.random.default_rng(1).normal(0, 0.02, (33, 12))).astype(np.float32)
    return keras.ops.log(keras.ops.maximum(keras.ops.matmul(x, bands), 1e-6))


def standardised(keras: Any, x: Any) -> Any:
    """Each sample by its own mean and deviation."""
    mean, variance = keras.ops.moments(x, axes=[1], keepdims=True)
    return (x - mean) / keras.ops.sqrt(variance + 1e-5)


FRONTS = {
    "log": (log_spectrum, lambda z: np.exp(3 * z - 4)),
    "standardised": (standardised, lambda z: z * np.geomspace(0.01, 300, 33) + 2000),
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("names", [INT8, ["int16x8.tflite"]], ids=["int8", "int16x8"])
def test_a_front_whose_small_values_count_stays_in_float(
    tmp_path: Path, front: str, names: Sequence[str]
) -> None:
    import keras

    keras.utils.set_random_seed(0)
    compute, of_normal = FRONTS[front]
    x = keras.Input((20, 33), name="x")
    y = keras.layers.Conv1D(24, 3, activation="relu")(compute(keras, x))
    model = keras.Model(x, keras.layers.Dense(4)(keras.layers.Flatten()(y)))
    z = np.random.default_rng(0).normal(0, 1, (96, 20, 33))
    samples = {"x": of_normal(z).astype(np.float32)}
    wanted = model.predict(samples["x"], verbose=0)
    found = made(model, samples, tmp_path, names)
    assert len(found) == len(names)
    for answers, entry in found.values():
        assert sqnr(answers, wanted).min() > 18
        assert not {"CONV_2D", "Conv"} & {op.op for op in entry.float_ops}


def test_small_kernels_of_a_float16_tflite_file_are_as_exact_as_others(tmp_path: Path) -> None:
    """Counts up to a million, divided by as much: the converter moves that into the kernel."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((10,), name="x")
    y = keras.layers.Dense(8, activation="relu")(keras.layers.Rescaling(1 / (1 << 20))(x))
    model = keras.Model(x, keras.layers.Dense(3)(y))
    counts = np.random.default_rng(0).integers(0, 1 << 20, (64, 10)).astype(np.float32)
    wanted = model.predict(counts, verbose=0)
    names = ["float16.tflite", "float16.onnx"]
    for answers, _ in made(model, {"x": counts}, tmp_path, names).values():
        assert sqnr(answers, wanted).min() > 50
