"""Spread: how far each channel of each tensor moves, and how much of that an integer file keeps.

A channel is a place on the last axis; in ONNX, where convolutions have them second, on the second axis as
well: nothing says which of the two it is. Everything here is about its mean: a price of 50,000 that varies
by 12,000 moves by 12,000. A run is some neighbours on another axis: of prices stacked on probabilities, each
channel holds both, and only runs tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import Probe, batches
from edgekit.metrics.runs import by_run, other_axes
from edgekit.samples import Samples

# Values looked at: of a tensor in an inference, evenly spaced rows where it has more; and of all tensors
# in all inferences, which decides about the number of samples.
_ROWS, _VALUES = 256, 1 << 21
_FEWEST, _MOST = 8, 64
_LARGEST = 1e30  # Stand-ins for infinity lie beyond.


@dataclass(frozen=True)
class Spread:
    """Of each channel of a tensor, or of each run, shape (channels,).

    Attributes:
        variance: of its values in the float file.
        error: mean square of what the integer file gives instead; zero if there was none.
        mean_square: of its values in the float file.
        reach: from the smallest of its values to the largest.
    """

    variance: NDArray[np.float64]
    error: NDArray[np.float64]
    mean_square: NDArray[np.float64]
    reach: NDArray[np.float64]

    @property
    def moving(self) -> NDArray[np.bool_]:
        """Which channels move by more than what float32 rounds."""
        return self.variance > 1e-10 * self.mean_square

    @property
    def sqnr(self) -> float:
        """Of all channels together, in dB."""
        return float(decibels(self.variance.sum(), self.error.sum()))

    @property
    def worst(self) -> float:
        """Of the worst channel that moves, in dB; infinite if none does."""
        channels = decibels(self.variance[self.moving], self.error[self.moving])
        return float(channels.min(initial=np.inf))


def decibels(power: Any, noise: Any) -> Any:
    """10 log10 of a ratio of powers, between -200 and 200."""
    ratio = np.maximum(power, 1e-30) / np.maximum(noise, 1e-30)
    return np.clip(10 * np.log10(ratio), -200, 200)


def spreads(
    plain: Probe,
    ours: Probe | None,
    samples: Samples,
    seed: int,
    names: Mapping[str, str] | None = None,
    axes: Sequence[int] = (-1,),
    in_runs: Collection[str] = (),
) -> tuple[dict[str, Spread], dict[str, Spread]]:
    """Of each tensor that both files show in one shape, its channels and its runs.

    Args:
        plain: the float file.
        ours: the integer file that was made of it; None for the float file alone.
        samples: to look at, under the files' input names; some of them, where there are many.
        seed: of that choice.
        names: what tensors of the integer file are called in the float file, where not alike.
        axes: that channels may lie on, of tensors that have so many.
        in_runs: of which tensors runs are wanted, on the axes between samples and channels.
    """
    names = names or {}
    sums: dict[str, list[_Sums]] = {}
    runs: dict[str, list[_Sums]] = {}
    few = samples.subset(min(_MOST, len(samples)), seed=seed)
    seen = 0
    for number, inputs in enumerate(batches(few, plain.batch)):
        if number * plain.batch >= _FEWEST and seen > _VALUES:
            break
        wanted = _looked_at(plain, inputs, lambda name: name)
        received = _looked_at(ours, inputs, lambda name: names.get(name, name)) if ours else wanted
        for name in wanted.keys() & received.keys():
            if wanted[name].shape == received[name].shape:
                seen += wanted[name].size
                used = [axis for axis in axes if axis < max(wanted[name].ndim, 1) - 1]
                own = sums.setdefault(name, [_Sums() for _ in used])
                for axis, each in zip(used, own, strict=True):
                    each.add(_rows(wanted[name], axis), _rows(received[name], axis))
                if name not in in_runs:
                    continue
                others = other_axes(wanted[name].ndim)
                for axis, each in zip(
                    others, runs.setdefault(name, [_Sums() for _ in others]), strict=True
                ):
                    first, second = (by_run(x[name], axis) for x in (wanted, received))
                    each.add(_rows(first, -1), _rows(second, -1))
    return _whole(sums), _whole(runs)


def _whole(sums: Mapping[str, Sequence[_Sums]]) -> dict[str, Spread]:
    return {
        name: _joined([each.spread for each in sums[name]]) for name in sorted(sums) if sums[name]
    }


def _looked_at(
    probe: Probe, inputs: dict[str, NDArray[Any]], name_of: Callable[[str], str]
) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}

    def look(name: str, values: NDArray[Any]) -> None:
        found[name_of(name)] = np.array(values)

    probe.run(inputs, look)
    return found


def _rows(values: NDArray[Any], axis: int) -> NDArray[np.float64]:
    """Some rows of a tensor, shape (rows, channels)."""
    last = np.moveaxis(np.atleast_1d(values), axis, -1)
    rows = last.reshape(-1, last.shape[-1])
    return rows[:: -(-len(rows) // _ROWS)].astype(np.float64)


def _joined(spreads: Sequence[Spread]) -> Spread:
    return Spread(
        *(
            np.concatenate([getattr(each, field.name) for each in spreads])
            for field in fields(Spread)
        )
    )


class _Sums:
    def __init__(self) -> None:
        self._rows = 0
        self._shift: Any = None
        # Of values, of their squares about the first mean, of squared errors; of plain squares.
        self._sums: list[Any] = [0.0, 0.0, 0.0, 0.0]
        self._lowest: Any = np.inf
        self._highest: Any = -np.inf

    def add(self, wanted: NDArray[np.float64], received: NDArray[np.float64]) -> None:
        known = np.abs(wanted).max(1) < _LARGEST  # Written so that NaN is left out too.
        wanted, received = wanted[known], np.nan_to_num(received[known], posinf=0.0, neginf=0.0)
        if self._shift is None:
            self._shift = wanted.mean(0) if len(wanted) else 0.0
        off = wanted - self._shift
        self._rows += len(wanted)
        for i, rows in enumerate((off, off**2, (received - wanted) ** 2, wanted**2)):
            self._sums[i] = self._sums[i] + rows.sum(0)
        self._lowest = np.minimum(self._lowest, wanted.min(0, initial=np.inf))
        self._highest = np.maximum(self._highest, wanted.max(0, initial=-np.inf))

    @property
    def spread(self) -> Spread:
        rows = max(self._rows, 1)
        off, squares, errors, plain = (np.atleast_1d(s) / rows for s in self._sums)
        reach = np.maximum(np.atleast_1d(self._highest - self._lowest), 0.0)
        return Spread(np.maximum(squares - off**2, 0.0), errors, plain, reach)
