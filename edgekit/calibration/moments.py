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


def second(
    rows: NDArray[np.float32],
    about: NDArray[np.float32] | _Doubles,
    whole: bool | None = None,
) -> list[_Doubles]:
    """Second moments in parts, (groups, n, n) for n weights after another: `TOGETHER`, fewer in the last.

    Sums of whole numbers are exact, so that nothing hangs on the order in which they are made.

    Args:
        rows: (groups, rows, weights summed over).
        about: what is zero, (groups, weights).
        whole: whether rows are whole numbers; looked up by default.
    """
    whole = is_whole(rows) if whole is None else whole
    parts = (slice(at, at + TOGETHER) for at in range(0, rows.shape[-1], TOGETHER))
    return [_part(rows[..., part], about[:, part], whole) for part in parts]


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


def means(rows: NDArray[np.float32], whole: bool) -> _Doubles:
    """The mean of each column, (groups, columns), of rows that may be whole numbers."""
    count = rows.shape[1]
    if whole and _largest(rows) * count < _EXACT:
        sums = np.ones((1, count), np.float32) @ rows
        return np.asarray(sums[:, 0].astype(np.float64) / max(count, 1))
    return np.asarray(rows.mean(1, dtype=np.float64))


def products(
    first: NDArray[np.float32], other: NDArray[np.float32], whole: bool = False
) -> _Doubles:
    """Mean products of the columns of two sets of rows, (groups, columns, columns).

    Args:
        first, other: (groups, rows, columns), which may be one and the same.
        whole: whether both are whole numbers.
    """
    groups, count, columns = first.shape
    total = np.zeros((groups, columns, other.shape[-1]))
    some, kind = _at_once(first, other) if whole else (_ROWS, np.float64)
    for at in range(0, count, some):
        part: NDArray[Any] = np.ascontiguousarray(first[:, at : at + some], kind)
        others = part if first is other else np.ascontiguousarray(other[:, at : at + some], kind)
        # Of a matrix and its own transpose, half of the products suffice.
        total += part[0].T @ others[0] if groups == 1 else part.transpose(0, 2, 1) @ others
    return np.asarray(total / max(count, 1))


def multiplied(rows: NDArray[np.float32], weights: _Doubles, whole: bool) -> NDArray[Any]:
    """Rows times whole weights, (groups, rows, outputs): in float32 where that is exact, else in float64.

    Args:
        rows: (groups, rows, weights summed over).
        weights: (groups, weights summed over, outputs).
        whole: whether rows are whole numbers.
    """
    exact = whole and _largest(rows) * float(np.abs(weights).sum(1).max(initial=0)) < _EXACT
    kind = np.float32 if exact else np.float64
    return np.asarray(rows.astype(kind, copy=False) @ weights.astype(kind))


def is_whole(rows: NDArray[np.float32]) -> bool:
    """Whether all values are whole numbers."""
    return bool((rows == np.rint(rows)).all())


def _at_once(first: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[int, type]:
    """How many rows of whole numbers are summed up at once, and in which type, so that sums are exact."""
    largest = _largest(first)
    some = int(_EXACT // max(largest * (largest if other is first else _largest(other)), 1))
    return (some, np.float32) if some >= _FEWEST else (_ROWS, np.float64)


def _largest(rows: NDArray[np.float32]) -> float:
    return max(float(rows.max(initial=0)), -float(rows.min(initial=0)))


def _part(
    rows: NDArray[np.float32], about: NDArray[np.float32] | _Doubles, whole: bool
) -> _Doubles:
    zero = about.astype(np.float64)
    mean = means(rows, whole)
    found = products(rows, rows, whole)
    # About `zero`: of rows x with the mean m, E xx' - m z' - z m' + z z'.
    found -= mean[:, :, None] * zero[:, None] + zero[:, :, None] * (mean - zero)[:, None]
    diagonal = np.einsum("gkk->gk", found)
    np.maximum(diagonal, 0, out=diagonal)
    return found
