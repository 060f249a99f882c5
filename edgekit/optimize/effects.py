"""Effects: what each treatment will bring, told before anything is trained.

Estimates of files count the bits that an ideal compressor needs for weights alone: xz comes
within a fifth of it, and what else a file holds (scales, biases, names) is the same before and after.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.models.source import SourceModel
from edgekit.optimize.costs import Costs
from edgekit.optimize.fold import kernel_of

# Bits that a trained weight takes compressed: of eight and of 32, as measured on the reference models.
_INT8_BITS = 7.6
_FLOAT_BITS = 29.6


@dataclass(frozen=True)
class Effect:
    """What a treatment will bring.

    Attributes:
        text: a line for whoever waits.
        figures: the numbers in it.
    """

    text: str
    figures: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return {**self.figures, "text": self.text}


def of_structure(before: Costs, after: Costs) -> Effect:
    """Of fewer channels and fewer places: known exactly from the shapes."""
    macs, size = (
        before.macs / max(1, after.macs),
        before.parameters / max(1, after.parameters),
    )
    weights = f"as many weights ({after.parameters:,}): files stay as large"
    if after.parameters < before.parameters:
        weights = (
            f"{size:.1f} times fewer weights ({before.parameters:,} to {after.parameters:,}): every file "
            "becomes smaller"
        )
    return Effect(
        f"expected: {macs:.1f} times fewer MACs ({before.macs:,} to {after.macs:,}) and {weights}, "
        "and operators faster where they look at fewer places or their kernels' tiles become fewer",
        {
            "macs_before": before.macs,
            "macs_after": after.macs,
            "parameters_before": before.parameters,
            "parameters_after": after.parameters,
        },
    )


def of_zeros(source: SourceModel, sparsity: Mapping[str, float]) -> Effect:
    """Of zeros in kernels.

    Args:
        source: the model.
        sparsity: the share of zeros that each layer will have, by its name.
    """
    sizes = _sizes(source)
    rest = sum(size for name, size in sizes.items() if name not in sparsity)
    bits = sum(sizes[name] * _bits_with_zeros(share) for name, share in sparsity.items())
    total = sum(sizes.values())
    zeros = sum(sizes[name] * share for name, share in sparsity.items())
    times = total * _INT8_BITS / (bits + rest * _INT8_BITS)
    return Effect(
        f"expected: {zeros / total:.0%} of all kernels' weights become zero, which makes the int8 file's "
        f"weights {times:.1f} times smaller once compressed; raw files stay as large, and dense "
        "kernels as slow",
        {"zeros_share": zeros / total, "compressed_weights_times": times},
    )


def of_clusters(source: SourceModel, names: list[str], clusters: int) -> Effect:
    """Of shared weights in the layers of those names."""
    sizes = _sizes(source)
    total, shared = sum(sizes.values()), sum(sizes[name] for name in names)
    bits = shared * math.log2(clusters) + (total - shared) * _FLOAT_BITS
    times = total * _FLOAT_BITS / bits
    return Effect(
        f"expected: {clusters} values a kernel make the float32 file's weights about {times:.1f} times "
        "smaller once compressed; raw files stay as large, kernels as slow, and int8 files gain less",
        {"shared_share": shared / total, "compressed_weights_times": times},
    )


def _sizes(source: SourceModel) -> dict[str, int]:
    """How many weights each layer's kernel has."""
    sizes = {}
    for layer in source.model.layers:
        kernel = kernel_of(layer)
        if kernel is not None:
            sizes[layer.name] = int(np.prod(kernel.shape))
    return sizes


def _bits_with_zeros(share: float) -> float:
    """The entropy of a weight that is zero with a chance of `share`."""
    if share in (0.0, 1.0):
        return _INT8_BITS * (1 - share)
    where = -share * math.log2(share) - (1 - share) * math.log2(1 - share)
    return where + (1 - share) * _INT8_BITS
