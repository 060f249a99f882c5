"""Models of every kind and file format, from export to comparison."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.refusal_kinds import kind_of

import edgekit
from edgekit import document
from edgekit.errors import ExportError
from edgekit.models.source import UNROLLED_STEPS
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples

FLOATS = [("tflite", "float32"), ("onnx", "float32")]


def pair() -> Any:
    """Two inputs of one shape and two outputs of one shape: only names tell them apart."""
    import keras

    layers = keras.layers
    left, right = keras.Input((4, 4, 2), name="left"), keras.Input((4, 4, 2), name="right")
    a, b = layers.Conv2D(3, 3, name="one")(left), layers.Conv2D(3, 3, name="two")(right)
    outputs = {
        "zebra": layers.Flatten()(layers.Subtract()([a, b])),
        "ape": layers.Flatten()(layers.Add()([a, b])),
    }
    return keras.Model({"right": right, "left": left}, outputs)


def classifier() -> Any:
    import keras

    layers = keras.layers
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu")(image)
    x = layers.DepthwiseConv2D(3, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Flatten()(layers.ReLU()(x))
    return keras.Model(image, layers.Dense(5, activation="softmax", name="scores")(x))


def plain_module() -> Any:
    import tensorflow as tf

    class Twist(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(np.random.default_rng(0).random((6, 3), np.float32))

        @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float32, "signal")])
        def serve(self, signal: Any) -> dict[str, Any]:
            score = tf.matmul(signal, self.kernel)
            return {"score": score, "size": tf.reduce_sum(tf.abs(score), -1, keepdims=True)}

    return Twist()


def row_by_row() -> Any:
    """A loop over the batch, and a choice among three branches for each sample."""
    import tensorflow as tf

    class RowByRow(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float32, "signal")])
        def serve(self, signal: Any) -> dict[str, Any]:
            def one(row: Any) -> Any:
                branches = [lambda: tf.tanh(row), lambda: row * 2.0, lambda: -row]
                return tf.switch_case(tf.cast(tf.abs(row[0]) * 2.0, tf.int32), branches)

            return {"score": tf.map_fn(one, signal)}

    return RowByRow()


def recurrent() -> Any:
    import keras

    layers = keras.layers
    signal = keras.Input((6, 4), name="signal")
    x = layers.LSTM(5, return_sequences=True)(signal)
    return keras.Model(signal, layers.Dense(3, name="scores")(layers.GRU(4)(x)))


def tokens() -> Any:
    import keras

    layers = keras.layers
    ids = keras.Input((5,), dtype="int32", name="ids")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(12, 4)(ids))
    return keras.Model(ids, layers.Dense(2, name="label")(x))


def samples_for(source: Any, count: int = 12) -> Samples:
    rng = np.random.default_rng(3)
    return Samples(
        {
            spec.name: rng.integers(0, 12, (count, *spec.shape[1:])).astype(spec.dtype)
            if "int" in spec.dtype
            else rng.standard_normal((count, *spec.shape[1:])).astype(np.float32)
            for spec in source.inputs
        }
    )


def save(model: Any, path: Path) -> Path:
    import tensorflow as tf

    if not path.suffix and hasattr(model, "serve"):
        tf.saved_model.save(model, path, signatures={"serving_default": model.serve})
    elif path.suffix:
        model.save(path)
    else:
        model.export(path, verbose=False)
    return path


def tf_keras_only() -> Any:
    """A file that Keras 3 refuses: tf_keras writes `groups` of a DepthwiseConv2D."""
    import tf_keras

    layers = tf_keras.layers
    return tf_keras.Sequential(
        [
            tf_keras.Input((6, 6, 2), name="image"),
            layers.DepthwiseConv2D(3, name="block/depthwise"),
            layers.Flatten(),
            layers.Dense(3, name="scores"),
        ]
    )


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (classifier, "m.keras"),
        (classifier, "m.h5"),
        (classifier, "exported"),
        (pair, "m.keras"),
        (pair, "m.h5"),
        (pair, "exported"),
        (plain_module, "module"),
        (row_by_row, "module"),
        (tf_keras_only, "m.h5"),
        (recurrent, "m.keras"),
        (tokens, "m.keras"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_float_files_of_every_kind(tmp_path: Path, build: Callable[[], Any], name: str) -> None:
    path = save(build(), tmp_path / name)
    files = edgekit.export(
        path, out=tmp_path / "out", schemes=["float32"], formats=["tflite", "onnx"]
    )
    assert [(file.format, file.scheme) for file in files] == FLOATS
    with edgekit.load(path) as reference:
        golden = edgekit.Golden.of(reference, samples_for(reference))
        for file in files:
            with edgekit.load(file.path) as runner:
                assert {s.name for s in runner.inputs} == {s.name for s in reference.inputs}
                assert {s.name for s in runner.outputs} == {s.name for s in reference.outputs}
                (candidate,) = edgekit.compare(golden, runner).candidates
            for output in candidate.outputs:
                assert output.max_abs_rel is not None
                assert output.max_abs_rel <= 1e-5, (file.name, output)


def test_outputs_that_share_a_shape_are_matched_by_name_in_every_scheme(tmp_path: Path) -> None:
    path = save(pair(), tmp_path / "m.keras")
    with edgekit.load(path) as reference:
        samples = samples_for(reference, 30)
        golden = edgekit.Golden.of(reference, samples)
        files = edgekit.export(
            path,
            out=tmp_path / "out",
            schemes=["float32", "float16", "dynamic", "int8", "int16x8"],
            formats=["tflite", "onnx"],
            calibration=samples,
        )
    assert len(files) == 8  # A convolution has no dynamic version in ONNX.
    for file in files:
        with edgekit.load(file.path) as runner:
            (candidate,) = edgekit.compare(golden, runner).candidates
        # Swapped outputs, or inputs, would come to less than 3 dB.
        assert candidate.sqnr_db is not None
        assert candidate.sqnr_db > 20, file.name


def test_a_short_recurrent_model_needs_no_flex_in_any_scheme(tmp_path: Path) -> None:
    path = save(recurrent(), tmp_path / "m.keras")
    with edgekit.load(path) as reference:
        samples = samples_for(reference, 40)
        golden = edgekit.Golden.of(reference, samples)
    files = edgekit.export(
        path,
        out=tmp_path / "out",
        schemes=["float32", "int8"],
        formats=["tflite", "onnx"],
        calibration=samples,
    )
    assert len(files) == 4
    for file in files:
        with edgekit.load(file.path) as runner:
            (candidate,) = edgekit.compare(golden, runner).candidates
        assert candidate.sqnr_db is not None
        assert candidate.sqnr_db > 15, file.name


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_a_long_recurrent_model_is_a_loop_of_integers(flavour: str, tmp_path: Path) -> None:
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    signal = keras.Input((UNROLLED_STEPS + 8, 4), name="signal")
    hidden = keras.layers.GRU(32)(signal)
    ending = {"keras": ".keras", "tf_keras": ".h5"}[flavour]
    path = save(keras.Model(signal, keras.layers.Dense(3)(hidden)), tmp_path / f"m{ending}")
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(64, UNROLLED_STEPS + 8, 4)).astype(np.float32)
    with edgekit.load(path) as reference:
        (expected,) = reference.infer_batch({"signal": samples}).values()
    files = edgekit.export(
        path, out=tmp_path, schemes=["float32", "int8"], formats=["tflite"], calibration=samples
    )
    for file, entry, worst in zip(files, files.manifest.files, (100, 20), strict=True):
        ops = {op: kind for kind, counts in entry.ops.items() for op in counts}
        assert "WHILE" in ops
        assert not any(op.startswith("Flex") for op in ops)
        with edgekit.load(file.path) as runner:
            (received,) = runner.infer_batch({"signal": samples}).values()
        noise = np.square(received - expected).mean()
        assert 10 * np.log10(np.square(expected).mean() / noise) > worst
    # Both matrix products of a step, and the dense layer's.
    assert files.manifest.files[1].ops["int8"]["FULLY_CONNECTED"] == 3
    assert files[1].size_bytes < files[0].size_bytes


def several_signatures() -> Any:
    """Plain TensorFlow: integers and booleans in, a dictionary of three dtypes out, batch dynamic."""
    import tensorflow as tf

    class Counter(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec((None, 3), tf.int32, "count"),
                tf.TensorSpec((None, 3), tf.bool, "valid"),
            ]
        )
        def serve(self, count: Any, valid: Any) -> dict[str, Any]:
            total = tf.reduce_sum(tf.where(valid, count, 0), -1)
            return {"total": total, "many": total > 9, "mean": tf.cast(total, tf.float32) / 3.0}

        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, "x")])
        def other(self, x: Any) -> dict[str, Any]:
            return {"y": x * 2.0}

    return Counter()


@pytest.mark.parametrize("batch", ["1", "dynamic"])
def test_signatures_integers_booleans_and_an_open_batch(tmp_path: Path, batch: str) -> None:
    import tensorflow as tf

    module, path = several_signatures(), tmp_path / "module"
    tf.saved_model.save(
        module, path, signatures={"serving_default": module.serve, "other": module.other}
    )
    files = edgekit.export(
        path,
        out=tmp_path / "out",
        schemes=["float32"],
        formats=["tflite", "onnx"],
        recipe=ExportRecipe(batch=batch),
    )
    rng = np.random.default_rng(0)
    x = {"count": rng.integers(0, 9, (5, 3), np.int32), "valid": rng.random((5, 3)) < 0.7}
    total = np.where(x["valid"], x["count"], 0).sum(-1)
    assert len(files) == 2
    for file in files:
        with edgekit.load(file.path) as runner:
            answers = runner.infer_batch(x)
        np.testing.assert_array_equal(answers["total"], total)
        np.testing.assert_array_equal(answers["many"], total > 9)
        np.testing.assert_allclose(answers["mean"], total / 3, rtol=1e-6)


def inverse() -> Any:
    """TFLite has no matrix determinant without Flex."""
    import tensorflow as tf

    module = tf.Module()
    module.serve = tf.function(
        lambda x: {"y": tf.linalg.det(x)},
        input_signature=[tf.TensorSpec((None, 3, 3), tf.float32, "x")],
    )
    return module


def test_an_operator_that_tflite_lacks_is_named(tmp_path: Path) -> None:
    path = save(inverse(), tmp_path / "module")
    with pytest.raises(ExportError, match=r"no file could be made.*MatrixDeterminant"):
        edgekit.export(path, out=tmp_path / "out", schemes=["float32", "float16"])
    assert not (tmp_path / "out").exists()


def test_what_one_format_lacks_the_other_may_have(tmp_path: Path) -> None:
    path = save(inverse(), tmp_path / "module")
    (file,) = edgekit.export(
        path, out=tmp_path / "out", schemes=["float32"], formats=["tflite", "onnx"]
    )
    assert file.format == "onnx"
    manifest = document.load(tmp_path / "out" / "manifest.json").to_json()
    assert "MatrixDeterminant" in manifest["skipped"][0]["reason"]


def test_an_input_and_an_output_of_one_name(tmp_path: Path) -> None:
    """A state that goes in and comes out under the same name: TFLite keeps the two apart."""
    import keras

    x = keras.Input((3,), name="state")
    model = keras.Model(x, {"state": keras.layers.Dense(3)(x)})
    formats = ["tflite", "onnx"]
    (file,) = edgekit.export(model, out=tmp_path, schemes=["float32"], formats=formats)
    given = np.ones((1, 3), np.float32)
    with edgekit.load(file.path) as runner:
        answers = runner.infer({"state": given})
    np.testing.assert_allclose(answers["state"], model.predict(given, verbose=0)["state"], 1e-5)
    manifest = document.load(tmp_path / "manifest.json").to_json()
    (skipped,) = manifest["skipped"]
    assert "an input and an output are both called 'state'" in skipped["reason"]
    assert kind_of(skipped["reason"]) == "one name at both ends"


def test_dynamic_dimensions_are_refused(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((None, None, 3), name="image")
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    path = save(model, tmp_path / "m.keras")
    with pytest.raises(
        ExportError,
        match=r"'image': has dynamic dimensions: \[None, None, None, 3\].*--shape image=",
    ):
        edgekit.export(path, out=tmp_path / "out", schemes=["float32"])
    assert not (tmp_path / "out").exists()


def test_a_batch_that_the_model_fixes(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input(batch_shape=(2, 3), name="signal")
    path = save(keras.Model(inputs, keras.layers.Dense(2)(inputs)), tmp_path / "m.keras")
    with pytest.raises(ExportError, match=r"fixes the batch at 2, received 1.*--batch 2"):
        edgekit.export(path, out=tmp_path / "out", schemes=["float32"])
    recipe = ExportRecipe(batch="2")
    (file,) = edgekit.export(path, out=tmp_path / "out", schemes=["float32"], recipe=recipe)
    with edgekit.load(file.path) as runner:
        assert runner.inputs[0].shape == (2, 3)
