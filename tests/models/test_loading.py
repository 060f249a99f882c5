from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ArtifactError, UntrustedCodeError, UsageError
from edgekit.models import load


def small(**names: str) -> Any:
    import keras

    inputs = keras.Input((4,), name="signal")
    return keras.Model(inputs, keras.layers.Dense(3, **names)(inputs))


def with_lambda() -> Any:
    import keras

    inputs = keras.Input((4,), name="signal")
    x = keras.layers.Dense(3)(inputs)
    return keras.Model(inputs, keras.layers.Lambda(lambda t: t * 2, name="twice")(x))


def answers(source: Any, x: np.ndarray) -> dict[str, np.ndarray]:
    import tensorflow as tf

    results = source.call({source.inputs[0].name: tf.constant(x)})
    return {name: np.asarray(value) for name, value in results.items()}


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.hdf5"])
def test_keras_files(tmp_path: Path, name: str) -> None:
    model = small(name="scores")
    model.save(tmp_path / name)
    source = load(tmp_path / name)
    assert source.flavour == "keras"
    assert [spec.name for spec in source.inputs] == ["signal"]
    assert source.inputs[0].shape == (None, 4)
    assert [(spec.name, spec.shape) for spec in source.outputs] == [("scores", (None, 3))]
    x = np.random.default_rng(0).random((5, 4), np.float32)
    np.testing.assert_allclose(answers(source, x)["scores"], np.asarray(model(x)), atol=1e-6)


@pytest.mark.parametrize("trust_code", [False, True])
def test_operations_of_keras_3_in_hdf5(tmp_path: Path, trust_code: bool) -> None:
    """Keras itself cannot read them back: "Unknown layer: 'NotEqual'"."""
    import keras

    x = keras.Input((6,), name="signal")
    y = keras.ops.concatenate([keras.ops.sin(x) + x, keras.ops.where(x > 0, x, -x)], -1)
    y = keras.ops.max(keras.ops.reshape(y, (-1, 4, 3)), 1)
    model = keras.Model(x, keras.layers.Add(name="scores")([y, y]))
    model.save(tmp_path / "m.h5")
    given = np.random.default_rng(0).normal(0, 1, (5, 6)).astype(np.float32)
    both = np.concatenate([np.sin(given) + given, np.abs(given)], -1)
    wanted = 2 * both.reshape(-1, 4, 3).max(1)
    source = load(tmp_path / "m.h5", trust_code=trust_code)
    np.testing.assert_allclose(answers(source, given)["scores"], wanted, atol=1e-5)


def test_masks_that_keras_3_writes_as_operations(tmp_path: Path) -> None:
    import keras

    ids = keras.Input((6,), dtype="int32", name="signal")
    words = keras.layers.Embedding(9, 4, mask_zero=True)(ids)
    y = keras.layers.MultiHeadAttention(2, 2)(words, words)
    model = keras.Model(ids, keras.layers.GlobalAveragePooling1D(name="scores")(y))
    model.save(tmp_path / "m.h5")
    given = np.array([[1, 2, 3, 0, 0, 0], [4, 5, 6, 7, 8, 1]], np.int32)
    found = answers(load(tmp_path / "m.h5"), given)["scores"]
    np.testing.assert_allclose(found, np.asarray(model(given)), atol=1e-6)


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_lambdas_know_tensorflow(tmp_path: Path, flavour: str) -> None:
    """Their code says ``tf``, which was imported in another program."""
    import importlib

    keras = importlib.import_module(flavour)
    text = "lambda t: tf.reduce_sum(np.float32(2) * t, 1, keepdims=True)"
    names = {"tf": importlib.import_module("tensorflow"), "np": np}
    x = keras.layers.Input((4,), name="signal")
    layer = keras.layers.Lambda(eval(text, names), output_shape=(1,), name="sums")
    keras.Model(x, layer(x)).save(tmp_path / "m.h5")
    given = np.arange(8, dtype=np.float32).reshape(2, 4)
    with pytest.warns(Warning, match="trusted"):
        source = load(tmp_path / "m.h5", trust_code=True)
    assert answers(source, given)["sums"].tolist() == [[12], [44]]


def test_a_saved_model_that_keras_exported(tmp_path: Path) -> None:
    model = small(name="scores")
    model.export(tmp_path / "exported", verbose=False)
    source = load(tmp_path / "exported")
    assert source.flavour == "savedmodel"
    x = np.random.default_rng(0).random((5, 4), np.float32)
    (answer,) = answers(source, x).values()
    np.testing.assert_allclose(answer, np.asarray(model(x)), atol=1e-6)


