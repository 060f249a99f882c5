"""Effects: what the float file's outputs lose with one fault of the other file, and with nothing else of it.

That is the proof of every accusation: the fault alone, put into the float file, makes a good part of what
was lost, and what stands for it in a file that is well made makes a fraction of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.diagnose.decibels import noise
from edgekit.diagnose.gains import channel_axis_of
from edgekit.diagnose.network import Array, Grid
from edgekit.diagnose.side_by_side import SideBySide
from edgekit.diagnose.trace import walk
from edgekit.metrics.fidelity import sums_to_one

# A fault has to make this share of what was lost, so many times what a well-made file would have there, and
# this much of the outputs' variance.
SHARE, TIMES, LEAST = 0.1, 4.0, 5e-4
# What may be left of the loss by weights where one layer's are repaired that are to blame.
_REPAIRED = 0.9
# Channels that move less than this share of the largest are still.
_STILL = 1e-6


def channels_noise(reference: Sequence[Array], values: Sequence[Array], format: str) -> float:
    """The mean over channels of each one's mean square error over its variance, 1 at most each."""
    a, b = (_rows(each, format) for each in (reference, values))
    if not np.isfinite(b).all():
        return math.inf
    power, error = a.var(0), ((a - b) ** 2).mean(0)
    moving = power > _STILL * power.max(initial=0)
    if not moving.any():
        return 0.0
    return float(np.minimum(1.0, error[moving] / power[moving]).mean())


def output_noise(reference: Sequence[Array], values: Sequence[Array], format: str) -> float:
    """What an output lost: of probabilities that add up to 1 as a whole, of others channel by channel if that is
    more."""
    whole = noise(reference, values)
    if whole is None:
        return math.inf
    if reference[0].ndim < 2 or sums_to_one(np.concatenate(reference)):
        return whole
    return max(whole, channels_noise(reference, values, format))


@dataclass(frozen=True)
class Effects:
    """What single faults do to the outputs.

    Attributes:
        both: the files.
        total: what the worst output of the file lost.
    """

    both: SideBySide
    total: float

    @classmethod
    def of(cls, both: SideBySide) -> Effects:
        format = both.file.network.format
        lost = [
            output_noise(both.plain.values(theirs), both.file.values(ours), format)
            for ours, theirs in both.ends.items()
        ]
        return cls(both, max(lost, default=math.inf))

    def of_constants(self, at: int, constants: Mapping[int, Array]) -> float:
        """With other constants in one of the float file's operators."""
        return self._walked({}, {at: constants}) if constants else 0.0

    def is_repaired(self, at: int) -> bool:
        """Whether the float file with all of the file's weights loses less if one operator keeps its own.

        Weights and biases that were fitted make up for what earlier layers lost: alone they are an error, and
        without them more is lost.
        """
        both = self.both
        constants = {
            pair.plain.at: found
            for pair in both.matched.pairs
            if pair.plain.weights is not None and (found := both.constants(pair))
        }
        everything = self._walked({}, constants)
        without = self._walked({}, {n: c for n, c in constants.items() if n != at})
        return without < _REPAIRED * everything

    def of_grids(self, value: str, grids: Sequence[Grid]) -> float:
        """With one of the file's values rounded to grids."""
        theirs = self.both.matched.values[value]
        rounded = [self.both.through(value, x, grids) for x in self.both.plain.values(theirs)]
        return self.of_values(theirs, rounded)

    def of_values(self, theirs: str, values: Sequence[Array]) -> float:
        """With other values in place of one of the float file's."""
        return self._walked({theirs: values}, {})

    def blames(self, effect: float, ideal: float) -> bool:
        """Whether a fault is one: it makes much of what was lost, and much more than it had to."""
        return effect >= LEAST and effect >= SHARE * self.total and effect >= TIMES * ideal

    def share(self, effect: float) -> float:
        """Of what was lost, at most all."""
        if not math.isfinite(self.total) or not self.total:
            return 1.0
        return float(min(1.0, effect / self.total))

    def _walked(
        self,
        values: Mapping[str, Sequence[Array]],
        constants: Mapping[int, Mapping[int, Array]],
    ) -> float:
        ends = list(self.both.ends.values())
        try:
            found = walk(self.both.plain, ends, values, constants)
        except (RuntimeError, ValueError):
            return 0.0
        format = self.both.plain.network.format
        return max(
            output_noise(self.both.plain.values(end), [x[end] for x in found], format)
            for end in ends
        )


def fitting_grid(reference: Sequence[Array], grid: Grid) -> Grid:
    """The grid of that dtype whose ends are those of the values, zero among them."""
    low = min(0.0, *(float(x.min()) for x in reference))
    high = max(0.0, *(float(x.max()) for x in reference))
    info = np.iinfo(grid.dtype)
    scale = max((high - low) / (int(info.max) - int(info.min)), 1e-12)
    zero = int(np.clip(np.rint(info.min - low / scale), info.min, info.max))
    return Grid(grid.key, grid.dtype, scale, zero)


def rounded_by_channel(reference: Sequence[Array], grid: Grid, format: str) -> list[Array]:
    """The values as a grid of its own for each channel would leave them."""
    axis = channel_axis_of(reference[0], format)
    rows = _rows(reference, format)
    low, high = np.minimum(rows.min(0), 0), np.maximum(rows.max(0), 0)
    info = np.iinfo(grid.dtype)
    scale = np.maximum((high - low) / (int(info.max) - int(info.min)), 1e-12)
    shape = [1] * reference[0].ndim
    shape[axis] = -1
    step = scale.reshape(shape)
    return [(np.rint(x / step) * step).astype(np.float32) for x in reference]


def channel_ranges(reference: Sequence[Array], format: str) -> Array:
    """How large each channel's values get, (channels,)."""
    sizes: Array = np.abs(_rows(reference, format)).max(0)
    return sizes


def _rows(arrays: Sequence[Array], format: str) -> Array:
    axis = channel_axis_of(arrays[0], format)
    return np.concatenate(
        [
            np.moveaxis(np.asarray(x, np.float64), axis, -1).reshape(-1, x.shape[axis])
            for x in arrays
        ]
    )
