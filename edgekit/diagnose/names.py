"""Names: the Keras layer that a tensor of a converted file comes of."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgekit.convert.refusals import known_layer

# Behind a layer's name, what TensorFlow calls the operators in it.
_OPERATOR = re.compile(
    r"^(?:Relu6?|BiasAdd|Conv2D|convolution|depthwise|separable_conv2d|MatMul|Softmax|Sigmoid|Tanh|add|Add(?:V2)?|mul|Mul|"
    r"Mean|Max(?:Pool(?:2d|2D)?)?|AvgPool|Reshape|concat|Squeeze|Pad|FusedBatchNorm\w*|batchnorm.*|clip_by_value.*|"
    r"ResizeNearestNeighbor|ResizeBilinear|transpose|sub|truediv|[a-z]?\d*_?)(?:_?\d+)?(?::\d+)?$"
)
_CALL = re.compile(r"(?:Stateful)?PartitionedCall(?:_\d+)?:\d+|Identity(?:_\d+)?(?::0)?")


def layer_name(tensor: str, layers: Sequence[str] = ()) -> str:
    """The layer: one of `layers` where those are known, else what the path says; empty where it says none.

    Args:
        tensor: such as ``"model/conv_1/Relu;model/conv_1/convolution"``, or ``"conv/t7_"`` in ONNX.
        layers: the model's, by name.
    """
    first = re.sub(r"/t\d+_$", "", re.sub(r"_(De)?[qQ]uantizeLinear_Output$", "", tensor))
    for origin in first.split(";"):
        if layers:
            found = known_layer(origin, layers)
            if found is not None:
                return found
            continue
        if _CALL.fullmatch(origin):
            continue
        parts = [part for part in origin.split("/") if part]
        # The first part is the model's own name, where there are several.
        while (len(parts) > 2 and _OPERATOR.match(parts[-1])) or (
            len(parts) == 2 and _OPERATOR.match(parts[-1]) and parts[-1][0].isupper()
        ):
            parts.pop()
        if parts:
            return parts[-1]
    return ""
