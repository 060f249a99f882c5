"""Error-aware rounding (SQuant): kernels whose rounding errors cancel each other.

What a kernel is multiplied with is alike from place to place, and behind a ReLU has one sign in all
channels: errors of one sign add up, while the squares of single errors tell nothing of it. So of each
kernel's weights those that lie nearest to the middle of two integers are rounded the other way, until
its errors, and then those of all kernels of an output channel, add up to less than half a step (C. Guo
et al., "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian Approximation", ICLR 2022).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def are_shared(weights: NDArray[Any]) -> bool:
    """Whether weights other than zero have values in common, which they keep only if rounded alike."""
    other = weights[weights != 0]
    return bool(2 * np.unique(other).size <= other.size)


def round_up(scales: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """The smallest float32 numbers of `bits` significant bits that are no smaller than `scales`."""
    mantissa, exponent = np.frexp(scales)
    steps = np.ceil(np.ldexp(mantissa, bits))
    return np.asarray(np.ldexp(steps, exponent - bits), np.float32)


def balanced(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round a TFLite kernel to integers; exact integers, zeros among them, stay.

    Args:
        steps: weights in steps of their scales, (outputs, height, width, inputs), (1, height, width,
            channels) of a depthwise kernel, or (outputs, inputs).
    """
    # (outputs, inputs, places); a depthwise kernel's channels have an output each.
    by_kernel = np.moveaxis(steps, -1, 1) if len(steps) > 1 else np.moveaxis(steps, -1, 0)
    kernels = by_kernel.reshape(*by_kernel.shape[:2], -1)
    made = _of_channels(kernels, _of_kernels(kernels, np.rint(kernels))).reshape(by_kernel.shape)
    return np.moveaxis(made, 1 if len(steps) > 1 else 0, -1)


def _of_kernels(steps: NDArray[np.float64], rounded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded anew so that errors of each kernel, along the last axis, add up to half a step at most."""
    error = rounded - steps
    return rounded - _flips(error, error.sum(-1))


def _of_channels(steps: NDArray[np.float64], rounded: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same along both last axes, by one weight a kernel at most."""
    error = rounded - steps
    sums = error.sum(-1)
    flips = _flips(sums, sums.sum(-1))
    # In a kernel chosen so, the weight that lies nearest to the middle.
    nearest = (error * np.sign(flips)[..., None]).argmax(-1)[..., None]
    moved = np.zeros_like(steps)
    np.put_along_axis(moved, nearest, flips[..., None], -1)
    # Errors of its sign alone: where there is none, nothing is gained.
    return rounded - np.where(moved * error > 0, moved, 0.0)


def _flips(error: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 or -1 where `error` goes over to the other side, so that its sum, `total`, comes near to zero."""
    sign = np.sign(total)[..., None]
    towards = error * sign
    rank = np.argsort(np.argsort(-towards, -1, kind="stable"), -1, kind="stable")
    return np.where((rank < np.rint(np.abs(total))[..., None]) & (towards > 0), sign, 0.0)
