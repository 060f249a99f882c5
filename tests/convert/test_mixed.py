"""Mixed files: what integers lose stays in float, in both formats, and the manifest says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.manifest import ExportedFile
from edgekit.samples import Samples


def made(model: Any, x: dict[str, Any], folder: Path) -> dict[str, tuple[Any, ExportedFile]]:
    """Answers of each int8 file, and its entry in the manifest."""
    files = edgekit.export(
        model,
        out=folder,
        formats=["tflite", "onnx"],
        schemes=["int8"],
        calibration=Samples(x),
    )
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
