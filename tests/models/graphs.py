"""Models that are no Keras models: functions and graphs that show one thing each that a file can do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnx import TensorProto, helper
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

OPSET = 17
COLOURS = ("rot", "grün", "blau", "weiß")
NUMBERS = ("int8", "uint8", "int16", "int32", "int64", "float16", "float64", "bool")
# One scale for each of three channels.
SCALES, ZERO_POINTS = (0.5, 0.125, 0.03125), (0, -3, 7)

Function = Callable[..., dict[str, tf.Tensor]]
Specs = list[tf.TensorSpec]


def kinds(values: tf.Tensor, mask: tf.Tensor, offset: tf.Tensor) -> dict[str, tf.Tensor]:
    """Tensors that are neither quantised nor float."""
    return {
        "kept": values * tf.cast(mask, tf.float32),
        "blocked": tf.logical_not(mask),
        "shifted": offset + tf.constant(7, tf.int64),
    }


def numbers(
    int8: tf.Tensor,
    uint8: tf.Tensor,
    int16: tf.Tensor,
    int32: tf.Tensor,
    int64: tf.Tensor,
    float16: tf.Tensor,
    float64: tf.Tensor,
    bool: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Every dtype that a file may have, not quantised."""
    given = dict(
        zip(NUMBERS, (int8, uint8, int16, int32, int64, float16, float64, bool), strict=True)
    )
    real = {name: tf.cast(x, tf.float32) for name, x in given.items()}
    doubled = {f"twice_{name}": tf.cast(x * 2, given[name].dtype) for name, x in real.items()}
    return {"total": tf.add_n(list(real.values())), **doubled}


def stubborn(signal: tf.Tensor) -> dict[str, tf.Tensor]:
    """Says that its batch is open, and allocates for one sample only."""
    return {"score": 2 * tf.reshape(signal, (1, 6))}


def texts(word: tf.Tensor, index: tf.Tensor) -> dict[str, tf.Tensor]:
    return {
        "green": tf.equal(word, tf.constant(COLOURS[1])),
        "colour": tf.gather(tf.constant(COLOURS), index),
    }


def detector(image: tf.Tensor) -> dict[str, tf.Tensor]:
    """Outputs as a detector's: five boxes with scores and classes, and how many are meant."""
    boxes = tf.reshape(image, (1, 5, 4))
    scores = tf.reduce_mean(boxes, axis=2)
    return {
        "boxes": boxes,
        "scores": scores,
        "classes": tf.cast(tf.argmax(boxes, axis=2, output_type=tf.int32), tf.float32),
        "count": tf.reduce_sum(tf.cast(scores > 0, tf.float32), axis=1),
    }


def gauge(signal: tf.Tensor, gain: tf.Tensor) -> dict[str, tf.Tensor]:
    """A number without axes goes in and comes out, beside one number a sample."""
    return {"reading": tf.reduce_mean(signal, axis=1) * gain, "doubled": gain * 2}


def sequence(steps: tf.Tensor) -> dict[str, tf.Tensor]:
    """Batch and length are open."""
    return {"sums": tf.cumsum(steps, axis=1), "mean": tf.reduce_mean(steps, axis=1)}


def recurrent(signal: tf.Tensor, h: tf.Tensor, c: tf.Tensor) -> dict[str, tf.Tensor]:
    """One step of an LSTM with all weights 1 (Hochreiter and Schmidhuber, 1997), state by name."""
    gate = tf.reduce_sum(signal, axis=1, keepdims=True) + h
    c = tf.sigmoid(gate) * c + tf.sigmoid(gate) * tf.tanh(gate)
    h = tf.sigmoid(gate) * tf.tanh(c)
    return {"score": tf.reduce_sum(h, axis=1, keepdims=True), "h": h, "c": c}


def cache(token: tf.Tensor, keys: tf.Tensor, values: tf.Tensor) -> dict[str, tf.Tensor]:
    """Attention to the last four tokens, whose keys and values are carried by name."""
    keys = tf.concat([keys[:, 1:], token[:, None]], axis=1)
    values = tf.concat([values[:, 1:], 2 * token[:, None]], axis=1)
    weights = tf.nn.softmax(tf.reduce_sum(keys * token[:, None], axis=2))
    return {
        "answer": tf.reduce_sum(weights[:, :, None] * values, axis=1),
        "keys": keys,
        "values": values,
    }


