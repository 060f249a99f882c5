"""TFLite: one float conversion by TensorFlow's converter, every other scheme made from its bytes.

Why two tools: the converter lowers TensorFlow graphs, which nothing else does; ai-edge-quantizer
makes a quantised variant of the float file in milliseconds where the converter would start anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgekit.convert.freeze import SIGNATURE, Frozen
from edgekit.convert.refusals import ranges_reason, tflite_reason
from edgekit.errors import ExportError, one_line, require
from edgekit.samples import Samples

_PURPOSE = "Quantising a TFLite file"

# The quantiser's names where they are not TFLite's.
_QUANTIZER_NAMES = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}

# Ranges found by ai-edge-quantizer's calibrator: {"min", "max"} arrays by tensor name.
Ranges = dict[str, Any]


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
    return content


def find_ranges(float_file: bytes, samples: Samples, threads: int = 1) -> Ranges:
    """The smallest and largest value of every tensor over all `samples`.

    True minima and maxima: the quantiser's own moving average loses accuracy (docs/decisions.md).

    Args:
        float_file: as `float_tflite` gives it.
        samples: under the model's input names, of any number.

    Raises:
        ExportError: the file holds tensors that cannot be observed, such as those of a loop.
    """
    calibrator = require("ai_edge_quantizer.calibrator", "export", _PURPOSE)
    qsv_utils = require("ai_edge_quantizer.utils.qsv_utils", "export", _PURPOSE)
    calibration = calibrator.Calibrator(
        float_file, num_threads=threads, qsv_update_func=qsv_utils.min_max_update
    )
    # int8's and int16x8's recipes observe the same tensors: one pass serves both.
    # A list: the calibrator goes over its data twice, the first time only to count.
    feed = list(_feed(float_file, samples))
    try:
        calibration.calibrate({SIGNATURE: feed}, _recipe("int8", "int8"))
    except (ValueError, RuntimeError, NotImplementedError, KeyError) as error:
        # Loops, as recurrent layers make them, hold tensors that cannot be looked at.
        raise ExportError(ranges_reason(error)) from error
    ranges: Ranges = calibration.get_model_qsvs()
    return ranges


def quantize_tflite(
    float_file: bytes,
    scheme: str,
    ranges: Ranges | None,
    io_dtype: str,
    in_float: frozenset[str] = frozenset(),
) -> bytes:
    """A variant of the float file in another scheme.

    Args:
        float_file: as `float_tflite` gives it.
        scheme: ``"float16"``, ``"dynamic"``, ``"int8"`` or ``"int16x8"``.
        ranges: needed for ``"int8"`` and ``"int16x8"``.
        io_dtype: ``"int8"`` lets the file take and give the integers it computes with,
            ``"float32"`` keeps real numbers at its ends.
        in_float: operators, by their TFLite names, that are left in float.

    Raises:
        ExportError: the quantiser cannot treat this model.
    """
    quantizer_module = require("ai_edge_quantizer.quantizer", "export", _PURPOSE)
    quantizer = quantizer_module.Quantizer(float_file)
    manager = _recipe(scheme, io_dtype, in_float)
    quantizer.load_quantization_recipe(manager.get_quantization_recipe())
    try:
        result = quantizer.quantize(ranges, enable_progress_report=False)
    except (ValueError, RuntimeError, NotImplementedError, KeyError) as error:
        raise ExportError(f"scheme {scheme!r}: the quantiser refuses: {one_line(error)}") from error
    return bytes(result.quantized_model)


def _recipe(scheme: str, io_dtype: str, in_float: frozenset[str] = frozenset()) -> Any:
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
    else:
        bits = {"int8": 8, "int16x8": 16}[scheme]
        manager.add_static_config(
            ".*", operators.ALL_SUPPORTED, activation_num_bits=bits, weight_num_bits=8
        )
        if io_dtype == "float32":
            for end in (operators.INPUT, operators.OUTPUT):
                manager.add_quantization_config(
                    ".*", operation_name=end, algorithm_key="no_quantize"
                )
    for name in sorted({_QUANTIZER_NAMES.get(name, name) for name in in_float}):
        if name not in operators.__members__:
            continue
        manager.add_quantization_config(
            ".*", operation_name=operators[name], algorithm_key="no_quantize"
        )
    return manager


def _feed(float_file: bytes, samples: Samples) -> Iterator[dict[str, Any]]:
    """Batches of the size that the file has, the last one filled up with its last sample."""
    interpreter_module = require("ai_edge_litert.interpreter", "export", _PURPOSE)
    details = (
        interpreter_module.Interpreter(model_content=float_file)
        .get_signature_runner(SIGNATURE)
        .get_input_details()
    )
    size = int(next(iter(details.values()))["shape"][0])
    for batch in samples.batches(size):
        short = size - len(batch)
        yield {
            name: np.concatenate([x, x[-1:].repeat(short, 0)]).astype(details[name]["dtype"])
            for name, x in batch.inputs.items()
        }


def _essence(error: BaseException) -> str:
    """What of the converter's page-long message names the operator."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line or "ops:" in line.lower()]
    return " ".join(telling or lines)[:600]
