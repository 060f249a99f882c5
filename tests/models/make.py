"""Makes the model files beside it and `expected.npz`: what Keras or TensorFlow answers to the same inputs.

Run it with the development environment (`python tests/models/make.py`) when a model is to change.
The files are committed, because the tests that use them run where TensorFlow is not installed.
They use no operator newer than tflite-runtime 2.14 knows.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import onnx
import tensorflow as tf
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe, recipe_manager
from ai_edge_quantizer.utils import qsv_utils
from graphs import (
    COLOURS,
    NUMBERS,
    SCALES,
    ZERO_POINTS,
    Function,
    cache,
    channels,
    counter,
    detector,
    gauge,
    kinds,
    ledger,
    lookup,
    numbered_names,
    numbers,
    planes,
    recurrent,
    sequence,
    sliding,
    specs_of,
    stubborn,
    summing,
    texts,
    texts_as_onnx,
    tflite,
    to_onnx,
)
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

HERE = Path(__file__).parent
SAMPLES = 24
layers = keras.layers

Inputs = dict[str, np.ndarray]


def classifier() -> keras.Model:
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 16)(image)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    # Not a Dense layer: with a scale a channel and dynamic quantisation, tflite-runtime 2.14
    # loads it and answers nonsense.
    x = layers.Conv2D(5, 4)(x)
    return keras.Model({"image": image}, {"digit": layers.Softmax()(layers.Flatten()(x))})


def dynamic() -> keras.Model:
    signal = keras.Input((6,), name="signal")
    x = layers.Dense(5, activation="tanh")(signal)
    return keras.Model({"signal": signal}, {"score": layers.Dense(3)(x)})


def tokens() -> keras.Model:
    ids = keras.Input((5,), dtype="int32", name="ids")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(12, 4)(ids))
    return keras.Model({"ids": ids}, {"label": layers.Dense(2)(x)})


def pair() -> keras.Model:
    """Two inputs of one shape and two outputs of one shape: only their names tell them apart."""
    left, right = keras.Input((2, 2, 3), name="left"), keras.Input((2, 2, 3), name="right")
    a, b = layers.Conv2D(3, 1)(left), layers.Conv2D(3, 1)(right)
    return keras.Model(
        {"left": left, "right": right},
        {"total": layers.Add()([a, b]), "gap": layers.Subtract()([a, b])},
    )


def signature_of(model: keras.Model, batch: int | None) -> list[tf.TensorSpec]:
    return [tf.TensorSpec((batch, *x.shape[1:]), x.dtype, x.name) for x in model.inputs]


def to_tflite(model: keras.Model, batch: int | None) -> bytes:
    argument = {spec.name: spec for spec in signature_of(model, batch)}
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, input_signature=[argument], verbose=False)
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def caller(model: keras.Model) -> Function:
    return lambda **given: model(given)


def quantized(float_model: bytes, scheme: str, inputs: Inputs) -> bytes:
    rules = recipe_manager.RecipeManager()
    ranges = None
    if scheme == "float16":
        rules.add_weight_only_config(
            regex=".*",
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            num_bits=16,
            algorithm_key="float_casting",
        )
    elif scheme == "dynamic":
        rules.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    else:
        static = {"int8": recipe.static_wi8_ai8, "int16x8": recipe.static_wi8_ai16}[scheme]
        rules.load_quantization_recipe(static())
        rows = [{k: x[i : i + 1] for k, x in inputs.items()} for i in range(SAMPLES)]
        calibration = calibrator.Calibrator(float_model, qsv_update_func=qsv_utils.min_max_update)
        calibration.calibrate({"serving_default": rows}, rules)
        ranges = calibration.get_model_qsvs()
    work = quantizer.Quantizer(float_model)
    work.load_quantization_recipe(rules.get_quantization_recipe())
    return bytes(work.quantize(ranges, enable_progress_report=False).quantized_model)


def unsigned_ends(model: keras.Model, inputs: Inputs) -> bytes:
    """int8 with uint8 at both ends, which only TensorFlow's own converter makes."""
    argument = {spec.name: spec for spec in signature_of(model, 1)}
    rows = [{k: x[i : i + 1] for k, x in inputs.items()} for i in range(SAMPLES)]
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, input_signature=[argument], verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter(rows)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        return converter.convert()


def pixels() -> bytes:
    """150,528 values in, three out."""
    image = keras.Input((224, 224, 3), name="image")
    mean = layers.Flatten()(layers.AveragePooling2D(224)(image))
    content = to_tflite(keras.Model({"image": image}, {"mean": mean}), 1)
    ramp = np.linspace(0, 1, 224 * 224 * 3, dtype=np.float32).reshape(1, 224, 224, 3)
    return quantized(content, "int8", {"image": np.repeat(ramp, SAMPLES, 0)})


def answers(function: Function, inputs: Inputs, scalars: tuple[str, ...] = ()) -> Inputs:
    """What TensorFlow itself answers, sample by sample."""
    rows = [
        function(
            **{k: tf.constant(x[i] if k in scalars else x[i : i + 1]) for k, x in inputs.items()}
        )
        for i in range(SAMPLES)
    ]
    return {
        key: recordable(np.concatenate([np.atleast_1d(np.asarray(row[key])) for row in rows]))
        for key in rows[0]
    }


def recordable(x: np.ndarray) -> np.ndarray:
    """As `infer` gives it: floats are float32. Texts without pickling."""
    if x.dtype == object:
        return np.array([v.decode() for v in x.flat]).reshape(x.shape)
    return x.astype(np.float32) if x.dtype.kind == "f" else x


