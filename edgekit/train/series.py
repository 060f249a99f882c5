"""Augmentation of sound and other series: small functions of a batch and a seed.

A batch is (batch, steps) or (batch, steps, channels), or a spectrogram (batch, steps, bins) with
or without a last axis for channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekit.errors import require

_PURPOSE = "Augmentation"


def _share(key: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{key}: received {value!r}, expected a share above 0, up to 1.")


def _uniform(x: Any, seed: Any, low: float, high: float) -> Any:
    """A number a sample, in a shape that spreads over the sample's axes."""
    tf = require("tensorflow", "export", _PURPOSE)
    shape = tf.concat([tf.shape(x)[:1], tf.ones(x.shape.rank - 1, tf.int32)], 0)
    return tf.random.stateless_uniform(shape, seed, low, high)


@dataclass(frozen=True)
class RandomGain:
    """Multiplies each sample by a number between `low` and `high`."""

    low: float = 0.8
    high: float = 1.25

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < 1e3:
            raise ValueError(
                f"low, high: received {self.low!r} and {self.high!r}, expected numbers above 0, the "
                "second not below the first."
            )

    def __call__(self, x: Any, seed: Any) -> Any:
        tf = require("tensorflow", "export", _PURPOSE)
        return tf.cast(x, tf.float32) * _uniform(x, seed, self.low, self.high)


@dataclass(frozen=True)
class RandomTimeShift:
    """Moves each sample along its steps by up to `factor` of them, either way; ends repeat."""

    factor: float = 0.1

    def __post_init__(self) -> None:
        _share("factor", self.factor)

    def __call__(self, x: Any, seed: Any) -> Any:
        tf = require("tensorflow", "export", _PURPOSE)
        steps = tf.shape(x)[1]
        most = self.factor * tf.cast(steps, tf.float32)
        flat = tf.reshape(_uniform(x, seed, -1.0, 1.0), [-1, 1])
        moved = tf.range(steps)[None] - tf.cast(tf.round(flat * most), tf.int32)
        return tf.gather(x, tf.clip_by_value(moved, 0, steps - 1), batch_dims=1)


@dataclass(frozen=True)
class _Mask:
    factor: float = 0.2

    def __post_init__(self) -> None:
        _share("factor", self.factor)

    def _mask(self, x: Any, seed: Any, axis: int) -> Any:
        tf = require("tensorflow", "export", _PURPOSE)
        if x.shape.rank <= axis:
            raise ValueError(
                f"received a batch of {x.shape.rank} axes, expected axis {axis} in it."
            )
        x = tf.cast(x, tf.float32)
        size = tf.cast(tf.shape(x)[axis], tf.float32)
        one, two = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        length = _uniform(x, one, 0.0, self.factor) * size
        start = _uniform(x, two, 0.0, 1.0) * (size - length)
        shape = [-1 if each == axis else 1 for each in range(x.shape.rank)]
        place = tf.reshape(tf.range(size) + 0.5, shape)
        inner = list(range(1, x.shape.rank))
        mean = tf.reduce_mean(x, axis=inner, keepdims=True)
        return tf.where((place >= start) & (place < start + length), mean, x)


@dataclass(frozen=True)
class TimeMask(_Mask):
    """Puts the sample's mean in the place of up to `factor` of its steps, which lie together.

    Park et al., "SpecAugment", 2019.
    """

    def __call__(self, x: Any, seed: Any) -> Any:
        return self._mask(x, seed, 1)


@dataclass(frozen=True)
class FrequencyMask(_Mask):
    """As `TimeMask`, for the bins of a spectrogram (batch, steps, bins, ...)."""

    def __call__(self, x: Any, seed: Any) -> Any:
        return self._mask(x, seed, 2)


SERIES: dict[str, Callable[..., Any]] = {
    "RandomGain": RandomGain,
    "RandomTimeShift": RandomTimeShift,
    "TimeMask": TimeMask,
    "FrequencyMask": FrequencyMask,
}
