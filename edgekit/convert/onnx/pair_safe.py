"""Pair-safe weights in ONNX files: the same answers in onnxruntime's fast and exact mode.

Every operator that may saturate (`edgekit.formats.onnx_saturation`) and has constant weights gets
integers that cannot (`edgekit.calibration.pair_safe`). Where the layer has a bias in integers, it makes
up for the mean of what the rounding changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.moments import moments
from edgekit.calibration.pair_safe import Rounded, pair_safe
from edgekit.convert.onnx.kernels import Kernel, kernels_of, store
from edgekit.convert.onnx.layer_inputs import LayerInput, rows_of
from edgekit.errors import require
from edgekit.formats.onnx_saturation import saturating
from edgekit.samples import Samples

_PURPOSE = "Quantising an ONNX file"


def make_pair_safe(proto: Any, plain: Any, samples: Samples | None = None, seed: int = 0) -> None:
    """Round the weights that may saturate anew, in place.

    Args:
        proto: a ModelProto of integers as onnxruntime's quantiser gives it.
        plain: the float one that it was made of.
        samples: to take the moments of the layers' inputs over; without them each weight's own error
            counts.
        seed: of the choice of samples and places.
    """
    names = {each.tensor for each in saturating(proto.SerializeToString()) if each.cured}
    kernels = kernels_of(proto, plain, lambda node: bool(names.intersection(node.output)))
    if not kernels:
        return
    rows = {}
    if samples is not None:
        state = require("onnxruntime.capi.onnxruntime_pybind11_state", "export", _PURPOSE)
        layers = [layer for kernel in kernels for layer in kernel.inputs]
        try:
            rows = rows_of(proto, layers, samples, seed)
        # Where the quantiser's names clash inside loops, as recurrent layers make them, onnxruntime takes
        # the graph only under the names that it has in the file.
        except state.Fail:
            rows = {}
    for kernel in kernels:
        _make_safe(kernel, rows)


def _make_safe(kernel: Kernel, rows: dict[LayerInput, NDArray[np.float32]]) -> None:
    """Write integers and scales that are pair-safe, and shift the biases."""
    numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
    before = numpy_helper.to_array(kernel.integers)
    scales = numpy_helper.to_array(kernel.scale)
    old = Rounded(kernel.columns(before.astype(np.float32)), kernel.columns_of_scales(scales))
    wanted = kernel.columns(kernel.weights)
    seen = {layer: rows[layer] for layer in kernel.inputs if layer in rows}
    means = {layer: drawn.mean(1) for layer, drawn in seen.items()}
    # Where biases make up for the mean, what it changes by does not count.
    biased = all(reader.bias for reader in kernel.readers)
    about = [mean if biased else 0 * mean for mean in means.values()]
    made = pair_safe(wanted, old, _joined(seen.values(), about), kernel.together(scales))
    store(kernel.integers, kernel.back(made.integers, before.shape).astype(np.int8))
    # Where outputs share scales, those come again and again.
    store(kernel.scale, made.scales.reshape(-1)[: scales.size].reshape(scales.shape))
    factors = (made.scales / old.scales).astype(np.float64)
    short = wanted - made.integers.astype(np.float64) * made.scales
    changed = (made.integers != old.integers).any((0, 1)) | (factors != 1).any((0, 1))
    for reader in kernel.readers:
        if reader.bias:
            mean = means.get(reader.input) if reader.input else None
            by = 0 if mean is None else np.einsum("gk,gkn->gn", mean, short) * changed
            reader.bias.shift(np.broadcast_to(by, factors[:, 0].shape), factors)


def _joined(
    rows: Iterable[NDArray[np.float32]], means: Iterable[NDArray[np.float32]]
) -> list[NDArray[np.float64]]:
    """The moments that count for all readers of a kernel, each about its mean."""
    known = [moments(seen, mean) for seen, mean in zip(rows, means, strict=True)]
    return [sum(parts) for parts in zip(*known, strict=True)]
