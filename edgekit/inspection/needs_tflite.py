"""What a .tflite file asks of its interpreter, from its graphs."""

from __future__ import annotations

from edgekit.formats import tflite_schema as schema
from edgekit.formats.graph import Model, Operator, Tensor
from edgekit.inspection.needs import Need, signature

# Types whose numbers stand for float values only together with scales.
_QUANTIZED = {"int8", "uint8", "int16", "int4", "int2", "uint4"}


def tflite_needs(model: Model) -> tuple[Need, ...]:
    """What every operator asks, in the file's order."""
    return tuple(_need(operator) for operator in model.operators)


def _need(operator: Operator) -> Need:
    tensors = [t for t in (*operator.inputs, *operator.outputs) if t]
    types = signature(
        operator.op,
        [_type(tensor) for tensor in operator.inputs],
        [_type(tensor) for tensor in operator.outputs],
    )
    return Need(
        operator.op,
        types + _strides(operator),
        operator.version,
        max((len(t.shape or ()) for t in tensors), default=0),
        operator.tensor,
    )


def _type(tensor: Tensor | None) -> str:
    if tensor is None:
        return "none"
    name = tensor.dtype
    if name in _QUANTIZED:
        name += tensor.granularity
    return f"const {name}" if tensor.constant else name


def _strides(operator: Operator) -> str:
    """Says of a convolution that it steps over values that its kernel never sees, and pads besides.

    XNNPACK padded such by negative amounts until ai-edge-litert 2.2, and gave other answers.
    """
    told, kernel = operator.attributes, operator.inputs[1] if len(operator.inputs) > 1 else None
    if "stride_h" not in told or kernel is None or kernel.shape is None or len(kernel.shape) != 4:
        return ""
    # Both kinds of kernels have height and width in the middle.
    sides = zip(kernel.shape[1:3], (told["stride_h"], told["stride_w"]), strict=True)
    skips = any(1 < (size or 1) < int(stride) for size, stride in sides)
    same = told["padding"] == schema.Padding.SAME
    return ", strides beyond the kernel" if skips and same else ""
