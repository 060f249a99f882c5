"""OneGrid: kernels that need no scale for each channel.

Training with shared weights makes kernels whose weights fit one scale of 255 steps. One scale
stores them without loss, the shared values stay shared in integers, which is what makes them small
once compressed, and hundreds of scales are not stored at all.

Pruned kernels, in int8 files, are wanted small too: with one scale for all of it, the weights that are left
have fewer different integers. That loses a little: it is done where each channel keeps four bits.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from edgekit.formats.tflite_file import TfliteFile

# Operators with a kernel as their second input, by TFLite's names, that every interpreter was measured to run
# with one scale (docs/explanation/compatibility.md), and the axis of the channels that it gives.
_CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
_STEPS = 127
# How far a weight may lie beside the grid, in steps: folding multiplies by what is nearly one.
_BESIDE = 0.01
# The share of zeros that makes a kernel a pruned one; what four bits keep of a channel, in decibels.
_PRUNED = 0.5
_FOUR_BITS = 24.0


def per_tensor_kernels(float_file: TfliteFile, pruned: bool = False) -> list[tuple[str, str]]:
    """Of each such kernel: the operator's name, and a pattern for the names of what it computes.

    Args:
        float_file: has the kernels.
        pruned: take kernels of zeros as well, whose other weights one scale stores with a loss.
    """
    graph = float_file.graphs[0]
    found = []
    for operator in graph.operators:
        op = operator.op
        if op not in _CHANNELS:
            continue
        kernel = graph.tensors[operator.inputs[1]]
        values = kernel.constant("<f4").of(float_file.content)
        if not values.size or kernel.dtype != "float32":
            continue
        weights = values.reshape(kernel.shape)
        if _on_one_scale(weights) or (pruned and _stays_small(weights, _CHANNELS[op])):
            scope = ";".join(graph.tensors[i].name for i in operator.outputs)
            found.append((op, f"^{re.escape(scope)};?$"))
    return found


def lost_on_one_scale(float_file: TfliteFile) -> list[tuple[str, str]]:
    """Dense layers that give an output of the model and lose one of its channels with a scale for all.

    Args:
        float_file: has the kernels.

    Returns:
        As `per_tensor_kernels`.
    """
    graph = float_file.graphs[0]
    found = []
    for operator in graph.operators:
        if operator.op != "FULLY_CONNECTED" or not {*operator.outputs} & {*graph.outputs}:
            continue
        kernel = graph.tensors[operator.inputs[1]]
        values = kernel.constant("<f4").of(float_file.content)
        if (
            values.size
            and kernel.dtype == "float32"
            and not _keeps(values.reshape(kernel.shape), 0)
        ):
            scope = ";".join(graph.tensors[i].name for i in operator.outputs)
            found.append((operator.op, f"^{re.escape(scope)};?$"))
    return found


def _on_one_scale(weights: Any) -> bool:
    reach = float(np.abs(weights).max(initial=0.0))
    if not 0 < reach < np.inf:
        return False
    steps = weights.astype(np.float64) / reach * _STEPS
    return bool(np.abs(steps - np.rint(steps)).max() <= _BESIDE)


def _stays_small(weights: Any, channels: int) -> bool:
    """Whether a kernel was pruned, and one scale keeps four bits or more of each channel."""
    reach = float(np.abs(weights).max(initial=0.0))
    if not 0 < reach < np.inf or np.mean(weights == 0) < _PRUNED:
        return False
    return _keeps(weights, channels)


def _keeps(weights: Any, channels: int) -> bool:
    """Whether one scale keeps four bits or more of each channel."""
    reach = float(np.abs(weights).max(initial=0.0))
    if not 0 < reach < np.inf:
        return True
    steps = np.moveaxis(weights, channels, 0).reshape(weights.shape[channels], -1) / reach * _STEPS
    noise = np.square(np.rint(steps) - steps).sum(1)
    return bool(np.all(np.square(steps).sum(1) >= 10 ** (_FOUR_BITS / 10) * noise))
