"""Decibels: how much of what a tensor tells is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgekit.diagnose.network import Array


def noise(reference: Sequence[Array], values: Sequence[Array]) -> float | None:
    """Mean square error over the variance of the reference; 0 of equal arrays, None of other shapes.

    A reference that is constant is held against its own size. What is not finite is infinitely wrong.

    Args:
        reference, values: an array for each inference, of any shapes that agree.
    """
    a = _whole(reference)
    b = _whole(values)
    if a.shape != b.shape or not a.size:
        return None
    if not np.isfinite(b).all():
        return math.inf
    error = float(np.mean((a - b) ** 2))
    if not error:
        return 0.0
    power = float(a.var()) or float(np.mean(a**2))
    return error / power if power else math.inf


def decibels(share: float | None) -> float | None:
    """``-10 log10`` of such a share; None where there is none, and where it is 0 or infinite."""
    if share is None or not 0 < share < math.inf:
        return None
    return -10 * math.log10(share)


def _whole(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.asarray(x, np.float64).ravel() for x in arrays])
