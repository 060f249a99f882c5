"""Placement: which tensors of a model are quantised in training, so that they are those of an int8 file.

Interpreters fuse: a convolution, the batch normalisation after it and a ReLU are one operator, with
one integer output. What lies between is never rounded on a device, and must not be in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit.optimize.layer_graph import LayerGraph, Step

# The attribute that holds a layer's kernel, and the axes of the kernel that count output channels.
KERNELS: dict[str, tuple[str, tuple[int, ...]]] = {
    "Conv1D": ("kernel", (2,)),
    "Conv2D": ("kernel", (3,)),
    "Conv2DTranspose": ("kernel", (2,)),
    "DepthwiseConv2D": ("depthwise_kernel", (2, 3)),
    "Dense": ("kernel", (1,)),
}

# Layers that hand on the values they got, or some of them, on the same grid of integers.
_HANDING_ON = {
    "Flatten",
    "Reshape",
    "Permute",
    "RepeatVector",
    "MaxPooling1D",
    "MaxPooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "AveragePooling1D",
    "AveragePooling2D",
    "Cropping1D",
    "Cropping2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "UpSampling1D",
    "UpSampling2D",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "InputLayer",
}

# Layers without a kernel whose output alone is rounded.
_OUTPUT_ONLY = {
    "BatchNormalization",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "ELU",
    "ThresholdedReLU",
    "Softmax",
    "Add",
    "Subtract",
    "Multiply",
    "Average",
    "Maximum",
    "Minimum",
    "Concatenate",
    "Dot",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "Rescaling",
    "Normalization",
    "Resizing",
}

# Layers with which a ReLU that follows is one operator.
_FUSING = {*KERNELS, "BatchNormalization", "Add", "Subtract", "Multiply"}

# Ranges of outputs that interpreters prescribe: 8-bit steps of 1/256, or 1/128 around zero.
_FIXED = {
    "softmax": (0.0, 255 / 256),
    "sigmoid": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}


@dataclass(frozen=True)
class Placement:
    """Where a model is quantised.

    Attributes:
        learned: numbers of the tensors whose ranges are learned.
        fixed: ranges by the number of a tensor where the interpreter prescribes them.
        in_float: kinds of layers that stay float, by their names.
    """

    learned: frozenset[int]
    fixed: dict[int, tuple[float, float]]
    in_float: dict[str, str]


def place(graph: LayerGraph) -> Placement:
    """Decide for each tensor of a graph whose activations stand in layers of their own."""
    learned: set[int] = set()
    fixed: dict[int, tuple[float, float]] = {}
    in_float: dict[str, str] = {}
    for step in graph.steps:
        if not known(step.kind):
            in_float[step.name] = step.kind
            # A state or a mask beside the output is no activation of the integer graph.
            learned.update(n for n in step.outputs[:1] if not _stays_float(graph, n))
        elif step.kind not in _HANDING_ON and not _fuses(graph, step):
            name = activation_of(step.layer)
            if name in _FIXED:
                fixed[step.outputs[0]] = _FIXED[name]
            else:
                learned.update(step.outputs)
    for layer, number in graph.inputs:
        if layer.output.dtype.is_floating and not _stays_float(graph, number):
            learned.add(number)
    return Placement(frozenset(learned), fixed, in_float)


def activation_of(layer: Any) -> str:
    """The name of the function that a layer applies to its result; ``linear`` for none."""
    if type(layer).__name__ == "Softmax":
        return "softmax"
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", type(function).__name__)
    return "linear" if function is None else str(name)


def folds_into(step: Step, graph: LayerGraph) -> bool:
    """Whether a batch normalisation becomes part of the kernel that `step` applies."""
    following = graph.only_reader(step.outputs[0])
    return (
        step.kind in KERNELS
        and activation_of(step.layer) == "linear"
        and following is not None
        and following.kind == "BatchNormalization"
    )


def known(kind: str) -> bool:
    """Whether layers of a kind are rounded in training, or need not be."""
    return kind in KERNELS or kind in _HANDING_ON or kind in _OUTPUT_ONLY


def _stays_float(graph: LayerGraph, tensor: int) -> bool:
    """Whether layers that stay float alone read a tensor."""
    readers = graph.readers(tensor)
    return bool(readers) and not any(known(step.kind) for step in readers)


def _fuses(graph: LayerGraph, step: Step) -> bool:
    """Whether the next layer is the same operator on a device."""
    if folds_into(step, graph):
        return True
    following = graph.only_reader(step.outputs[0])
    return (
        step.kind in _FUSING
        and activation_of(step.layer) == "linear"
        and following is not None
        and _is_fused_relu(following.layer)
    )


def _is_fused_relu(layer: Any) -> bool:
    kind = type(layer).__name__
    if kind == "Activation":
        return activation_of(layer) in ("relu", "relu6")
    return kind == "ReLU" and (
        (layer.max_value is None or float(layer.max_value) == 6.0)
        and float(layer.negative_slope) == 0.0
        and float(layer.threshold) == 0.0
    )
