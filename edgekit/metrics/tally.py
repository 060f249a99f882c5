"""Counting whole numbers, on 32-bit systems too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def tally(values: NDArray[Any], count: int, weights: NDArray[Any] | None = None) -> NDArray[Any]:
    """How often each of the numbers below `count` occurs, or the weights of where it does, summed.

    `numpy.bincount` takes no int64 where a pointer has 32 bits: numpy casts nothing that could lose something,
    though no number here does.

    Args:
        values: whole numbers from 0 on, of shape (n,).
        count: the length of the answer, at least; longer where a value is larger.
        weights: of shape (n,).

    Returns:
        int64, or float64 of weights, of shape (count,).
    """
    places = values.astype(np.intp, copy=False)
    if weights is not None:
        return np.bincount(places, weights=weights, minlength=count)
    return np.bincount(places, minlength=count).astype(np.int64, copy=False)
