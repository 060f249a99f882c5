"""Runs: neighbours on an axis that is neither that of samples nor that of channels. Pure numpy.

Parts that are stacked, or joined on such an axis, share every channel. Where one is a thousand times as large
as the other, figures by channel show the large one alone; figures by run show each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# An axis of more places than this has runs of several.
_MOST = 64


def other_axes(ndim: int) -> range:
    """The axes between that of samples and that of channels."""
    return range(1, max(ndim - 1, 1))


def by_run(x: NDArray[Any], axis: int) -> NDArray[Any]:
    """The values as (places, runs), the samples slowest.

    Args:
        x: samples first.
        axis: one of `other_axes`. With at most 64 places each is a run; longer ones are cut into at most 64
            runs of equal length, of which the last may overlap the one before.
    """
    size = x.shape[axis]
    length = max(-(-size // _MOST), 1)
    starts = np.minimum(np.arange(0, size, length), size - length)
    runs = np.moveaxis(x.take(starts[:, None] + np.arange(length), axis), axis, -1)
    return runs.reshape(-1, len(starts)) if starts.size else np.zeros((0, 0), x.dtype)
