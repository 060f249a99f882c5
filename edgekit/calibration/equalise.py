"""Equalisation: channels between a layer and a depthwise convolution brought to the size of the largest.

All channels of a tensor share one step. Behind a ReLU a channel can be multiplied by any positive number, if
the one kernel that reads it is divided by the same: both have a scale for each channel, so that nothing but
the channel's own step changes (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", ICCV 2019). Upwards alone: behind a ReLU6 that stays exact as long as nothing reaches its top.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from edgekit.calibration.sequence import File, Gain, Layer, Targets

# How far a channel stays below the top, and by how much it grows at most.
_MARGIN, _MOST = 1.1, 64.0
# What is worth the trouble.
_LEAST = 1.05


def gains_of(file: File, targets: Targets) -> dict[str, Gain]:
    """By how much outputs of layers grow, and inputs of those that read them, by the layers' names.

    Args:
        file: the integer file, whose steps stay.
        targets: what the float file's channels reach.
    """
    readers = Counter(key for step in file.path.steps for key in step.reads)
    depthwise = {
        layer.given[0]: (number, layer)
        for number, layer in enumerate(file.layers)
        if _reads_each_alone(layer) and readers[layer.given[0]] == 1
    }
    gains: dict[str, Gain] = {}
    for layer in file.layers:
        if layer.made not in depthwise or layer.made in file.path.ends or not _can_grow(layer):
            continue
        number, reader = depthwise[layer.made]
        largest = np.maximum(targets.largest[number].astype(np.float64), 1e-6)
        top = min(layer.top, layer.sums().clip[1])
        # Steps that are found anew in each inference reach as far as the largest channel does.
        top = top / _MARGIN if np.isfinite(layer.top) else min(top / _MARGIN, largest.max())
        by = np.clip(top / largest, 1.0, _MOST)
        if by.max() < _LEAST:
            continue
        own = gains.get(layer.name, Gain())
        shape = layer.bias.shape
        gains[layer.name] = Gain(by.reshape(shape), own.inputs)
        gains[reader.name] = Gain(None, by)
    return gains


def _reads_each_alone(layer: Layer) -> bool:
    """Whether each channel has a kernel, with a scale, of its own."""
    groups, weights, _ = layer.weights.shape
    window, sums = layer.window, layer.sums()
    alone = window is not None and weights == int(np.prod(window.kernel)) and groups > 1
    return alone and not sums.bound and not sums.fixed


def _can_grow(layer: Layer) -> bool:
    sums = layer.sums()
    return sums.clip[0] == 0 and sums.biased and not sums.bound and not sums.fixed
