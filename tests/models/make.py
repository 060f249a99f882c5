"""Makes the model files beside it and `expected.npz`: what Keras answers to the same inputs.

Run it with the development environment (`python tests/models/make.py`) when a model is to change.
The files are committed, because the tests that use them run where TensorFlow is not installed.
They use no operator newer than tflite-runtime 2.14 knows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe, recipe_manager
from ai_edge_quantizer.utils import qsv_utils
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
OPSET = 17
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


def kinds(values: tf.Tensor, mask: tf.Tensor, offset: tf.Tensor) -> dict[str, tf.Tensor]:
    """Tensors that are neither quantised nor float."""
    return {
        "kept": values * tf.cast(mask, tf.float32),
        "blocked": tf.logical_not(mask),
        "shifted": offset + tf.constant(7, tf.int64),
    }


def stubborn(signal: tf.Tensor) -> dict[str, tf.Tensor]:
    """Says that its batch is open, and allocates for one sample only."""
    return {"score": 2 * tf.reshape(signal, (1, 6))}


def function_to_tflite(
    function: Callable[..., dict[str, tf.Tensor]], specs: list[tf.TensorSpec]
) -> bytes:
    module = tf.Module()
    module.serve = tf.function(function, input_signature=specs)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def specs_of(model: keras.Model, batch: int | None) -> list[tf.TensorSpec]:
    return [tf.TensorSpec((batch, *x.shape[1:]), x.dtype, x.name) for x in model.inputs]


def to_tflite(model: keras.Model, batch: int | None) -> bytes:
    argument = {spec.name: spec for spec in specs_of(model, batch)}
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, input_signature=[argument], verbose=False)
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def to_onnx(model: keras.Model, path: Path, batch: int | None) -> None:
    specs = specs_of(model, batch)

    @tf.function(input_signature=specs)
    def serve(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return model({spec.name: x for spec, x in zip(specs, tensors, strict=True)})

    proto, _ = tf2onnx.convert.from_function(serve, input_signature=specs, opset=OPSET)
    onnx.save(proto, path)


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


class _Rows(CalibrationDataReader):
    def __init__(self, inputs: Inputs) -> None:
        self._rows = iter([{k: x[i : i + 1] for k, x in inputs.items()} for i in range(SAMPLES)])

    def get_next(self) -> Inputs | None:
        return next(self._rows, None)


def without_signatures(model: bytes) -> bytes:
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    content.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def numbered_names() -> onnx.ModelProto:
    """Names that differ only in what stands behind their colon, as TensorFlow's exporters write."""
    make = onnx.helper.make_node
    info = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3])
        for name in ("signal:0", "StatefulPartitionedCall:0", "StatefulPartitionedCall:1")
    ]
    graph = onnx.helper.make_graph(
        [
            make("Neg", ["signal:0"], ["StatefulPartitionedCall:0"]),
            make("Abs", ["signal:0"], ["StatefulPartitionedCall:1"]),
        ],
        "numbered",
        info[:1],
        info[1:],
    )
    opset = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


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
        to_onnx(model, HERE / f"{name}.float32.onnx", batch)
        for scheme in schemes:
            write(f"{name}.{scheme}.tflite", quantized(content, scheme, given))

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

    specs = [
        tf.TensorSpec((1, 4), tf.float32, "values"),
        tf.TensorSpec((1, 4), tf.bool, "mask"),
        tf.TensorSpec((1, 2), tf.int64, "offset"),
    ]
    write("kinds.float32.tflite", function_to_tflite(kinds, specs))
    answer = kinds(**{key: tf.constant(x) for key, x in inputs["kinds"].items()})
    outputs["kinds"] = {key: np.asarray(value) for key, value in answer.items()}

    specs = [tf.TensorSpec((None, 6), tf.float32, "signal")]
    write("stubborn.float32.tflite", function_to_tflite(stubborn, specs))

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