class _Rows(CalibrationDataReader):
    def __init__(self, inputs: Inputs) -> None:
        self._rows = iter([{k: x[i : i + 1] for k, x in inputs.items()} for i in range(SAMPLES)])

    def get_next(self) -> Inputs | None:
        return next(self._rows, None)


def without_signatures(model: bytes) -> bytes:
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    content.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def main() -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal((SAMPLES, *shape), np.float32)  # noqa: E731
    inputs: dict[str, Inputs] = {
        "classifier": {"image": (rng.random((SAMPLES, 8, 8, 1), np.float32) * 16)},
        "dynamic": {"signal": normal(6)},
        "tokens": {"ids": rng.integers(0, 12, (SAMPLES, 5)).astype(np.int32)},
        "pair": {"left": normal(2, 2, 3), "right": normal(2, 2, 3)},
        "kinds": {
            "values": normal(4),
            "mask": rng.random((SAMPLES, 4)) < 0.5,
            "offset": rng.integers(-9, 9, (SAMPLES, 2)).astype(np.int64),
        },
        "numbered": {"signal": normal(3)},
        "numbers": {
            name: (rng.random((SAMPLES, 4)) < 0.5)
            if name == "bool"
            else rng.integers(0, 60, (SAMPLES, 4)).astype(name)
            for name in NUMBERS
        },
        "texts": {
            "word": rng.choice([*COLOURS, "", "\u00e9t\u00e9 \U0001f600"], (SAMPLES, 3)),
            "index": rng.integers(0, len(COLOURS), (SAMPLES, 3)).astype(np.int32),
        },
        "detector": {"image": normal(2, 2, 5)},
        "gauge": {"signal": normal(4), "gain": normal()},
        "sequence": {"steps": normal(3, 2)},
        "recurrent": {"signal": normal(3), "h": normal(2), "c": normal(2)},
        "cache": {"token": normal(2), "keys": normal(4, 2), "values": normal(4, 2)},
        "channels": {"image": normal(2, 3)},
        "planes": {"image": normal(3, 4, 5)},
    }
    outputs: dict[str, Inputs] = {}

    def write(name: str, content: bytes) -> None:
        (HERE / name).write_bytes(content)

    for build, batch, schemes in (
        (classifier, 1, ("float16", "dynamic", "int8", "int16x8")),
        (dynamic, None, ()),
        (tokens, 1, ()),
        (pair, 1, ("int8",)),
    ):
        name, model = build.__name__, build()
        given = inputs[name]
        outputs[name] = {key: np.asarray(value) for key, value in model(given).items()}
        content = to_tflite(model, batch)
        write(f"{name}.float32.tflite", content)
        to_onnx(caller(model), signature_of(model, batch), HERE / f"{name}.float32.onnx")
        for scheme in schemes:
            write(f"{name}.{scheme}.tflite", quantized(content, scheme, given))
        if build is classifier:
            write("camera.int8.tflite", unsigned_ends(model, given))

    quantize_static(
        HERE / "classifier.float32.onnx",
        HERE / "classifier.int8.onnx",
        _Rows(inputs["classifier"]),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    plain = (HERE / "classifier.float32.tflite").read_bytes()
    write("unsigned.float32.tflite", without_signatures(plain))

    for function, dynamic_dimensions, endings in (
        (kinds, 0, (".tflite",)),
        (numbers, 0, (".tflite", ".onnx")),
        (texts, 0, (".tflite",)),
        (detector, 0, (".tflite", ".onnx")),
        (gauge, 0, (".tflite", ".onnx")),
        (sequence, 2, (".tflite", ".onnx")),
        (recurrent, 0, (".tflite", ".onnx")),
        (cache, 0, (".tflite", ".onnx")),
    ):
        name = function.__name__
        given = inputs[name]
        scalars = ("gain",) if function is gauge else ()
        outputs[name] = answers(function, given, scalars)
        specs = specs_of(given, dynamic_dimensions, scalars)
        write(f"{name}.float32.tflite", tflite({"serving_default": (function, specs)}))
        if ".onnx" in endings:
            to_onnx(function, specs, HERE / f"{name}.float32.onnx")

    specs = [tf.TensorSpec((None, 6), tf.float32, "signal")]
    write("stubborn.float32.tflite", tflite({"serving_default": (stubborn, specs)}))
    for build in (counter, ledger, lookup, sliding, summing):
        write(f"{build.__name__}.float32.tflite", build())
    write("pixels.int8.tflite", pixels())

    write("channels.int8.tflite", channels())
    scales, zero_points = np.float32(SCALES), np.float32(ZERO_POINTS)
    image = inputs["channels"]["image"]
    stored = np.clip(np.round(image / scales) + zero_points, -128, 127)
    outputs["channels"] = {"real": (stored - zero_points) * scales}

    onnx.save(texts_as_onnx(), HERE / "texts.float32.onnx")
    onnx.save(planes(), HERE / "planes.float32.onnx")
    outputs["planes"] = {"level": inputs["planes"]["image"].mean((2, 3))}
    onnx.save(numbered_names(), HERE / "numbered.float32.onnx")
    signal = inputs["numbered"]["signal"]
    outputs["numbered"] = {
        "StatefulPartitionedCall:0": -signal,
        "StatefulPartitionedCall:1": np.abs(signal),
    }
    arrays = {
        f"{model}/{side}/{key}": x
        for side, table in (("in", inputs), ("out", outputs))
        for model, tensors in table.items()
        for key, x in tensors.items()
    }
    np.savez_compressed(HERE / "expected.npz", **arrays)
    files = sorted(p for p in HERE.iterdir() if p.suffix in (".tflite", ".onnx", ".npz"))
    for path in files:
        print(f"{path.stat().st_size:7d}  {path.name}")
    print(f"{sum(p.stat().st_size for p in files):7d}  in all")


if __name__ == "__main__":
    main()
