"""TFLite: one float conversion by TensorFlow's converter, every other scheme made from its bytes.

Why two tools: the converter lowers TensorFlow graphs, which nothing else does; ai-edge-quantizer
makes a quantised variant of the float file in milliseconds where the converter would start anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.calibration.learned import Learned
from edgekit.calibration.masks import masked_scores
from edgekit.calibration.methods import MIN_MAX, Interval, Method
from edgekit.calibration.observe import observe
from edgekit.calibration.probes import TfliteProbe
from edgekit.calibration.ranges import Ranges
from edgekit.convert.refusals import tflite_reason
from edgekit.convert.tflite.bias_correction import correct_biases
from edgekit.convert.tflite.model_order import in_model_order
from edgekit.convert.tflite.per_tensor_kernels import lost_on_one_scale, per_tensor_kernels
from edgekit.convert.tflite.short_scales import shorten_scales
from edgekit.convert.tflite.signature_outputs import keep_signature_outputs
from edgekit.convert.tflite.small_kernels import small_kernels
from edgekit.convert.trace.freeze import SIGNATURE, Frozen
from edgekit.errors import ExportError, one_line, require
from edgekit.formats.graph import Graph, Model, Operator
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite import model_of
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import TfliteFile
from edgekit.inspection.whole_numbers import ends_of, exact_operators, scope_of
from edgekit.samples import Samples
from edgekit.tensor import held_by_half, within_half

_PURPOSE = "Quantising a TFLite file"
# Schemes that leave activations in float, and the layers whose weights each can store (the policy of
# ai-edge-quantizer 0.10).
_WEIGHTS_ALONE = {
    "int8-weights": "dense, convolution and embedding layers",
    "int4-weights": "dense, two-dimensional convolution and embedding layers",
    "int4-blocks": "dense and embedding layers, in blocks of 32 along the input",
}
# The interpreter's integer kernel ends the inference at a divisor that rounds to zero, as that of a mean
# over padding alone does; a real one gives what Keras gives.
_LEFT_IN_FLOAT = frozenset({"DIV"})
_WITH_WEIGHTS = frozenset({"FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"})
# Whose first two inputs are multiplied.
_MULTIPLYING = _WITH_WEIGHTS | {"BATCH_MATMUL", "DIV", "MUL"}
_FACTORS = 2
# The quantiser's names where they are not TFLite's.
_QUANTIZER_NAMES = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}


def float_tflite(frozen: Frozen, *, allow_flex: bool = False) -> bytes:
    """The float32 file.

    Args:
        frozen: the model.
        allow_flex: take TensorFlow's own operator where TFLite has none.

    Raises:
        ExportError: an operator has no TFLite counterpart; names it and its layer.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(frozen.saved_model), signature_keys=[SIGNATURE]
    )
    if allow_flex:
        sets = tf.lite.OpsSet
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS, sets.SELECT_TF_OPS]
    try:
        content: bytes = converter.convert()
    # The converter's own error class is not public and derives from Exception alone.
    except Exception as error:
        reason = tflite_reason(str(error), frozen.layers)
        raise ExportError(reason or f"TFLite cannot express it: {_essence(error)}") from error
    return in_model_order(content, frozen.inputs, frozen.outputs)


def find_ranges(
    float_file: TfliteFile,
    samples: Samples,
    method: Method = MIN_MAX,
    seed: int = 0,
    validation: Samples | None = None,
    learned: Learned | None = None,
) -> Ranges:
    """The range of every activation, found by running the float file over `samples` once.

    Args:
        float_file: of the bytes that `float_tflite` gives.
        samples: under the model's input names, of any number.
        method: how a range follows from what was seen.
        seed: of the halves whose ranges are compared.
        validation: samples to hold against the ranges.
        learned: ranges that the model was trained with.

    Raises:
        ExportError: the file holds tensors that cannot be observed.
    """
    masked = masked_scores(model_of(float_file))
    probe = TfliteProbe(float_file, loops=True)
    return observe(probe, samples, method, seed, validation, learned, masked)


