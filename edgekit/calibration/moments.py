"""Second moments of what a layer's weights are multiplied with: which rounding errors make up for each other.

The mean squared error that weights off by d make in a layer's sums is d' H d, with the second moments H of
the rows that they are multiplied with. About the mean of the rows where a bias takes up what is the same for
every row, about zero elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Weights whose errors are set off against each other: those of a longer sum are treated in parts.
TOGETHER = 2048
# Of the mean variance, what is added to each: few samples do not know every direction.
RIDGE = 1e-3
# Rows that are turned into float64 at once; the fewest that are worth summing up in float32, which is twice
# as fast and exact for whole numbers up to this.
_ROWS, _FEWEST, _EXACT = 1024, 64, 2**24

_Doubles = NDArray[np.float64]


def moments(
    rows: NDArray[np.float32], about: NDArray[np.float32] | _Doubles, ridge: float = RIDGE
) -> list[_Doubles]:
    """`second` with a ridge: no diagonal is zero.

    Args:
        rows, about: as `second` takes them.
        ridge: as `ridged` takes it.
    """
    return ridged(second(rows, about), ridge)


def second(rows: NDArray[np.float32], about: NDArray[np.float32] | _Doubles) -> list[_Doubles]:
    """Second moments in parts, (groups, n, n) for n weights after another: `TOGETHER`, fewer in the last.

    Sums of whole numbers are exact, so that nothing hangs on the order in which they are made.

    Args:
        rows: (groups, rows, weights summed over).
        about: what is zero, (groups, weights).
    """
    parts = range(0, rows.shape[-1], TOGETHER)
    return [_part(rows[..., at : at + TOGETHER], about[:, at : at + TOGETHER]) for at in parts]


def ridged(parts: Sequence[_Doubles], ridge: float = RIDGE) -> list[_Doubles]:
    """Moments with something added to each diagonal: `ridge` of its mean."""
    found = []
    for part in parts:
        made = part.copy()
        diagonal = np.einsum("gkk->gk", made)
        level = diagonal.mean(1, keepdims=True)
        # A group that never moves counts a little beside the others.
        diagonal += ridge * np.where(level > 0, level, max(1e-6 * float(level.max()), 1e-9))
        found.append(made)
    return found


def products(first: NDArray[np.float32], other: NDArray[np.float32]) -> _Doubles:
    """Mean products of the columns of two sets of rows, (groups, columns, columns).

    Args:
        first, other: (groups, rows, columns), which may be one and the same.
    """
    groups, count, columns = first.shape
    total = np.zeros((groups, columns, other.shape[-1]))
    some, kind = _at_once(first, other)
    for at in range(0, count, some):
        part: NDArray[Any] = np.ascontiguousarray(first[:, at : at + some], kind)
        others = part if first is other else np.ascontiguousarray(other[:, at : at + some], kind)
        # Of a matrix and its own transpose, half of the products suffice.
        total += part[0].T @ others[0] if groups == 1 else part.transpose(0, 2, 1) @ others
    return np.asarray(total / max(count, 1))


def multiplied(rows: NDArray[np.float32], weights: _Doubles) -> NDArray[Any]:
    """Rows times whole weights, (groups, rows, outputs): in float32 where that is exact, else in float64."""
    most = float(np.abs(rows).max(initial=0)) * float(np.abs(weights).sum(1).max(initial=0))
    whole = most < _EXACT and _is_whole(rows)
    kind = np.float32 if whole else np.float64
    return np.asarray(rows.astype(kind, copy=False) @ weights.astype(kind))


def _at_once(first: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[int, type]:
    """How many rows are summed up at once, and in which type: exactly, if they are whole numbers."""
    if first is other and _is_whole(first):
        largest = float(np.abs(first).max(initial=1))
        some = int(_EXACT // max(largest, 1) ** 2)
        if some >= _FEWEST:
            return some, np.float32
    return _ROWS, np.float64


def _is_whole(rows: NDArray[np.float32]) -> bool:
    return bool((rows == np.rint(rows)).all())


def _part(rows: NDArray[np.float32], about: NDArray[np.float32] | _Doubles) -> _Doubles:
    zero = about.astype(np.float64)
    mean = rows.mean(1, dtype=np.float64)
    found = products(rows, rows)
    # About `zero`: of rows x with the mean m, E xx' - m z' - z m' + z z'.
    found -= mean[:, :, None] * zero[:, None] + zero[:, :, None] * (mean - zero)[:, None]
    diagonal = np.einsum("gkk->gk", found)
    np.maximum(diagonal, 0, out=diagonal)
    return found