def test_a_saved_model_of_a_plain_module(tmp_path: Path) -> None:
    import tensorflow as tf

    class Scale(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(3.0)

        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, "signal")])
        def __call__(self, signal: Any) -> dict[str, Any]:
            return {"scaled": signal * self.factor}

    module = Scale()
    tf.saved_model.save(module, tmp_path / "plain", signatures={"mine": module.__call__})
    source = load(tmp_path / "plain")
    assert source.inputs[0].name == "signal"
    np.testing.assert_array_equal(answers(source, np.ones((2, 2), np.float32))["scaled"], 3.0)


def test_a_saved_model_without_signatures(tmp_path: Path) -> None:
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), tmp_path / "bare")
    with pytest.raises(ArtifactError, match=r"received the signatures none, expected"):
        load(tmp_path / "bare")


@pytest.mark.parametrize(
    ("name", "flavour"),
    [("fer/emotion_model.hdf5", "keras"), ("yamnet_256/yamnet_256_f32.h5", "tf_keras")],
)
def test_files_of_others_load_in_the_flavour_that_can(
    data_dir: Path, name: str, flavour: str
) -> None:
    source = load(data_dir / "models" / name)
    assert source.flavour == flavour
    assert source.classes is not None


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_lambda_is_refused_unless_trusted(tmp_path: Path, name: str) -> None:
    model = with_lambda()
    model.save(tmp_path / name)
    with pytest.raises(UntrustedCodeError, match=r"'twice' holds Python code.*--trust-code"):
        load(tmp_path / name)
    source = load(tmp_path / name, trust_code=True)
    x = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(answers(source, x)["twice"], np.asarray(model(x)), atol=1e-6)


def test_a_nested_lambda_is_found(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((4,))
    keras.Sequential([inputs, with_lambda()]).save(tmp_path / "m.keras")
    with pytest.raises(UntrustedCodeError, match="'twice'"):
        load(tmp_path / "m.keras")


def test_a_saved_model_that_calls_python_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.serve = tf.function(
        lambda x: {"y": tf.ensure_shape(tf.py_function(lambda t: t, [x], tf.float32), (1, 2))},
        input_signature=[tf.TensorSpec((1, 2), tf.float32, "x")],
    )
    tf.saved_model.save(module, tmp_path / "calls", signatures=module.serve)
    with pytest.raises(UntrustedCodeError, match=r"EagerPyFunc.*--trust-code"):
        load(tmp_path / "calls")


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_file(tmp_path: Path, name: str, share: float) -> None:
    small().save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArtifactError, match=r"not a whole \.(keras|h5) file"):
        load(tmp_path / name)


def test_an_archive_that_is_no_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(ArtifactError, match=r"config\.json"):
        load(tmp_path / "m.keras")


def test_a_config_of_nonsense(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Nonsense", "config": {}}))
    with pytest.raises(ArtifactError, match=r"no flavour of Keras can load it.*Keras 3:.*tf_keras"):
        load(tmp_path / "m.keras")


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    small().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ArtifactError, match="weights without an architecture"):
        load(tmp_path / "m.weights.h5")


def test_layers_of_ones_own(tmp_path: Path) -> None:
    import keras

    @keras.saving.register_keras_serializable(name="OfMyOwn")
    class OfMyOwn(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    inputs = keras.Input((4,))
    keras.Model(inputs, OfMyOwn()(inputs)).save(tmp_path / "m.keras")
    registered = keras.saving.get_custom_objects()
    for key in [key for key in registered if "OfMyOwn" in key]:
        del registered[key]
    with pytest.raises(ArtifactError, match=r"asks for '[\w.]*OfMyOwn'.*--import"):
        load(tmp_path / "m.keras")


def test_a_subclassed_model_has_the_inputs_that_it_was_called_with(
    tmp_path: Path, reloaded: Callable[..., Any]
) -> None:
    import keras

    @keras.saving.register_keras_serializable(name="Subclassed")
    class Subclassed(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Subclassed()
    model(np.ones((1, 3), np.float32))
    assert [spec.shape for spec in reloaded(model).inputs] == [(None, 3)]
    # And as a SavedModel.
    model.export(tmp_path / "exported", verbose=False)
    assert load(tmp_path / "exported").outputs[0].shape == (None, 2)


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_a_folder_that_is_no_saved_model(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if content is not None:
        (folder / "saved_model.pb").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"saved_model\.pb"):
        load(folder)


def test_not_a_keras_model(models: Path) -> None:
    with pytest.raises(UsageError, match=r"received a tflite file, expected a Keras model"):
        load(models / "classifier.int8.tflite")
