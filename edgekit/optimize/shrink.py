"""Shrink: kernels of convolutions cut to fewer places.

After Wen et al., "Learning Structured Sparsity in Deep Neural Networks", 2016: filters' shapes are
a structure as channels are, and a convolution that looks at fewer places gathers less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.errors import UsageError
from edgekit.optimize.graph import Call, Graph
from edgekit.optimize.names import check_layers

# Convolutions; the axes of their kernels begin with the spatial ones.
KINDS = ("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D")

Window = tuple[slice, ...]


def windows(
    graph: Graph,
    sizes: Mapping[str, tuple[int, ...]],
    strides: Mapping[str, tuple[int, ...]] | None = None,
) -> dict[str, Window]:
    """What stays of each kernel, along its spatial axes.

    With the padding ``"same"`` the result has the same size whatever the kernel's, and where it is put on
    its input follows from that size: what stays is the part that is put where it was before, so
    that its products are the same.

    Args:
        graph: the model's.
        sizes: for layers by name, how many places stay along each spatial axis.
        strides: those of layers by name that will get others than they have.

    Raises:
        UsageError: an unknown layer, or one that cannot be cut; a size that does not fit its kernel.
    """
    calls = {call.layer.name: call for call in graph.calls if call.kind in KINDS}
    check_layers("prune.kernels", sizes, calls)
    taken = strides or {}
    return {
        name: _window(calls[name], size, taken.get(name, tuple(calls[name].layer.strides)))
        for name, size in sizes.items()
    }


def _window(call: Call, size: tuple[int, ...], strides: tuple[int, ...]) -> Window:
    layer = call.layer
    before = tuple(layer.kernel_size)
    if len(size) != len(before) or any(n > m for n, m in zip(size, before, strict=False)):
        raise UsageError(
            f"prune.kernels: layer {layer.name!r} has kernels of {list(before)}, received "
            f"{list(size)}, expected {len(before)} numbers none of which is larger."
        )
    if layer.padding != "same" or any(rate != 1 for rate in layer.dilation_rate):
        raise UsageError(
            f"prune.kernels: layer {layer.name!r} has the padding {layer.padding!r} and the dilation "
            f"{list(layer.dilation_rate)}; only kernels with padding 'same' and no dilation can be cut."
        )
    places = call.input_shapes[0][1:-1]
    axes = zip(before, size, strides, places, strict=True)
    return tuple(_stays(*axis) for axis in axes)


def _stays(before: int, after: int, stride: int, places: int | None) -> slice:
    start = _padded(before, stride, places) - _padded(after, stride, places)
    return slice(start, start + after)


def _padded(kernel: int, stride: int, places: int | None) -> int:
    """How many places of padding TensorFlow puts in front; dynamic dimensions count as whole strides."""
    rest = (places or stride) % stride or stride
    return max(kernel - rest, 0) // 2


def cut(weights: list[Any], window: Window) -> list[Any]:
    """A layer's weights, the kernel first, with what stays of the kernel."""
    return [weights[0][window], *weights[1:]]
