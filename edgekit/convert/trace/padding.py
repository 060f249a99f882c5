"""Padding: convolutions whose padding adds nothing say so.

With a kernel smaller than its stride, ``SAME`` can come to less than no padding. XNNPACK as TensorFlow 2.21
bundles it then reads beside the image (a 3x3 kernel in strides of 4 on 32x32: every value is wrong); with
``VALID`` every interpreter computes the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})


def without_empty_padding(graph_def: Any) -> Any:
    """The GraphDef with ``VALID`` in the place of a ``SAME`` that pads neither height nor width.

    Args:
        graph_def: with the shapes of what nodes give; it stays as it is.
    """
    nodes = {node.name: node for node in graph_def.node}
    found = {node.name for node in graph_def.node if _pads_nothing(node, nodes)}
    if not found:
        return graph_def
    changed = type(graph_def)()
    changed.CopyFrom(graph_def)
    for node in changed.node:
        if node.name in found:
            node.attr["padding"].s = b"VALID"
    return changed


def _pads_nothing(node: Any, nodes: Mapping[str, Any]) -> bool:
    if node.op not in _CONVOLUTIONS or node.attr["padding"].s != b"SAME":
        return False
    if node.attr["data_format"].s not in (b"", b"NHWC"):
        return False
    image, kernel = (_shape(name, nodes) for name in node.input[:2])
    if len(image) != 4 or len(kernel) != 4:
        return False
    strides = list(node.attr["strides"].list.i)[1:3]
    dilations = (list(node.attr["dilations"].list.i) or [1] * 4)[1:3]
    return all(
        size > 0
        and length > 0
        and length < stride
        and dilation == 1
        # From the first place of the last window on, no more is read than is there.
        and (-(-size // stride) - 1) * stride + length <= size
        for size, length, stride, dilation in zip(
            image[1:3], kernel[:2], strides, dilations, strict=True
        )
    )


def _shape(name: str, nodes: Mapping[str, Any]) -> list[int]:
    """Of what a node's input is; empty where it is not known."""
    maker, _, place = name.partition(":")
    shapes = nodes[maker].attr["_output_shapes"].list.shape if maker in nodes else ()
    number = int(place or 0)
    return [axis.size for axis in shapes[number].dim] if number < len(shapes) else []
