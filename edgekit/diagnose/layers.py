"""Layers: where a file's error arises, operator by operator, beside the float file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgekit.diagnose.decibels import decibels, noise
from edgekit.diagnose.matching import Pair
from edgekit.diagnose.names import layer_name
from edgekit.diagnose.network import Array, Grid
from edgekit.diagnose.side_by_side import SideBySide
from edgekit.diagnose.trace import walk
from edgekit.document.layer_errors import LayerError, LayerErrors


def layer_errors(both: SideBySide, file: str, reference: str) -> LayerErrors:
    """Every operator's error, as accumulated and by itself.

    Args:
        both: the files.
        file, reference: what they are called.
    """
    return LayerErrors(
        file=file,
        reference=reference,
        samples=both.file.count,
        layers=tuple(
            error for pair in both.matched.pairs if (error := _layer(both, pair)) is not None
        ),
        unmatched=tuple(node.name for node in both.matched.extra),
        output_db=_worst(
            [noise(both.plain.values(b), both.file.values(a)) for a, b in both.ends.items()]
        ),
        weights_only_db=weights_only(both),
        activations_only_db=activations_only(both),
    )


def _layer(both: SideBySide, pair: Pair) -> LayerError | None:
    value = pair.file.gives[0]
    reference = both.reference(value)
    if reference is None or reference[0].dtype.kind not in "fiu":
        return None
    values = both.file.values(value)
    accumulated = noise(reference, values)
    grid = next(iter(both.file.network.grids.get(value, ())), None)
    highest = max(
        float(np.abs(a.astype(np.float64) - b).max(initial=0))
        for a, b in zip(reference, values, strict=True)
    )
    return LayerError(
        number=pair.file.at,
        op=pair.file.op,
        tensor=pair.file.name,
        layer=layer_name(pair.file.name, both.layers),
        dtype=pair.file.dtype,
        values=reference[0].size,
        equal=accumulated == 0,
        accumulated_db=decibels(accumulated),
        own_db=decibels(both.own_noise(pair)),
        weights_db=decibels(weights_noise(both, pair)),
        rounding_db=decibels(rounding_noise(reference, grid)),
        clipped=None if grid is None else clipped(reference, grid),
        used=None if grid is None else used(reference, grid),
        max_abs=highest if np.isfinite(highest) else None,
    )


def weights_noise(
    both: SideBySide, pair: Pair, constants: Mapping[int, Array] | None = None
) -> float | None:
    """The error of the float file's operator with the file's constants, or with others."""
    changed = both.constants(pair) if constants is None else constants
    if not changed or not pair.plain.alone:
        return None
    reference = both.plain.values(pair.plain.gives[0])
    try:
        made = [
            both.plain.network.alone(pair.plain, [batch[v] for v in pair.plain.takes], changed)[0]
            for batch in both.plain.batches
        ]
    except (RuntimeError, ValueError):
        return None
    return noise(reference, made)


def rounding_noise(reference: Sequence[Array], grid: Grid | None) -> float | None:
    """The error of float values that are rounded to a grid."""
    return None if grid is None else noise(reference, [grid.rounded(x) for x in reference])


def clipped(reference: Sequence[Array], grid: Grid) -> float:
    """The share of values that lie beyond a grid by more than half a step."""
    low, high = grid.ends
    beyond = [((x < low - grid.scale / 2) | (x > high + grid.scale / 2)).mean() for x in reference]
    return float(np.mean(beyond))


def used(reference: Sequence[Array], grid: Grid) -> float:
    """The share of a grid that values use; more than 1 where they lie beyond it."""
    low, high = grid.ends
    lowest = min(float(x.min()) for x in reference)
    highest = max(float(x.max()) for x in reference)
    return (max(highest, 0.0) - min(lowest, 0.0)) / (high - low)


def weights_only(both: SideBySide) -> float | None:
    """The float file's worst output, in dB, with the file's weights and biases."""
    constants = {
        pair.plain.at: found
        for pair in both.matched.pairs
        if pair.file.weights is not None and (found := both.constants(pair))
    }
    return _walked(both, {}, constants)


def activations_only(both: SideBySide) -> float | None:
    """The float file's worst output, in dB, with every value rounded to the file's grids."""
    ours = {theirs: value for value, theirs in both.matched.values.items()}
    grids, network = both.file.network.grids, both.plain.network

    def through(name: str, x: Array) -> Array:
        value = ours.get(name, "")
        return both.through(value, x, grids.get(value, ()))

    found = []
    try:
        for known in both.plain.batches:
            values = dict(known)
            for value in network.inputs.values():
                values[value] = through(value, known[value])
            for node in network.nodes:
                made = network.alone(node, [values[name] for name in node.takes])
                for name, x in zip(node.gives, made, strict=True):
                    values[name] = through(name, x)
            found.append({end: values[end] for end in both.ends.values()})
    except (RuntimeError, ValueError, KeyError):
        return None
    return _worst(
        [noise(both.plain.values(end), [x[end] for x in found]) for end in both.ends.values()]
    )


def _walked(
    both: SideBySide,
    values: Mapping[str, Sequence[Array]],
    constants: Mapping[int, Mapping[int, Array]],
) -> float | None:
    ends = list(both.ends.values())
    try:
        found = walk(both.plain, ends, values, constants)
    except (RuntimeError, ValueError):
        return None
    return _worst([noise(both.plain.values(end), [x[end] for x in found]) for end in ends])


def _worst(noises: Sequence[float | None]) -> float | None:
    known = [x for x in noises if x is not None]
    return decibels(max(known)) if known else None
