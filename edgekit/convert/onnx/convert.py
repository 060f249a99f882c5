"""ONNX: tf2onnx for the float file, onnxruntime's quantiser for int8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.calibration.learned import Learned
from edgekit.calibration.masks import masked_scores
from edgekit.calibration.methods import MIN_MAX, Interval, Method
from edgekit.calibration.mixed import Plan, left_of
from edgekit.calibration.observe import observe
from edgekit.calibration.probes import OnnxProbe
from edgekit.calibration.ranges import Ranges
from edgekit.convert.onnx.bias_correction import correct_biases
from edgekit.convert.onnx.canonical import make_canonical, rename
from edgekit.convert.onnx.constant_noise import without_constant_noise
from edgekit.convert.onnx.exact import exact_nodes, read_as_before
from edgekit.convert.onnx.fit import fitted_onnx
from edgekit.convert.onnx.late_dequantize import dequantize_late
from edgekit.convert.onnx.layout import reshape_first
from edgekit.convert.onnx.mixed import mixed_onnx
from edgekit.convert.onnx.pair_safe import make_pair_safe
from edgekit.convert.onnx.recurrent_weights import store_recurrent_weights
from edgekit.convert.onnx.tf2onnx_patch import ordered_sets
from edgekit.convert.onnx.unrounded_outputs import keep_outputs_float
from edgekit.convert.onnx.whole_biases import give_whole_biases
from edgekit.convert.refusals import (
    Culprit,
    ends_reason,
    layer_of,
    loop_reason,
    onnx_reason,
    origin_of,
    quantizer_reason,
    state_reason,
)
from edgekit.convert.trace.freeze import Frozen
from edgekit.convert.trace.lowering import FOR_ONNX, lowered
from edgekit.errors import ExportError, one_line, require
from edgekit.formats.onnx import read_onnx
from edgekit.manifest import Fit
from edgekit.runtime.onnx_session import open_session
from edgekit.samples import Samples
from edgekit.scratch import scratch_folder

# Opset 17 has every operator tf2onnx emits and loads in onnxruntime 1.12 and later; IR version 8
# is of the same generation (table in onnxruntime's "ONNX Runtime compatibility").
_OPSET, _IR_VERSION = 17, 8
_DYNAMIC = ("MatMul", "Gemm", "Gather", "LSTM")
_NESTED = ("If", "Loop", "Scan")
_PURPOSE = "Quantising an ONNX file"


def float_onnx(frozen: Frozen) -> bytes:
    """The float32 file, inputs and outputs under the model's own names, images NHWC.

    Raises:
        ExportError: an operator has no ONNX counterpart, and names it and its layer; or an output is
            called as an input is.
    """
    if frozen.graph is None:
        draws, looks_up = (
            layer_of(name, frozen.layers) if name else ""
            for name in (frozen.draws, frozen.looks_up)
        )
        raise ExportError(state_reason(frozen.variables, draws, looks_up))
    twice = ends_reason([s.name for s in frozen.inputs], [s.name for s in frozen.outputs])
    if twice:
        raise ExportError(twice)
    proto = _converted(frozen)
    proto.ir_version = _IR_VERSION
    _without_negative_pads(proto.graph)
    without_constant_noise(proto.graph)
    _rename_ends(proto, frozen)
    reshape_first(proto.graph)
    make_canonical(proto, lambda name: origin_of(name, frozen.layers))
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _converted(frozen: Frozen) -> Any:
    """What tf2onnx makes of the graph: with its loops where that makes operators of them, else written out.

    Raises:
        ExportError: as `float_onnx`.
    """
    if frozen.flat is None:
        return _by_tf2onnx(frozen, frozen.graph)
    try:
        proto = _by_tf2onnx(frozen, frozen.graph)
    except ExportError:
        return _by_tf2onnx(frozen, frozen.flat)
    if any(node.op_type in _NESTED for node in proto.graph.node):
        return _by_tf2onnx(frozen, frozen.flat)
    return proto


def _by_tf2onnx(frozen: Frozen, graph: Any) -> Any:
    convert = require("tf2onnx.convert", "export", "Exporting to ONNX")
    try:
        with ordered_sets():
            proto, _ = convert.from_graph_def(
                lowered(graph, FOR_ONNX),
                input_names=list(frozen.input_tensors),
                output_names=list(frozen.output_tensors),
                opset=_OPSET,
            )
    # tf2onnx raises whatever it stumbles over.
    except Exception as error:
        for node in graph.node:
            if "While" in node.op:
                raise ExportError(loop_reason(node.name, frozen.layers)) from error
        raise ExportError(f"ONNX cannot express this model: {one_line(error)}") from error
    reason = onnx_reason(_left_over(proto.graph), frozen.layers)
    if reason:
        raise ExportError(reason)
    for node in proto.graph.node:
        if node.op_type == "Loop" and not _loads(proto):
            raise ExportError(loop_reason(node.output[0], frozen.layers))
    return proto


def _loads(proto: Any) -> bool:
    """Whether onnxruntime takes a file: tf2onnx gives some loops numbers of two widths."""
    runtime = require("onnxruntime", "export", "Exporting to ONNX")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        open_session(proto.SerializeToString(), options)
    # Of a class of its own for each kind of fault.
    except Exception as error:
        return "TypeInferenceError" not in str(error)
    return True


@dataclass(frozen=True)
class Quantized:
    """A float file and what onnxruntime's quantiser made of it.

    Attributes:
        proto: the QDQ ModelProto; copied before it is changed.
        plain: the float ModelProto, batch normalisation folded.
        ranges: of activations.
        learned: whether the model was trained with them.
    """

    proto: Any
    plain: Any
    ranges: Ranges
    learned: bool = False

    def finish(self, proto: Any, samples: Samples, seed: int) -> None:
        """What is done to every file made of it, in place."""
        dequantize_late(proto)
        kept = keep_outputs_float(proto.graph, self.plain.graph)
        correct_biases(proto, self.plain, kept, samples, seed)


def quantized_onnx(
    float_file: bytes,
    samples: Samples,
    method: Method = MIN_MAX,
    seed: int = 0,
    validation: Samples | None = None,
    learned: Learned | None = None,
) -> Quantized:
    """The QDQ graph, unsigned activations and signed per-channel weights, from which int8 files are made.

    Args:
        float_file: as `float_onnx` gives it, of a fixed batch.
        samples: under the model's input names, of any number.
        method: how the range of an activation follows from what was seen.
        seed: of the halves whose ranges are compared.
        validation: samples to hold against the ranges.
        learned: ranges that the model was trained with.

    Raises:
        ExportError: the quantiser cannot treat this model.
    """
    quantization = require("onnxruntime.quantization", "export", _PURPOSE)
    calibrate = require("onnxruntime.quantization.calibrate", "export", _PURPOSE)
    registry = require("onnxruntime.quantization.registry", "export", _PURPOSE)
    quantizer_module = require("onnxruntime.quantization.qdq_quantizer", "export", _PURPOSE)
    try:
        prepared = _prepared(float_file)
        read = read_onnx(prepared.SerializeToString())
        masked = masked_scores(read)
        exact = exact_nodes(prepared, read)
        plain = type(prepared)()
        plain.CopyFrom(prepared)  # The quantiser changes what it is given.
        ranges = observe(OnnxProbe(prepared), samples, method, seed, validation, learned, masked)
        quantizer = _keeping_outputs(quantizer_module.QDQQuantizer, plain)(
            prepared,
            per_channel=True,
            reduce_range=False,
            weight_qType=quantization.QuantType.QInt8,
            activation_qType=quantization.QuantType.QUInt8,
            tensors_range=calibrate.TensorsData(
                calibrate.CalibrationMethod.MinMax,
                {
                    name: (np.float32(_unsigned(lowest, ranges.seen[name])), np.float32(highest))
                    for name, (lowest, highest) in ranges.of("int8").items()
                },
            ),
            nodes_to_quantize=[],
            nodes_to_exclude=exact,
            op_types_to_quantize=[*registry.QLinearOpsRegistry, *registry.QDQRegistry],
            extra_options={
                # One scale each.
                "TensorQuantOverrides": {
                    node.input[1]: [{"quant_type": quantization.QuantType.QInt8, "symmetric": True}]
                    for node in _of_stacks(plain)
                }
            },
        )
        quantizer.quantize_model()
        proto = quantizer.model.model
        read_as_before(proto, plain, exact)
        make_pair_safe(proto, plain, samples, seed)
    # onnxruntime raises whatever it stumbles over.
    except Exception as error:
        raise ExportError(quantizer_reason("int8", error)) from error
    return Quantized(proto, plain, ranges, learned is not None)


def int8_of(
    quantized: Quantized,
    samples: Samples,
    seed: int = 0,
    quality: str = "default",
    left: Mapping[str, str] | None = None,
) -> tuple[bytes, Plan, Fit | None]:
    """The int8 file, what is in float, the fit.

    Unsigned activations and signed weights have fast kernels on x86 and Arm; with signed activations the
    file is slower than float on x86 (docs/explanation/quantisation.md). Inputs and outputs stay float32, and
    so do the sums of a dense layer that an output is made of (`edgekit.convert.onnx.unrounded_outputs`),
    unless their ranges were learned: weights are not fitted then either.

    Args:
        quantized: as `quantized_onnx` gives it.
        samples: those that it was given.
        seed: of the choice of samples, where there are many.
        quality: of `edgekit.recipe.QUALITIES`.
        left: operators that stay in float in any case, by the names of their first outputs, and why.

    Raises:
        ExportError: the quantiser cannot treat this model.
    """
    plain, plan, about = quantized.plain, Plan({}), None
    try:
        if quantized.learned:
            # A model that was trained with its integers answers with them: its ranges cut too.
            proto = type(quantized.proto)()
            proto.CopyFrom(quantized.proto)
        else:
            model = read_onnx(plain.SerializeToString())
            proto, plan = mixed_onnx(
                plain,
                quantized.proto,
                lambda given: quantized.finish(given, samples, seed),
                samples,
                seed,
                left_of(model.graphs[model.main], left or {}),
            )
            proto, about = fitted_onnx(proto, plain, samples, seed, quality)
    except Exception as error:
        raise ExportError(quantizer_reason("int8", error)) from error
    store_recurrent_weights(proto)
    dequantize_late(proto)
    # The quantiser appends its nodes at the end; ONNX wants each behind those that it reads from.
    make_canonical(proto)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content, plan, about


def int8_onnx(
    float_file: bytes,
    samples: Samples,
    method: Method = MIN_MAX,
    seed: int = 0,
    validation: Samples | None = None,
    learned: Learned | None = None,
    quality: str = "default",
) -> tuple[bytes, Ranges, Plan, Fit | None]:
    """As `quantized_onnx`, then `int8_of`: the file, its ranges, what is in float, the fit."""
    quantized = quantized_onnx(float_file, samples, method, seed, validation, learned)
    content, plan, about = int8_of(quantized, samples, seed, quality)
    return content, quantized.ranges, plan, about


def _unsigned(lowest: float, seen: Interval) -> float:
    """Zero for a tensor that is never negative, as behind a ReLU, whatever range it was trained with.

    onnxruntime takes a ReLU out and leaves it to the range to cut what is negative.
    """
    return max(lowest, min(seen.lowest, 0.0))


def dynamic_onnx(float_file: bytes) -> bytes:
    """The file with int8 weights per channel and activations quantised in each inference.

    Convolutions stay as they are: onnxruntime's integer kernel for them takes five times as long
    as the float one (docs/measurements/schemes.md).

    Raises:
        ExportError: onnxruntime's quantiser cannot treat this model, or finds nothing to quantise.
    """
    onnx = require("onnx", "export", _PURPOSE)
    quantization = require("onnxruntime.quantization", "export", _PURPOSE)
    with scratch_folder() as (folder, _):
        target = folder / "a.onnx"
        try:
            prepared = _prepared(float_file)
            exact = exact_nodes(prepared, read_onnx(prepared.SerializeToString()))
            plain = type(prepared)()
            plain.CopyFrom(prepared)  # The quantiser changes what it is given.
            quantization.quantize_dynamic(
                prepared,
                target,
                nodes_to_exclude=[
                    *exact,
                    *(node.name for node in (*_of_stacks(plain), *_stretched(plain))),
                ],
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=list(_DYNAMIC),
            )
        except Exception as error:
            raise ExportError(quantizer_reason("dynamic", error)) from error
        proto = onnx.load(target)
    if not any(tensor.data_type == onnx.TensorProto.INT8 for tensor in proto.graph.initializer):
        raise ExportError(
            "scheme 'dynamic': this model has no weights that onnxruntime quantises so; it takes "
            "those of dense, embedding and LSTM layers."
        )
    make_pair_safe(proto, plain)
    dequantize_late(proto)
    make_canonical(proto)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _of_stacks(proto: Any) -> list[Any]:
    """Products with a stack of constant matrices. onnxruntime fails where those have several scales."""
    ranks = {tensor.name: len(tensor.dims) for tensor in proto.graph.initializer}
    return [
        node
        for node in proto.graph.node
        if node.op_type == "MatMul" and ranks.get(node.input[1], 0) > 2
    ]


def _stretched(proto: Any) -> list[Any]:
    """Products of one column that a sum with a longer constant stretches.

    onnxruntime takes the constant for the bias of its fused DynamicQuantizeMatMul, and then refuses it.
    """
    shapes = {tensor.name: tensor.dims for tensor in proto.graph.initializer}
    summed = {
        name
        for node in proto.graph.node
        if node.op_type == "Add" and any(max(shapes.get(n, [1]), default=1) > 1 for n in node.input)
        for name in node.input
    }
    return [
        node
        for node in proto.graph.node
        if node.op_type == "MatMul" and node.output[0] in summed
        if list(shapes.get(node.input[1], []))[1:] == [1]
    ]


def _prepared(float_file: bytes) -> Any:
    """The model with batch normalisation folded, which tf2onnx leaves as Conv, Mul, Add.

    Its biases have a number for each output, as the quantiser takes them.
    """
    onnx = require("onnx", "export", _PURPOSE)
    inference = require("onnxruntime.quantization.shape_inference", "export", _PURPOSE)
    with scratch_folder() as (folder, _):
        source, target = folder / "a.onnx", folder / "b.onnx"
        source.write_bytes(float_file)
        inference.quant_pre_process(source, target, skip_symbolic_shape=True)
        proto = onnx.load(target)
    give_whole_biases(proto.graph)
    _give_constants(proto.graph)
    return proto


def _give_constants(graph: Any) -> None:
    """Let an operator give the outputs that are constants: quantisers drop constants that none reads; in place."""
    onnx = require("onnx", "export", _PURPOSE)
    outputs = {output.name for output in graph.output}
    for tensor in graph.initializer:
        if tensor.name in outputs:
            name, tensor.name = tensor.name, f"{tensor.name}/value"
            given = onnx.helper.make_node("Identity", [tensor.name], [name], f"{name}/given")
            graph.node.insert(0, given)


def _left_over(graph: Any) -> Iterator[Culprit]:
    """TensorFlow's operators that tf2onnx found no counterpart for and left as they are."""
    onnx = require("onnx", "export", "Exporting to ONNX")
    for node in graph.node:
        # Some, as those on bits, have a counterpart in later opsets alone.
        if not node.domain and not onnx.defs.has(node.op_type, _OPSET):
            yield Culprit(node.op_type, node.name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _left_over(attribute.g)


def _without_negative_pads(graph: Any) -> None:
    """A transposed convolution that gives more than its kernel reaches says so as output padding.

    tf2onnx writes it as negative padding at the end, which ONNX forbids.
    """
    onnx = require("onnx", "export", "Exporting to ONNX")
    for node in graph.node:
        pads: Any = next((a.ints for a in node.attribute if a.name == "pads"), [])
        if node.op_type == "ConvTranspose" and min(pads, default=0) < 0:
            ends = pads[len(pads) // 2 :]
            added = onnx.helper.make_attribute("output_padding", [max(0, -end) for end in ends])
            node.attribute.append(added)
            pads[:] = [max(0, pad) for pad in pads]


def _keeping_outputs(quantizer: type[Any], plain: Any) -> type[Any]:
    """A quantiser that leaves outputs their ranges where a Relu or Clip reads them too.

    onnxruntime's own takes the range that is left behind a Relu for what goes in, unless another operator
    reads that; it forgets that the caller may. What is below zero would be cut in the output.
    """
    outputs = {output.name for output in plain.graph.output}
    read = {name for n in plain.graph.node if n.op_type in ("Relu", "Clip") for name in n.input[:1]}

    class Keeping(quantizer):  # type: ignore[misc]
        def adjust_tensor_ranges(self) -> None:
            known = self.tensors_range
            kept = {name: known[name] for name in outputs & read if name in known}
            super().adjust_tensor_ranges()
            for name, given in kept.items():
                known[name] = given

    return Keeping


def _rename_ends(proto: Any, frozen: Frozen) -> None:
    """Give inputs and outputs the model's names, whatever the converter made of them."""
    graph = proto.graph
    renames = dict(
        zip([node.name for node in graph.input], [s.name for s in frozen.inputs], strict=True)
    )
    outputs = [spec.name for spec in frozen.outputs]
    renames.update(zip([node.name for node in graph.output], outputs, strict=True))
    rename(graph, renames)
