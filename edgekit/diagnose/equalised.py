"""Equalised: layers of two files that are the same function up to a scaling of the channels between them.

Equalisation multiplies a channel by a positive number in the layer that makes it, and divides by it in the kernel that
reads it (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019): every weight is
another, and the network is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.diagnose.matching import Pair
from edgekit.diagnose.network import Array, Network, Node, channel_axis, kernel_rows

Factors = NDArray[np.float64]

# Operators that give a channel times a factor where they are given that: of a positive one. Clipping at 6 does as long as
# nothing reaches it.
_KEEPING = frozenset({"RELU", "RELU6", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "PAD", "RESHAPE"})
# Of floats: by how much weights that were multiplied and divided may differ, in parts of the row's largest.
_CLOSE = 1e-4


@dataclass(frozen=True)
class Scaled:
    """A layer whose weights are the other's but for factors.

    Attributes:
        outputs: what each of its channels is multiplied by in the other file, (outputs,).
        largest: the largest difference of two weights that is left, in the other file's unit.
        bias: of two biases; None where there are none.
        takes_back: whether its kernel is divided by the factors that came to it.
    """

    outputs: Factors
    largest: float
    bias: float | None
    takes_back: bool


def scaled_layers(pairs: Sequence[Pair], first: Network, second: Network) -> dict[int, Scaled]:
    """Layers that are equal up to factors that layers behind them take back, by the operator's number in the first file.

    Layers that are equal as they are have no entry, unless a factor came to them.
    """
    by_at = {pair.file.at: pair for pair in pairs}
    factors: dict[str, Factors] = {}
    found: dict[int, Scaled] = {}
    sound: set[int] = set()
    for node in first.nodes:
        pair = by_at.get(node.at)
        given = next((factors[value] for value in node.takes if value in factors), None)
        if pair is not None and node.weights is not None:
            made = _undone(pair, first, second, given)
            if made is None:
                continue
            moved = bool((made.outputs != 1).any())
            if given is None or made.takes_back:
                sound.add(node.at)
            if made.takes_back or moved:
                found[node.at] = made
            if moved:
                factors[node.gives[0]] = made.outputs
        elif given is not None and pair is not None and node.op in _KEEPING:
            factors[node.gives[0]] = given
    return _taken_back(first, factors, sound, found)


def _taken_back(
    network: Network, factors: Mapping[str, Factors], sound: set[int], found: dict[int, Scaled]
) -> dict[int, Scaled]:
    """Without layers whose factors reach an output, or an operator that does not take them back."""
    makers = {value: node for node in network.nodes for value in node.gives}
    lost = set(network.outputs.values()) & set(factors)
    for node in network.nodes:
        passed = node.op in _KEEPING and node.gives[0] in factors
        if not passed and node.at not in sound:
            lost.update(value for value in node.takes if value in factors)
    waiting = list(lost)
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is None:
            continue
        # Its own factors explain its weights only if those that came to it do.
        found.pop(maker.at, None)
        waiting += [value for value in maker.takes if value in factors]
    return found


def _undone(pair: Pair, first: Network, second: Network, given: Factors | None) -> Scaled | None:
    """The factors of a layer's outputs that make its weights the other's; None if none do."""
    ours, theirs = kernel_rows(pair.file, first.format), kernel_rows(pair.plain, second.format)
    if ours is None or theirs is None or ours.shape != theirs.shape or pair.scaled:
        return None
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return None
    steps = [_steps(node, n.format) for node, n in ((pair.file, first), (pair.plain, second))]
    for by, taken in _spread(given, pair.file, ours.shape):
        expected = ours.astype(np.float64) / by
        size = np.square(expected).sum(1)
        factor = (expected * theirs).sum(1) / np.where(size > 0, size, 1.0)
        close = _CLOSE * np.abs(theirs).max(1, keepdims=True, initial=0) + steps[1][:, None]
        # A channel without weights has any factor, and one that rounding explains has none.
        same = (np.abs(theirs - expected) <= close + steps[0][:, None] / by).all(1)
        factor = np.where(same | (size == 0), 1.0, factor)
        if (factor <= 0).any():
            continue
        rest = np.abs(theirs - factor[:, None] * expected)
        if (rest > close + factor[:, None] * steps[0][:, None] / by).any():
            continue
        biases = [node.bias.values if node.bias else None for node in (pair.file, pair.plain)]
        bias = None
        if biases[0] is not None and biases[1] is not None:
            bias = float(np.abs(biases[1] - factor * biases[0]).max())
        return Scaled(factor, float(rest.max(initial=0)), bias, taken)
    return None


def _spread(
    given: Factors | None, node: Node, shape: tuple[int, ...]
) -> Iterator[tuple[Array, bool]]:
    """What the weights that read each channel were divided by, in the shape of the kernel's rows, and whether by anything.

    As the factors came, in both orders that flat images may have, and as if none had come.
    """
    outputs, weights = shape
    if given is not None:
        count = len(given)
        if node.op == "DEPTHWISE_CONV_2D":
            if outputs % count == 0:
                yield np.repeat(given, outputs // count)[:, None], True
        elif weights % count == 0:
            yield np.tile(given, weights // count)[None], True
            if node.op == "FULLY_CONNECTED":
                yield np.repeat(given, weights // count)[None], True
    yield np.ones((1, 1)), False


def _steps(node: Node, format: str) -> Factors:
    """The step of each row's weights; 0 of floats."""
    weights = node.weights
    assert weights is not None
    rows = weights.values.shape[channel_axis(node, format)]
    if not len(weights.scales):
        return np.zeros(rows)
    steps: Factors = np.broadcast_to(weights.scales.astype(np.float64).reshape(-1), (rows,)).copy()
    return steps
