"""Gains: what the channels of a value are multiplied with in a file whose channels were equalised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.diagnose.network import Array, Node

# Gains are of one sign, and a channel that never moves has none.
_STILL = 1e-12
# How different gains are that are worth it.
_SPREAD = 1.02


def channel_axis_of(x: Array, format: str) -> int:
    """The axis that channels lie along: the last one, in ONNX the second of images."""
    return 1 if format == "onnx" and x.ndim > 2 else x.ndim - 1


def by_channel(x: Array, factors: Array, format: str) -> Array:
    """A value with each channel multiplied."""
    shape = [1] * x.ndim
    shape[channel_axis_of(x, format)] = -1
    return (x * factors.reshape(shape)).astype(np.float32)


def channel_gains(reference: Sequence[Array], made: Sequence[Array], format: str) -> Array | None:
    """What each channel of `made` is of `reference`, by least squares; None where they are no gains.

    Args:
        reference, made: an array for each inference, of one shape.
    """
    if reference[0].ndim < 2:
        return None
    a, b = (
        np.concatenate([_rows(np.asarray(x, np.float64), format) for x in each])
        for each in (reference, made)
    )
    power = (a * a).sum(0)
    gains = np.ones_like(power)
    np.divide((a * b).sum(0), power, out=gains, where=power > _STILL)
    if (gains <= 0).any() or not np.isfinite(gains).all():
        return None
    spread = float(gains.max() / gains.min())
    return gains.astype(np.float32) if spread > _SPREAD else None


def along_inputs(node: Node, kernel: Array, factors: Array, format: str) -> Array:
    """A kernel with what it multiplies each input channel with multiplied by `factors`."""
    if node.op == "DEPTHWISE_CONV_2D":
        times = max(1, _outputs(node, kernel, format) // len(factors))
        return along_outputs(node, kernel, np.repeat(factors, times), format)
    axis = 1 if format == "onnx" and kernel.ndim > 2 else kernel.ndim - 1
    if node.op == "TRANSPOSE_CONV" and format == "onnx":
        axis = 0
    return _times(kernel, factors, axis)


def along_outputs(node: Node, kernel: Array, factors: Array, format: str) -> Array:
    """A kernel with each output channel multiplied by `factors`."""
    axis = 0
    if format == "tflite" and node.op == "DEPTHWISE_CONV_2D":
        axis = kernel.ndim - 1
    elif format == "onnx" and node.op == "TRANSPOSE_CONV":
        axis = 1
    return _times(kernel, factors, axis)


def _outputs(node: Node, kernel: Array, format: str) -> int:
    tflite_depthwise = format == "tflite" and node.op == "DEPTHWISE_CONV_2D"
    return int(kernel.shape[-1] if tflite_depthwise else kernel.shape[0])


def _times(kernel: Array, factors: Array, axis: int) -> Array:
    if kernel.shape[axis] % len(factors):
        return kernel
    # Behind Flatten each channel has several places, the channels innermost.
    shape = [1] * kernel.ndim
    shape[axis] = -1
    scaled: Array = kernel * np.resize(factors, kernel.shape[axis]).reshape(shape)
    return scaled


def _rows(x: Array, format: str) -> Array:
    axis = channel_axis_of(x, format)
    moved: Array = np.moveaxis(x, axis, -1)
    return moved.reshape(-1, x.shape[axis])
