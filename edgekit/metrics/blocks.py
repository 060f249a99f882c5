"""Blocks: arrays of any size, of numpy's or lazy ones, looked at some samples at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# In float64, as everything is computed, this makes 8 MB.
_VALUES = 1 << 20


def together(*arrays: Any) -> Iterator[tuple[NDArray[Any], ...]]:
    """The same samples of several arrays at a time, in order; one block where they are small.

    Args:
        arrays: with as many samples each, first axis.
    """
    first = arrays[0]
    values = max(int(np.prod(x.shape[1:])) for x in arrays)
    step = max(1, _VALUES // max(1, values))
    for start in range(0, len(first), step):
        yield tuple(np.asarray(x[start : start + step]) for x in arrays)


def by_blocks(function: Callable[..., NDArray[Any]], *arrays: Any) -> NDArray[Any]:
    """What a function makes of arrays, sample by sample, in one array.

    Args:
        function: of as many blocks as there are arrays, to an array with as many samples.
        arrays: with as many samples each, at least one.
    """
    return np.concatenate([function(*block) for block in together(*arrays)])
