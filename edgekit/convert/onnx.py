"""ONNX: tf2onnx for the float file, onnxruntime's quantiser for int8."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgekit.convert.canonical import make_canonical, rename
from edgekit.convert.freeze import Frozen
from edgekit.convert.lowering import FOR_ONNX, lowered
from edgekit.convert.ordered import ordered_sets
from edgekit.convert.refusals import Culprit, onnx_reason
from edgekit.errors import ExportError, one_line, require
from edgekit.samples import Samples

# Opset 17 has every operator tf2onnx emits and loads in onnxruntime 1.12 and later; IR version 8
# is of the same generation (table in onnxruntime's "ONNX Runtime compatibility").
_OPSET, _IR_VERSION = 17, 8


def float_onnx(frozen: Frozen) -> bytes:
    """The float32 file, inputs and outputs under the model's own names, images NHWC.

    Raises:
        ExportError: an operator has no ONNX counterpart; names it and its layer.
    """
    if frozen.graph is None:
        raise ExportError(
            "ONNX cannot express this model: it changes a state of its own, or looks values up in a "
            "table. Take the state as an input and give it as an output; look up before the model."
        )
    convert = require("tf2onnx.convert", "export", "Exporting to ONNX")
    try:
        with ordered_sets():
            proto, _ = convert.from_graph_def(
                lowered(frozen.graph, FOR_ONNX),
                input_names=list(frozen.input_tensors),
                output_names=list(frozen.output_tensors),
                opset=_OPSET,
            )
    # tf2onnx raises whatever it stumbles over.
    except Exception as error:
        raise ExportError(f"ONNX cannot express this model: {one_line(error)}") from error
    reason = onnx_reason(_left_over(proto.graph), frozen.layers)
    if reason:
        raise ExportError(reason)
    proto.ir_version = _IR_VERSION
    _without_negative_pads(proto.graph)
    _rename_ends(proto, frozen)
    make_canonical(proto)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def int8_onnx(float_file: bytes, samples: Samples) -> bytes:
    """The QDQ int8 file: unsigned activations and signed per-channel weights.

    That pairing has fast kernels on x86 and Arm; with signed activations the file is slower than
    float on x86 (docs/decisions.md). Inputs and outputs stay float32.

    Args:
        float_file: as `float_onnx` gives it, of a fixed batch.
        samples: under the model's input names.

    Raises:
        ExportError: the quantiser cannot treat this model.
    """
    quantization = require("onnxruntime.quantization", "export", "Quantising an ONNX file")
    preprocess = require(
        "onnxruntime.quantization.shape_inference", "export", "Quantising an ONNX file"
    ).quant_pre_process
    onnx = require("onnx", "export", "Quantising an ONNX file")
    with TemporaryDirectory(prefix="edgekit-") as folder:
        source, prepared, target = (Path(folder, n) for n in ("a.onnx", "b.onnx", "c.onnx"))
        source.write_bytes(float_file)
        try:
            # Folds batch normalisation, which tf2onnx leaves as Conv, Mul, Add.
            preprocess(source, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                target,
                _Reader(onnx.load(source), samples),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
            )
        except Exception as error:
            raise ExportError(f"scheme 'int8': onnxruntime refuses: {one_line(error)}") from error
        proto = onnx.load(target)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


class _Reader:
    """onnxruntime's CalibrationDataReader: batches until None."""

    def __init__(self, proto: Any, samples: Samples) -> None:
        self._batches = self._feed(proto, samples)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)

    @staticmethod
    def _feed(proto: Any, samples: Samples) -> Iterator[dict[str, Any]]:
        onnx = require("onnx", "export", "Quantising an ONNX file")
        inputs = {node.name: node.type.tensor_type for node in proto.graph.input}
        first = next(iter(inputs.values())).shape.dim[0]
        size = first.dim_value or 1
        for batch in samples.batches(size):
            if len(batch) == size:
                yield {
                    name: batch.inputs[name].astype(
                        onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
                    )
                    for name, tensor in inputs.items()
                }


def _left_over(graph: Any) -> Iterator[Culprit]:
    """TensorFlow's operators that tf2onnx found no counterpart for and left as they are."""
    onnx = require("onnx", "export", "Exporting to ONNX")
    for node in graph.node:
        if not node.domain and not onnx.defs.has(node.op_type):
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


def _rename_ends(proto: Any, frozen: Frozen) -> None:
    """Give inputs and outputs the model's names, whatever the converter made of them."""
    graph = proto.graph
    renames = dict(
        zip([node.name for node in graph.input], [s.name for s in frozen.inputs], strict=True)
    )
    outputs = [spec.name for spec in frozen.outputs]
    renames.update(zip([node.name for node in graph.output], outputs, strict=True))
    rename(graph, renames)
