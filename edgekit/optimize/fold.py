"""Fold: BatchNormalization's scales into the kernels before them, as the converters will.

A converter multiplies each channel of a kernel by gamma / sqrt(variance + epsilon). Sixteen shared
weights would become sixteen for each channel. So it is done before weights are shared: the
normalisation stays in the graph, but multiplies by one, and only adds.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.models.source import SourceModel
from edgekit.optimize.coupling import DEPTHWISE, MAKERS
from edgekit.optimize.graph import Call, graph_of


def fold_batchnorm(source: SourceModel) -> dict[str, NDArray[Any]]:
    """Fold every BatchNormalization that alone follows a linear convolution or dense layer.

    Weights change in place; the model answers as before, up to rounding.

    Returns:
        What each folded one adds to its channels, by its name.
    """
    graph = graph_of(source)
    made_by = {tensor: call for call in graph.calls for tensor in call.outputs}
    uses = Counter(tensor for call in graph.calls for tensor in call.inputs)
    uses.update(graph.outputs)
    calls = Counter(call.layer.name for call in graph.calls)
    offsets = {}
    for call in graph.calls:
        if call.kind != "BatchNormalization" or calls[call.layer.name] != 1:
            continue
        maker = made_by[call.inputs[0]]
        if uses[call.inputs[0]] == 1 and calls[maker.layer.name] == 1 and _foldable(maker):
            offsets[call.layer.name] = _fold(maker, call.layer)
    return offsets


def set_offset(norm: Any, offset: NDArray[Any]) -> None:
    """Make a BatchNormalization add `offset` and multiply by one."""
    ones = np.ones_like(offset)
    if norm.beta is not None:
        norm.beta.assign(offset)
    norm.moving_mean.assign(-offset if norm.beta is None else 0 * offset)
    norm.moving_variance.assign(ones - norm.epsilon)
    if norm.gamma is not None:
        norm.gamma.assign(ones)


def _foldable(maker: Call) -> bool:
    linear = getattr(getattr(maker.layer, "activation", None), "__name__", "linear") == "linear"
    last = getattr(maker.layer, "data_format", "channels_last") == "channels_last"
    return linear and last and maker.kind in (*MAKERS, *DEPTHWISE)


def _fold(maker: Call, norm: Any) -> NDArray[Any]:
    variance = np.asarray(norm.moving_variance, np.float64)
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.gamma is not None:
        factor = factor * np.asarray(norm.gamma)
    offset = -np.asarray(norm.moving_mean) * factor
    if norm.beta is not None:
        offset = offset + np.asarray(norm.beta)
    layer = maker.layer
    kernel = kernel_of(layer)
    if maker.kind in DEPTHWISE:
        # (..., in, multiplier): together they number the channels.
        scale = factor.reshape(kernel.shape[-2:])
    elif maker.kind.endswith("Transpose"):
        # (..., out, in)
        scale = factor[:, None]
    else:
        scale = factor
    kernel.assign(np.asarray(kernel) * scale)
    if layer.bias is not None:
        layer.bias.assign(np.asarray(layer.bias) * factor)
    added: NDArray[Any] = offset.astype(np.float32)
    set_offset(norm, added)
    return added


def kernel_of(layer: Any) -> Any:
    """The kernel whose last step makes a layer's channels; None if it has none."""
    for name in ("pointwise_kernel", "depthwise_kernel", "kernel", "embeddings"):
        kernel = getattr(layer, name, None)
        if kernel is not None:
            return kernel
    return None