def specs_of(inputs: dict[str, np.ndarray], dynamic: int, scalars: tuple[str, ...]) -> Specs:
    """Specs of one recorded sample, its first axes dynamic; `scalars` have no axes."""
    specs = []
    for name, x in inputs.items():
        shape = [None if axis < dynamic else n for axis, n in enumerate(x[:1].shape)]
        dtype = tf.string if x.dtype.kind == "U" else x.dtype
        specs.append(tf.TensorSpec([] if name in scalars else shape, dtype, name))
    return specs


def tflite(functions: dict[str, tuple[Function, Specs]], state: object = None) -> bytes:
    """A file with a signature for each of `functions`, which may share `state`: a variable, a table."""
    module = tf.Module()
    module.state = state
    signatures = {}
    for name, (function, specs) in functions.items():
        signatures[name] = tf.function(function, input_signature=specs)
        setattr(module, f"call_{name}", signatures[name])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, list(signatures))
        converter.experimental_enable_resource_variables = state is not None
        return converter.convert()


def counter() -> bytes:
    """Adds what it is given to a total that it keeps in a variable, which begins with 10 and 20."""
    total = tf.Variable([[10.0, 20.0]])
    specs = [tf.TensorSpec((1, 2), tf.float32, "amount")]
    return tflite(
        {"serving_default": (lambda amount: {"total": total.assign_add(amount)}, specs)}, total
    )


def ledger() -> bytes:
    """`counter` with a signature to add, one to read, and one that has nothing to do with it."""
    total = tf.Variable([[10.0, 20.0]])
    row, three = tf.TensorSpec((1, 2), tf.float32, "amount"), tf.TensorSpec((1, 3), tf.float32, "x")
    return tflite(
        {
            "add": (lambda amount: {"total": total.assign_add(amount)}, [row]),
            "read": (lambda: {"total": total + 0.0}, []),
            "double": (lambda x: {"twice": 2 * x}, [three]),
        },
        total,
    )


def lookup() -> bytes:
    """Looks texts up in a table that is filled once, when the file is loaded: no state."""
    keys = tf.lookup.KeyValueTensorInitializer(
        tf.constant(COLOURS), tf.constant([1, 2, 3, 4], tf.int64)
    )
    table = tf.lookup.StaticHashTable(keys, default_value=-1)
    specs = [tf.TensorSpec((1, 2), tf.string, "word")]
    return tflite({"serving_default": (lambda word: {"number": table.lookup(word)}, specs)}, table)


def channels() -> bytes:
    """An int8 input with a scale a channel, made real by the file itself.

    No converter writes such an input; the format allows it.
    """
    image, real = _tensor("image", (1, 2, 3), schema.TensorType.INT8), _tensor("real", (1, 2, 3))
    image.quantization = schema.QuantizationParametersT()
    image.quantization.scale, image.quantization.zeroPoint = list(SCALES), list(ZERO_POINTS)
    image.quantization.quantizedDimension = 2
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0], [1]
    return _by_hand([image, real], operator, schema.BuiltinOperator.DEQUANTIZE, version=5)


def sliding() -> bytes:
    """Adds what it is given to what it was given before, which it keeps in a tensor (SVDF)."""
    names = ("x", "feature", "time", "memory", "sum")
    shapes = ((1, 1), (1, 1), (1, 2), (1, 2), (1, 1))
    tensors = [_tensor(name, shape) for name, shape in zip(names, shapes, strict=True)]
    tensors[3].isVariable = True
    operator = schema.OperatorT()
    # The bias, which is fourth, is left out.
    operator.inputs, operator.outputs = [0, 1, 2, -1, 3], [4]
    operator.builtinOptionsType = schema.BuiltinOptions.SVDFOptions
    operator.builtinOptions = schema.SVDFOptionsT()
    operator.builtinOptions.rank = 1
    ones = {1: np.ones(1, np.float32), 2: np.ones(2, np.float32)}
    return _by_hand(tensors, operator, schema.BuiltinOperator.SVDF, constants=ones)