def quantize_tflite(
    float_file: TfliteFile,
    scheme: str,
    ranges: Ranges | None,
    io_dtype: str,
    in_float: frozenset[str] = frozenset(),
    samples: Samples | None = None,
    seed: int = 0,
    left: Sequence[Operator] = (),
) -> ModelFile:
    """A variant of the float file in another scheme.

    Args:
        float_file: of the bytes that `float_tflite` gives.
        scheme: of `edgekit.artifact.SCHEMES`, not ``"float32"``.
        ranges: needed for ``"int8"`` and ``"int16x8"``.
        io_dtype: ``"int8"`` lets the file take and give the integers it computes with, ``"uint8"``
            those of images as cameras give them, of an ``"int8"`` file; ``"float32"`` keeps float values as
            inputs and outputs (float I/O).
        in_float: operators, by their TFLite names, that are left in float.
        samples: those that `ranges` was found from, to centre the sums of last dense layers with.
        seed: of the choice of samples, where there are many.
        left: single operators of the float file that are left in float; where they take inputs or
            give outputs of the model, the file's inputs or outputs are float.

    Raises:
        ExportError: the quantiser cannot treat this model.
    """
    quantizer_module = require("ai_edge_quantizer.quantizer", "export", _PURPOSE)
    statistics = None if ranges is None else _statistics(ranges.of(scheme))
    if statistics == {}:
        raise ExportError(f"scheme {scheme!r}: no tensor of it can be quantised; use float32.")
    quantizer = quantizer_module.Quantizer(float_file.content)
    per_tensor, whole = [], _exact(float_file)
    if ranges is not None:
        per_tensor = per_tensor_kernels(float_file, scheme == "int8")
        model = model_of(float_file)
        looped = _left_in_loops(model)
        # Inputs and outputs of a loop's graphs are float, and the quantiser tells them from the model's
        # by nothing.
        io_dtype = "float32" if looped else io_dtype
        whole += [(operator.op, scope_of(*operator.outputs)) for operator in (*looped, *left)]
        whole += [(end, ".*") for end in _float_ends(model.graphs[model.main], left)]
        in_float |= _LEFT_IN_FLOAT
    elif scheme == "dynamic":
        whole += [*lost_on_one_scale(float_file), *small_kernels(float_file)]
    elif scheme == "float16":
        whole += _beyond_half(float_file)
    # It would load and allocate the float file to look for empty statistics: there are none here, and
    # a file with dynamic dimensions may not allocate at its smallest size.
    quantizer._ensure_model_qsv_sufficient = lambda _: None
    manager = _recipe(scheme, io_dtype, in_float, per_tensor, whole)
    quantizer.load_quantization_recipe(manager.get_quantization_recipe())
    try:
        result = quantizer.quantize(statistics, enable_progress_report=False)
    except (ValueError, RuntimeError, NotImplementedError, KeyError) as error:
        raise ExportError(f"scheme {scheme!r}: the quantiser refuses: {one_line(error)}") from error
    # A bytearray: from here on numbers change where they lie, and what was read of the file stays true.
    file = read_file(bytearray(result.quantized_model))
    keep_signature_outputs(file, float_file)
    if scheme in _WEIGHTS_ALONE and not _holds_integers(file):
        raise ExportError(
            f"scheme {scheme!r}: this model has no weights that the quantiser stores so; it takes "
            f"those of {_WEIGHTS_ALONE[scheme]}."
        )
    # Learned ranges are what the weights were trained with.
    if ranges is None or not ranges.learned:
        shorten_scales(file, float_file)
        if ranges is not None and samples is not None:
            correct_biases(file, float_file, samples, seed)
    return ModelFile.of_tflite(file)


def _exact(file: TfliteFile) -> list[tuple[str, str]]:
    """The operators that no scheme may round, and inputs and outputs beside them, with their scopes."""
    model = model_of(file)
    graph = model.graphs[model.main]
    operators = exact_operators(graph, _marks(file, graph))
    inputs, outputs = ends_of(graph, operators)
    return [
        *((operator.op, scope_of(*operator.outputs)) for operator in operators),
        # The quantiser knows the inputs of a graph as one operator, and the outputs.
        *([("INPUT", ".*")] if inputs else ()),
        *([("OUTPUT", ".*")] if outputs else ()),
    ]


def _beyond_half(file: TfliteFile) -> list[tuple[str, str]]:
    """The operators with constants that half precision does not hold, and their scopes.

    Too small ones count only where they multiply: hardly anything hangs on those of a bias.
    """
    model, found = model_of(file), []
    for operator in model.graphs[model.main].operators:
        for place, tensor in enumerate(operator.inputs):
            if tensor and tensor.constant and tensor.dtype == "float32":
                number, index = map(int, tensor.key.split(":"))
                values = file.graphs[number].tensors[index].constant("<f4").of(file.content)
                exact = operator.op in _MULTIPLYING and place < _FACTORS
                if not (held_by_half(values) if exact else within_half(values)):
                    found.append((operator.op, scope_of(*operator.outputs)))
                    break
    return found


def _marks(file: TfliteFile, graph: Graph) -> set[str]:
    """The keys of single float constants that are not zero."""
    found = set()
    for operator in graph.operators:
        for tensor in operator.inputs:
            if tensor and tensor.constant and tensor.dtype == "float32" and tensor.elements == 1:
                number, place = map(int, tensor.key.split(":"))
                values = file.graphs[number].tensors[place].constant("<f4").of(file.content)
                found |= {tensor.key} if values.any() else set()
    return found


