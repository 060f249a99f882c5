"""Models of other precisions are rebuilt in float32, with their weights."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import ArtifactError
from edgekit.models import from_object, load
from edgekit.models.float32 import in_float32

# A flavour, its policy, and what the model is given as: a file of that ending, or an object.
KINDS = (
    ("keras", "mixed_float16", ".keras"),
    ("keras", "float64", ".h5"),
    ("keras", "float16", None),
    ("tf_keras", "mixed_bfloat16", ".keras"),
    ("tf_keras", "float16", ".h5"),
    ("tf_keras", "mixed_float16", None),
)


@contextmanager
def policy(keras: Any, name: str) -> Iterator[None]:
    set_policy = (
        keras.config.set_dtype_policy
        if hasattr(keras, "config")
        else keras.mixed_precision.set_global_policy
    )
    set_policy(name)
    keras.backend.set_floatx(name if name in ("float16", "float64") else "float32")
    try:
        yield
    finally:
        set_policy("float32")
        keras.backend.set_floatx("float32")


def network(keras: Any) -> Any:
    """A nested model, a wrapper, a layer with a state that training leaves, a layer of its own policy."""
    layers = keras.layers
    inner = keras.Sequential([layers.Input((6, 4)), layers.Dense(5), layers.LayerNormalization()])
    given = layers.Input((6, 4), name="signal")
    x = layers.TimeDistributed(layers.Dense(3, activation="tanh"))(inner(given))
    x = layers.BatchNormalization()(layers.Flatten()(x))
    return keras.Model(given, layers.Dense(2, dtype="float32", name="scores")(x))


def filled(model: Any) -> Any:
    rng = np.random.default_rng(0)
    weights = [np.asarray(weight) for weight in model.get_weights()]
    model.set_weights([rng.uniform(0.2, 0.9, w.shape).astype(w.dtype) for w in weights])
    return model


@pytest.mark.parametrize(("flavour", "name", "ending"), KINDS)
def test_a_model_of_another_precision_answers_as_its_twin_in_float32(
    flavour: str, name: str, ending: str | None, tmp_path: Path
) -> None:
    keras = importlib.import_module(flavour)
    with policy(keras, name):
        model = filled(network(keras))
    twin = network(keras)
    twin.set_weights([np.asarray(weight, np.float32) for weight in model.get_weights()])
    x = np.random.default_rng(1).normal(size=(3, 6, 4)).astype(np.float32)
    before = [np.asarray(weight).dtype for weight in model.get_weights()]
    if ending is None:
        source = from_object(model)
    else:
        path = tmp_path / f"m{ending}"
        model.save(path)
        source = load(path)
    assert source.flavour == flavour
    assert [spec.dtype for spec in (*source.inputs, *source.outputs)] == ["float32"] * 2
    answers = source.call({"signal": x})["scores"]
    np.testing.assert_allclose(answers, twin(x), rtol=0, atol=1e-6)
    assert [np.asarray(weight).dtype for weight in model.get_weights()] == before


def test_the_files_are_what_their_names_say(tmp_path: Path) -> None:
    import keras

    with policy(keras, "mixed_float16"):
        given = keras.Input((8, 8, 3), name="image")
        x = keras.layers.Conv2D(4, 3, activation="relu")(given)
        model = keras.Model(given, keras.layers.Dense(3, name="scores")(keras.layers.Flatten()(x)))
    samples = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype(np.float32)
    made = edgekit.export(
        model,
        out=tmp_path,
        files=["float32.tflite", "float32.onnx", "int8.onnx", "int8.tflite"],
        calibration=samples,
    )
    assert not made.skipped
    with edgekit.load(model) as original:
        expected = original.infer({"image": samples})["scores"]
    for file in made.files:
        with edgekit.load(file) as runner:
            answers = runner.infer_batch({"image": samples})["scores"]
        span = np.ptp(expected)
        limit = 1e-5 if file.scheme == "float32" else 0.05
        np.testing.assert_allclose(answers, expected, rtol=0, atol=limit * span)


def test_what_the_program_chose_for_new_layers_stays_chosen() -> None:
    import keras

    with policy(keras, "mixed_float16"):
        source = from_object(filled(network(keras)))
        assert keras.config.dtype_policy().name == "mixed_float16"
    assert {str(layer.compute_dtype) for layer in source.model.layers} == {"float32"}


def test_a_model_that_cannot_be_rebuilt_is_refused_with_advice() -> None:
    import keras

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self, secret: object) -> None:
            super().__init__()
            self.secret = secret
            self.dense = keras.layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    with policy(keras, "mixed_bfloat16"):
        model = Own(object())
        model(np.zeros((1, 4), np.float32))
    with pytest.raises(ArtifactError, match=r"cannot be rebuilt in float32.*set_weights"):
        from_object(model)


def test_integers_and_other_texts_stay() -> None:
    config = {
        "class_name": "Embedding",
        "config": {
            "name": "float16",
            "dtype": {"class_name": "DTypePolicy", "config": {"name": "int8_from_mixed_bfloat16"}},
            "index_dtype": "int64",
            "storage_dtype": "float64",
            "layers": [{"dtype": "half"}, {"dtype": None}],
        },
    }
    assert in_float32(config) == {
        "class_name": "Embedding",
        "config": {
            "name": "float16",
            "dtype": {"class_name": "DTypePolicy", "config": {"name": "int8_from_float32"}},
            "index_dtype": "int64",
            "storage_dtype": "float32",
            "layers": [{"dtype": "float32"}, {"dtype": None}],
        },
    }
