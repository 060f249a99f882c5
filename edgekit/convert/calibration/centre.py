"""Centre: the sums of a last dense layer have the mean that the float file gives them.

Rounded weights and cut ranges add up to an error of which a third to a half is the same for every
sample. A dense layer's bias can take it back, at no cost on the device (bias correction: M. Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, measured here
in place of derived, and at the end of the network alone, where the errors of all layers have come
together).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.convert.calibration.probes import batches
from edgekit.errors import require
from edgekit.samples import Samples

# Of so many samples the mean is known to an eighth of what the error varies by.
_SAMPLES = 64
_PURPOSE = "Quantising an ONNX file"


def centre(proto: Any, plain: Any, sums: Sequence[str], samples: Samples, seed: int) -> None:
    """Shift biases of a QDQ model so that the means of `sums` are those of the float model, in place.

    Args:
        proto: a ModelProto of integers, whose nodes may come in any order.
        plain: the float one that it was made of.
        sums: tensors of both, shape (batch, n); those whose layer has no bias of its own stay.
        samples: to take the means over, under the model's input names.
        seed: of the choice of samples, where there are many.
    """
    onnx = require("onnx", "export", _PURPOSE)
    biases = {name: bias for name in sums if (bias := _bias(proto.graph, name)) is not None}
    if not biases:
        return
    few = samples.subset(min(_SAMPLES, len(samples)), seed=seed)
    ours, theirs = (_means(model, list(biases), few) for model in (proto, plain))
    for name, (bias, scale) in biases.items():
        steps = np.rint((theirs[name] - ours[name]) / onnx.numpy_helper.to_array(scale))
        limits = np.iinfo(np.int32)
        moved = np.clip(onnx.numpy_helper.to_array(bias) + steps, limits.min, limits.max)
        bias.CopyFrom(onnx.numpy_helper.from_array(moved.astype(np.int32), bias.name))


def _bias(graph: Any, sums: str) -> tuple[Any, Any] | None:
    """The int32 bias of the Gemm that gives `sums`, and its scale; None if it has none of its own."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    (gemm,) = (node for node in graph.node if sums in node.output)
    if gemm.op_type != "Gemm" or len(gemm.input) < 3:
        return None
    (bridge,) = (node for node in graph.node if gemm.input[2] in node.output)
    reading = [node for node in graph.node for name in node.input if name == gemm.input[2]]
    if bridge.op_type != "DequantizeLinear" or len(reading) > 1:
        return None
    return constants[bridge.input[0]], constants[bridge.input[1]]


def _means(proto: Any, names: list[str], samples: Samples) -> dict[str, NDArray[np.float64]]:
    """The mean of each tensor of shape (batch, n) over all samples, shape (n,)."""
    onnx = require("onnx", "export", _PURPOSE)
    runtime = require("onnxruntime", "export", _PURPOSE)
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Without it, sums overflow on x86 processors without VNNI, which a board's do not.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = runtime.InferenceSession(
        shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    given = {node.name: node.type.tensor_type.elem_type for node in shown.graph.input}
    dtypes = {name: onnx.helper.tensor_dtype_to_np_dtype(kind) for name, kind in given.items()}
    size = shown.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
    rows = [
        session.run(names, {name: x[name].astype(dtypes[name], copy=False) for name in dtypes})
        for x in batches(samples, size)
    ]
    return {
        name: np.concatenate([row[i] for row in rows]).astype(np.float64).mean(0)
        for i, name in enumerate(names)
    }