def _recipe(
    scheme: str,
    io_dtype: str,
    in_float: frozenset[str] = frozenset(),
    per_tensor: Sequence[tuple[str, str]] = (),
    whole: Sequence[tuple[str, str]] = (),
) -> Any:
    manager_module = require("ai_edge_quantizer.recipe_manager", "export", _PURPOSE)
    types = require("ai_edge_quantizer.qtyping", "export", _PURPOSE)
    manager = manager_module.RecipeManager()
    operators = types.TFLOperationName
    if scheme == "float16":
        manager.add_weight_only_config(
            ".*", operators.ALL_SUPPORTED, num_bits=16, algorithm_key="float_casting"
        )
    elif scheme == "dynamic":
        manager.add_dynamic_config(".*", operators.ALL_SUPPORTED, num_bits=8)
        # tflite-runtime 2.14 loads dense layers with a scale a channel and answers wrongly, without
        # a word (16 % of labels right). One scale a kernel is right everywhere.
        manager.add_dynamic_config(
            ".*",
            operators.FULLY_CONNECTED,
            num_bits=8,
            granularity=types.QuantGranularity.TENSORWISE,
        )
    elif scheme in ("int8-weights", "int4-weights"):
        manager.add_weight_only_config(
            ".*", operators.ALL_SUPPORTED, num_bits=8 if scheme == "int8-weights" else 4
        )
    elif scheme == "int4-blocks":
        manager.add_dynamic_config(
            ".*",
            operators.ALL_SUPPORTED,
            num_bits=4,
            granularity=types.QuantGranularity.BLOCKWISE_32,
        )
    else:
        bits = {"int8": 8, "int16x8": 16}[scheme]
        manager.add_static_config(
            ".*", operators.ALL_SUPPORTED, activation_num_bits=bits, weight_num_bits=8
        )
        for name, scope in per_tensor:
            manager.add_static_config(
                scope,
                operators[_QUANTIZER_NAMES.get(name, name)],
                activation_num_bits=bits,
                weight_num_bits=8,
                weight_granularity=types.QuantGranularity.TENSORWISE,
            )
        if io_dtype == "float32":
            for end in (operators.INPUT, operators.OUTPUT):
                manager.add_quantization_config(
                    ".*", operation_name=end, algorithm_key="no_quantize"
                )
        elif io_dtype == "uint8" and scheme == "int8":
            for end in (operators.INPUT, operators.OUTPUT):
                manager.add_quantization_config(
                    ".*", operation_name=end, op_config=_unsigned(types)
                )
    everywhere = [(name, ".*") for name in sorted(in_float)]
    for tflite_name, scope in (*everywhere, *whole):
        name = _QUANTIZER_NAMES.get(tflite_name, tflite_name)
        if name not in operators.__members__:
            continue
        manager.add_quantization_config(
            scope, operation_name=operators[name], algorithm_key="no_quantize"
        )
    return manager


def _float_ends(graph: Graph, left: Sequence[Operator]) -> list[str]:
    """The quantiser's names for a graph's inputs and outputs, those that operators in float read or give."""
    read = {tensor.key for operator in left for tensor in operator.inputs if tensor}
    made = {tensor.key for operator in left for tensor in operator.outputs if tensor}
    ends = (("INPUT", graph.inputs, read), ("OUTPUT", graph.outputs, made))
    return [name for name, tensors, keys in ends if any(t.key in keys for t in tensors)]


def _unsigned(types: Any) -> Any:
    """How the quantiser is told of inputs and outputs in uint8, beside int8 operators."""
    return types.OpQuantizationConfig(
        activation_tensor_config=types.TensorQuantizationConfig(
            num_bits=8, symmetric=False, dtype=types.TensorDataType.UINT
        ),
        weight_tensor_config=types.TensorQuantizationConfig(num_bits=8, symmetric=True),
        compute_precision=types.ComputePrecision.INTEGER,
    )


def _left_in_loops(model: Model) -> list[Operator]:
    """What stays in float inside of loops: all but the products with weights.

    A state goes through a loop as many times as there are steps, and would be rounded each time; and
    what a loop takes and gives has to be of one dtype.
    """
    inner = (graph for number, graph in enumerate(model.graphs) if number != model.main)
    return [o for graph in inner for o in graph.operators if o.op not in _WITH_WEIGHTS]


def _holds_integers(file: TfliteFile) -> bool:
    """Whether any tensor is stored in 4 or 8 bits."""
    return any(t.dtype in ("int4", "int8") for graph in file.graphs for t in graph.tensors)


def _statistics(ranges: Mapping[str, Interval]) -> dict[str, dict[str, Any]]:
    """The ranges in the quantiser's words.

    Without axes: the quantiser gives a range those of a constant that shares it, if it has none.
    """
    return {
        name: {"min": np.array(lowest, np.float32), "max": np.array(highest, np.float32)}
        for name, (lowest, highest) in ranges.items()
    }


def _essence(error: BaseException) -> str:
    """What of the converter's page-long message names the operator."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line or "ops:" in line.lower()]
    return " ".join(telling or lines)[:600]
