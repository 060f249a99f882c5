"""Feed: samples on their way into `fit`, in an order that a resumed training sees again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError, require
from edgekit.samples import Samples
from edgekit.train.targets import Targets

_PURPOSE = "Training a model"

# Arrays on disk up to this size are read once; larger ones batch by batch in every epoch.
_KEPT_BYTES = 256 << 20
_READERS = 2
_AHEAD = 4

# Of a batch's inputs and its step, counted over all epochs: the same, varied.
Vary = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass(frozen=True)
class Input:
    """One input of the model: its name, its dtype there, and its samples.

    Attributes:
        values: (samples, ...); an array in memory, or one that reads what it is indexed with.
    """

    name: str
    dtype: str
    values: Any

    @property
    def kept(self) -> bool:
        """Whether all of it lies in memory."""
        return isinstance(self.values, np.ndarray) and not isinstance(self.values, np.memmap)


class Feed:
    """What `fit` and `evaluate` are given, for either flavour of Keras.

    In memory, batches are gathered inside TensorFlow's own graph; arrays on disk are read by two
    threads, a few batches ahead.

    Args:
        samples: prepared for the model, under its inputs' names; see `kept`.
        dtypes: of the model's inputs, by name.
        targets: what the labels become.
        class_weights: how much the loss of each class counts, one number a class; None for 1.
    """

    def __init__(
        self,
        samples: Samples,
        dtypes: Mapping[str, str],
        targets: Targets,
        class_weights: Any = None,
    ) -> None:
        self.count: int = len(samples)
        self.inputs: list[Input] = [
            Input(name, dtypes[name], x) for name, x in samples.inputs.items()
        ]
        self._targets = targets.of(samples)
        self._weights = None
        if class_weights is not None and samples.class_labels is not None:
            self._weights = np.asarray(class_weights, np.float32)[np.asarray(samples.class_labels)]
        # What a reader raised inside TensorFlow, which makes a text of it.
        self.error: EdgekitError | OSError | None = None

    @property
    def labels(self) -> list[Any]:
        """Targets and weights, as far as there are any, (samples, ...) each."""
        return [each for each in (self._targets, self._weights) if each is not None]

    def steps(self, batch_size: int) -> int:
        """Batches an epoch; the last one holds the rest."""
        return math.ceil(self.count / batch_size)

    def epochs(self, batch_size: int, epochs: range, seed: int, vary: Vary | None = None) -> Any:
        """A `tf.data.Dataset` of all batches of `epochs`, one epoch after the other.

        The order of an epoch follows from `seed` and the epoch's number alone.

        Returns:
            Elements (inputs, targets) or (inputs, targets, weights); inputs by name, or the tensor
            itself where there is one.
        """
        tf = require("tensorflow", "export", _PURPOSE)
        steps = self.steps(batch_size)
        read = self._reader(tf)

        def batches(epoch: Any) -> Any:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(self.count, dtype=tf.int64), seed=tf.stack([seed, epoch]), alg="philox"
            )
            return tf.data.Dataset.range(steps).map(
                lambda step: (
                    epoch * steps + step,
                    order[step * batch_size : (step + 1) * batch_size],
                )
            )

        def batch(step: Any, index: Any) -> Any:
            inputs, *rest = read(index)
            return self._element(vary(inputs, step) if vary else inputs, inputs, rest)

        everything = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(batches)
        if vary or not all(each.kept for each in self.inputs):
            mapped = everything.map(batch, num_parallel_calls=_READERS, deterministic=True)
        else:
            mapped = everything.map(batch)
        return mapped.prefetch(_AHEAD)

    def in_order(self, batch_size: int) -> Any:
        """A `tf.data.Dataset` of the samples as they are, without weights."""
        tf = require("tensorflow", "export", _PURPOSE)
        read = self._reader(tf, weigh=False)

        def batch(step: Any) -> Any:
            stop = tf.minimum((step + 1) * batch_size, self.count)
            inputs, *rest = read(tf.range(step * batch_size, stop))
            return self._element(inputs, inputs, rest)

        made = tf.data.Dataset.range(self.steps(batch_size)).map(batch)
        return made.prefetch(_AHEAD)

    def _element(self, varied: dict[str, Any], inputs: dict[str, Any], rest: list[Any]) -> Any:
        if self._targets is None:
            # A varied input is to come out as it was.
            rest = [next(iter(inputs.values())), *rest]
        return (next(iter(varied.values())) if len(varied) == 1 else varied, *rest)

    def _reader(self, tf: Any, weigh: bool = True) -> Callable[[Any], list[Any]]:
        # TensorFlow's tensors: captured by the graph, they are not copied into it.
        kept = {each.name: tf.constant(each.values) for each in self.inputs if each.kept}
        weights = self._weights if weigh else None
        others = [tf.constant(x) for x in (self._targets, weights) if x is not None]

        def read(index: Any) -> list[Any]:
            inputs = {}
            for each in self.inputs:
                if each.name in kept:
                    x = tf.gather(kept[each.name], index)
                else:
                    x = self._read_from_disk(tf, each, index)
                inputs[each.name] = x if x.dtype == each.dtype else tf.cast(x, each.dtype)
            return [inputs, *(tf.gather(other, index) for other in others)]

        return read

    def _read_from_disk(self, tf: Any, each: Input, index: Any) -> Any:
        values = each.values

        def read(index: Any) -> Any:
            try:
                return np.ascontiguousarray(np.asarray(values[index]), values.dtype)
            except (EdgekitError, OSError) as error:
                self.error = error
                raise

        x = tf.numpy_function(read, [index], tf.as_dtype(np.dtype(values.dtype)))
        x.set_shape((None, *values.shape[1:]))
        return x


def kept(x: Any) -> Any:
    """`x` in memory, where it is not there and is small enough; else `x`."""
    size = int(np.prod(x.shape, dtype=np.int64)) * np.dtype(x.dtype).itemsize
    there = isinstance(x, np.ndarray) and not isinstance(x, np.memmap)
    return x if there or size > _KEPT_BYTES else np.array(x)
