"""The fit of a file: layer by layer in the order in which they run, each on what the integer file gives it.

What earlier layers have lost is known when a later one is fitted, and is made up for as far as it can be.
The float file says once what each layer's sums are at a few places, drawn at random; at the same places the
integer file, fitted so far, says what the layer is given. See `edgekit.calibration.layer_fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.frontier import Frontier, Key, Path
from edgekit.calibration.layer_fit import Fitted, Sums, fit_layer
from edgekit.calibration.probes import Probe, batches
from edgekit.calibration.windows import Places, Window
from edgekit.samples import Samples

# Values of all layers' sums at all rows.
_VALUES = 1 << 26

_Floats = NDArray[np.float32]
_Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """A layer to fit.

    Attributes:
        name: of what it gives, in both files.
        at: the number of its operator on the path.
        given: what it is given in the integer file, and the name of that in the float file.
        made: what it gives in the integer file, its activation included; None if nothing rounds that.
        top: the upper end of what the integers of `made` express; infinite where each inference finds it.
        window: of a convolution.
        seen: turns the values of either file into what `edgekit.calibration.windows` takes.
        zero: what stands for zero in the integer file's values; their step is that of `sums`.
        weights: in float, (groups, weights summed over, outputs of a group).
        bias: in float, (groups, outputs); zeros where it has none.
        sums: what stands for it in the integer file now.
        write: takes what was found into the integer file.
    """

    name: str
    at: int
    given: tuple[Key, str]
    made: Key | None
    top: float
    window: Window | None
    seen: Callable[[NDArray[Any]], NDArray[Any]]
    zero: float
    weights: _Doubles
    bias: _Doubles
    sums: Callable[[], Sums]
    write: Callable[[Fitted], None]

    @property
    def outputs(self) -> int:
        return int(self.weights.shape[0] * self.weights.shape[2])


class File(Protocol):
    """An integer file that is being fitted."""

    @property
    def path(self) -> Path: ...

    @property
    def layers(self) -> Sequence[Layer]: ...

    def begin(self, inputs: dict[str, NDArray[Any]]) -> dict[Key, NDArray[Any]]:
        """Float values as what the graph takes."""
        ...


@dataclass(frozen=True)
class Gain:
    """What a layer's outputs and its inputs are multiplied with, beside what they are in the float file.

    Attributes:
        outputs: (groups, outputs of a group).
        inputs: of each group, (groups,): its kernel reads one channel.
    """

    outputs: _Doubles | None = None
    inputs: _Doubles | None = None


class Targets:
    """What the sums of each layer are in the float file, at a few places of some samples.

    Args:
        plain: the float file.
        layers: of an integer file that was made of it.
        samples: to look at.
        seed: of the places.
        rows: the most of them for a layer.
    """

    def __init__(
        self, plain: Probe, layers: Sequence[Layer], samples: Samples, seed: int, rows: int
    ) -> None:
        self.given: list[dict[str, NDArray[Any]]] = list(batches(samples, plain.batch))
        total = sum(layer.outputs for layer in layers)
        self._some = max(1, -(-min(rows, _VALUES // max(total, 1)) // len(self.given)))
        self._seed = seed
        self._places: dict[tuple[int, tuple[int, ...]], Places] = {}
        # The largest value of each channel of what a convolution is given, by the layer's number.
        self.largest: dict[int, _Floats] = {}
        self._wanted: dict[int, list[_Floats]] = {i: [] for i in range(len(layers))}
        self._weights = [layer.weights.astype(np.float32) for layer in layers]
        by_name: dict[str, list[int]] = {}
        for number, layer in enumerate(layers):
            by_name.setdefault(layer.given[1], []).append(number)
        for batch, inputs in enumerate(self.given):

            def look(name: str, values: NDArray[Any], batch: int = batch) -> None:
                for number in by_name.get(name, ()):
                    self._add(number, layers[number], batch, values)

            plain.run(inputs, look)

    def _add(self, number: int, layer: Layer, batch: int, values: NDArray[Any]) -> None:
        sums = self.rows(number, layer, [values], batch) @ self._weights[number]
        sums += layer.bias[:, None].astype(np.float32)
        self._wanted[number].append(sums)
        if layer.window is not None and layer.window.groups > 1:
            seen = layer.seen(values)
            highest = seen.max(tuple(range(seen.ndim - 1)))
            self.largest[number] = np.maximum(highest, self.largest.get(number, highest))

    def sums(self, number: int) -> _Floats:
        """Those of one layer, (groups, rows, outputs), before its activation."""
        return np.concatenate(self._wanted[number], 1)

    def rows(
        self,
        number: int,
        layer: Layer,
        values: Sequence[NDArray[Any]],
        first: int = 0,
        zero: float = 0.0,
    ) -> _Floats:
        """What the layer is given at the same places of some batches, where `values` are its input's."""
        seen = [layer.seen(each) for each in values]
        if len({each.shape for each in seen}) > 1:
            parts = (self.rows(number, layer, [x], first + i, zero) for i, x in enumerate(values))
            return np.concatenate([*parts], 1)
        shape = seen[0].shape
        places = self._places.get((number, shape))
        if places is None:
            draws = (
                np.random.default_rng([self._seed, number, batch])
                for batch in range(len(self.given))
            )
            places = self._places[number, shape] = Places(shape, layer.window, self._some, draws)
        return places.rows(seen, first, zero)


def fit_file(
    file: File, targets: Targets, held: float, gains: Mapping[str, Gain]
) -> dict[str, Fitted]:
    """Fit every layer of `file`, in place.

    Args:
        file: the integer file.
        targets: of its layers.
        held: the share of rows, the last ones, to judge by.
        gains: of layers, by name; none for those that are not there.

    Returns:
        What each layer was given, by its name.
    """
    frontier = Frontier(file.path, [file.begin(inputs) for inputs in targets.given])
    found = {}
    for number, layer in enumerate(file.layers):
        frontier.advance(layer.at)
        given = frontier.values(layer.given[0])
        rows = np.ascontiguousarray(targets.rows(number, layer, given, zero=layer.zero))
        gain, sums, goals = gains.get(layer.name, Gain()), layer.sums(), targets.sums(number)
        if gain.outputs is not None:
            sums = replace(sums, weights=sums.weights * gain.outputs[:, None])
            goals = goals * gain.outputs[:, None].astype(np.float32)
        if gain.inputs is not None:
            sums = replace(sums, weights=sums.weights / gain.inputs[:, None, None])
        fitted = fit_layer(sums, rows, goals, int(rows.shape[1] * held))
        layer.write(fitted)
        found[layer.name] = fitted
    return found