def summing() -> bytes:
    """Sums up the three steps that it is given, in a fused operator that keeps its last sum."""
    names = ("x", "feature", "before", "bias", "memory", "sums")
    shapes = ((1, 3, 1), (1, 1), (1, 1), (1,), (1, 1), (1, 3, 1))
    tensors = [_tensor(name, shape) for name, shape in zip(names, shapes, strict=True)]
    tensors[4].isVariable = True
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2, 3, 4], [5]
    operator.builtinOptionsType = schema.BuiltinOptions.SequenceRNNOptions
    operator.builtinOptions = schema.SequenceRNNOptionsT()
    fixed = {number: np.full(1, number != 3, np.float32) for number in (1, 2, 3)}
    builtin = schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_RNN
    return _by_hand(tensors, operator, builtin, constants=fixed)


def _tensor(
    name: str, shape: tuple[int, ...], kind: int = schema.TensorType.FLOAT32
) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.shape = name, kind, list(shape)
    return tensor


def _by_hand(
    tensors: list[schema.TensorT],
    operator: schema.OperatorT,
    builtin: int,
    version: int = 1,
    constants: dict[int, np.ndarray] | None = None,
) -> bytes:
    """A file of one operator, from the first tensor to the last, without signatures."""
    code, graph, model = schema.OperatorCodeT(), schema.SubGraphT(), schema.ModelT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = version
    model.buffers = [schema.BufferT() for _ in range(len(tensors) + 1)]
    for number, tensor in enumerate(tensors):
        tensor.buffer = number + 1
        if constants and number in constants:
            model.buffers[number + 1].data = constants[number].tobytes()
    graph.tensors, graph.operators = tensors, [operator]
    graph.inputs, graph.outputs = [0], [len(tensors) - 1]
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def to_onnx(function: Function, specs: Specs, path: Path) -> None:
    """Outputs that are called like an input get a name of their own: ``next_h`` for ``h``."""
    taken = {spec.name for spec in specs}

    @tf.function(input_signature=specs)
    def serve(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        given = {spec.name: x for spec, x in zip(specs, tensors, strict=True)}
        return {f"next_{k}" if k in taken else k: x for k, x in function(**given).items()}

    proto, _ = tf2onnx.convert.from_function(serve, input_signature=specs, opset=OPSET)
    onnx.save(proto, path)


def numbered_names() -> onnx.ModelProto:
    """Names that differ only in what stands behind their colon, as TensorFlow's exporters write."""
    info = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3])
        for name in ("signal:0", "StatefulPartitionedCall:0", "StatefulPartitionedCall:1")
    ]
    nodes = [
        helper.make_node("Neg", ["signal:0"], ["StatefulPartitionedCall:0"]),
        helper.make_node("Abs", ["signal:0"], ["StatefulPartitionedCall:1"]),
    ]
    return _onnx_model(nodes, info[:1], info[1:])


def texts_as_onnx() -> onnx.ModelProto:
    """`texts`. Comparing texts is new in opset 19, looking them up is old."""
    info = [
        helper.make_tensor_value_info(name, kind, [1, 3])
        for name, kind in (
            ("word", TensorProto.STRING),
            ("index", TensorProto.INT32),
            ("green", TensorProto.BOOL),
            ("colour", TensorProto.STRING),
        )
    ]
    found = {"keys_strings": [COLOURS[1]], "values_int64s": [1], "default_int64": 0}
    colours = helper.make_tensor(
        "colours", TensorProto.STRING, [len(COLOURS)], [c.encode() for c in COLOURS]
    )
    nodes = [
        helper.make_node("LabelEncoder", ["word"], ["found"], domain="ai.onnx.ml", **found),
        helper.make_node("Cast", ["found"], ["green"], to=TensorProto.BOOL),
        helper.make_node("Gather", ["colours", "index"], ["colour"]),
    ]
    return _onnx_model(nodes, info[:2], info[2:], [colours])


def planes() -> onnx.ModelProto:
    """An image with its channels first, as PyTorch's exporter writes."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 5])
    level = helper.make_tensor_value_info("level", TensorProto.FLOAT, [1, 3])
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["level"]),
    ]
    return _onnx_model(nodes, [image], [level])


def _onnx_model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto] | None = None,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 2)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)
