"""Rounding under second moments: integers whose errors make up for each other in a layer's sums.

Of all integers q for weights w the least (q - w)' H (q - w) is wanted, in steps, where H are the second
moments of what the weights are multiplied with (M. Nagel et al., "Up or Down? Adaptive Rounding for
Post-Training Quantization", ICML 2020; E. Frantar and D. Alistarh, "Optimal Brain Compression", NeurIPS
2022). Of a few weights every way of rounding up and down is tried. More of them are moved one after the
other, each to where the error is least (coordinate descent), until none moves.

Weights that are zero stay zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.formats.onnx_pairs import MOST_OF_A_PAIR

# Of the integers that stand for weights.
LARGEST = 127
# Weights of a sum for which all ways are tried: 512 ways, for a depthwise kernel of 3x3.
FEW = 9
SWEEPS = 30
# Weights of a channel that are moved before the others learn of it.
_BLOCK = 16
# Values of an array that holds all ways of some groups.
_VALUES = 1 << 22

_Doubles = NDArray[np.float64]
_Moments = Sequence[NDArray[Any]]


def least_error(
    steps: _Doubles,
    moments: _Moments,
    *,
    pairs: bool = False,
    largest: int = LARGEST,
    sweeps: int = SWEEPS,
) -> _Doubles:
    """Integers near `steps` with the least error that is found.

    Args:
        steps: weights in steps of their scales, (groups, weights summed over, outputs).
        moments: as `edgekit.calibration.moments` gives them.
        pairs: hold neighbours within what `edgekit.formats.onnx_pairs` says.
        largest: of the integers.
        sweeps: as `descend` takes them.
    """
    if steps.shape[1] <= FEW and not pairs:
        return best_of_all(steps, moments[0], largest)
    made = np.clip(np.rint(steps), -largest, largest)
    if pairs:
        take_over(made, np.concatenate([np.einsum("gkk->gk", part) for part in moments], 1))
    descend(made, steps, moments, pairs=pairs, largest=largest, sweeps=sweeps)
    return made


def error_of(made: _Doubles, steps: _Doubles, moments: _Moments) -> _Doubles:
    """(q - w)' H (q - w) of each output, (groups, outputs)."""
    error = made - steps
    total = np.zeros((len(steps), steps.shape[-1]))
    for here, part in _parts(moments):
        some = error[:, here]
        total += (some * (part @ some)).sum(1)
    return total


def best_of_all(steps: _Doubles, moments: NDArray[Any], largest: int = LARGEST) -> _Doubles:
    """The best way of rounding each weight up or down, (groups, weights, outputs) with few weights."""
    groups, count, outputs = steps.shape
    ways = np.array(list(product((0.0, 1.0), repeat=count)))
    low, high = (
        np.clip(rounded, -largest, largest) for rounded in (np.floor(steps), np.ceil(steps))
    )
    made = np.empty_like(steps)
    many = max(1, _VALUES // (len(ways) * count * outputs))
    for at in range(0, groups, many):
        here = slice(at, at + many)
        least, apart = (
            each.transpose(0, 2, 1)[:, :, None]
            for each in (low[here] - steps[here], high[here] - low[here])
        )
        errors = least + ways * apart  # (groups, outputs, ways, weights)
        costs = ((errors @ moments[here, None]) * errors).sum(-1)
        chosen = ways[costs.argmin(-1)].transpose(0, 2, 1)
        made[here] = low[here] + chosen * (high[here] - low[here])
    return made


def descend(
    made: NDArray[Any],
    steps: NDArray[Any],
    moments: _Moments,
    *,
    pairs: bool = False,
    largest: int = LARGEST,
    sweeps: int = SWEEPS,
) -> None:
    """Move integers until none gains by it, in place; the error never grows.

    Args:
        made: integers to begin with, within the bounds.
        steps, moments, pairs, largest: as `least_error` takes them.
        sweeps: how often each weight has its turn at most.
    """
    for here, part in _parts(moments):
        moving = np.arange(steps.shape[-1])
        for _ in range(sweeps):
            some = np.ascontiguousarray(made[:, here, moving])
            changed = _sweep(some, steps[:, here, moving], part, pairs, largest)
            made[:, here, moving] = some
            moving = moving[changed]
            if not moving.size:
                break


def take_over(integers: NDArray[Any], weight_of: NDArray[Any]) -> None:
    """What pairs are over taken from both of a pair, more from the one whose errors count less, in place.

    Args:
        integers: (groups, weights, columns).
        weight_of: how much a squared error of each weight counts, (groups, weights).
    """
    ends = integers.shape[1] // 2 * 2
    first, second = integers[:, :ends:2], integers[:, 1:ends:2]
    over = np.maximum(np.abs(first + second) - MOST_OF_A_PAIR, 0)
    share = weight_of[:, 1:ends:2] / (weight_of[:, :ends:2] + weight_of[:, 1:ends:2])
    taken = np.rint(over * share[..., None])
    first -= np.sign(first) * taken
    second -= np.sign(second) * (over - taken)


def _parts(moments: _Moments) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Which weights each of the moments is of."""
    at = 0
    for part in moments:
        yield slice(at, at + part.shape[-1]), part
        at += part.shape[-1]


def _sweep(
    made: NDArray[Any], steps: NDArray[Any], moments: NDArray[Any], pairs: bool, largest: int
) -> NDArray[np.bool_]:
    """Visit each weight once, in place. Returns which columns changed."""
    error = made - steps
    changed = np.zeros(steps.shape[-1], bool)
    for first in range(0, steps.shape[1], _BLOCK):
        here = slice(first, first + _BLOCK)
        # The gradient of half the squared error.
        gradient = moments[:, here] @ error
        _move(made[:, here], gradient, moments[:, here, here], steps[:, here], pairs, largest)
        new = made[:, here] - steps[:, here]
        changed |= (new != error[:, here]).any((0, 1))
        error[:, here] = new
    return changed


def _move(
    made: NDArray[Any],
    gradient: NDArray[Any],
    moments: NDArray[Any],
    steps: NDArray[Any],
    pairs: bool,
    largest: int,
) -> None:
    """Move the integers of a block, one after the other, to where the error is least, in place.

    The gradient is that of half the squared error; it is changed too.
    """
    still = steps == 0
    zeros, count = still.any(), made.shape[1]
    curves = -np.einsum("gkk->gk", moments)[..., None]
    for k in range(count):
        own = made[:, k]
        change = np.rint(gradient[:, k] / curves[:, k])
        # In little time: that is what most of them come to, and there are many.
        if not np.count_nonzero(change):
            continue
        change += own
        lowest: Any = -largest
        highest: Any = largest
        if pairs and k ^ 1 < count:
            other = made[:, k ^ 1]
            lowest = np.maximum(lowest, -MOST_OF_A_PAIR - np.minimum(other, 0))
            highest = np.minimum(highest, MOST_OF_A_PAIR - np.maximum(other, 0))
        np.maximum(change, lowest, out=change)
        np.minimum(change, highest, out=change)
        change -= own
        if zeros:
            change[still[:, k]] = 0
        gradient[:, k + 1 :] += moments[:, k + 1 :, k, None] * change[:, None]
        own += change
