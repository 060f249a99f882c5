"""Asking: the model's own answers, as it computes them, in little memory.

Called eagerly, a Keras model keeps what every layer gives until the last one is done: 44 MB a sample of a
MobileNetV2. It is called as one graph, which lets go of a tensor when nobody reads it any more. TensorFlow may
join operators in it, which moves the last bits; to forbid that is an option of the whole process that cannot be
taken back, and that models saved later would carry along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import batches
from edgekit.errors import require
from edgekit.models.source import SourceModel, layers_of
from edgekit.samples import Samples
from edgekit.tensor import TensorSpec

_PURPOSE = "Checking a file"

# Samples at a time, if what the largest layer gives for them is not more bytes than this.
_AT_A_TIME, _LAYER_BYTES = 32, 1 << 24
_FLOAT_BYTES = 4

Arrays = dict[str, NDArray[Any]]
Call = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Asked:
    """A function of tensors by input name, called as one graph.

    Args:
        call: gives tensors by name, the sample as their first axis.
        inputs: of `call`; a fixed batch is kept to.
        sample_bytes: what the largest tensor on the way takes for one sample; 0 if it is not known.
        most: samples at a time.
    """

    def __init__(
        self,
        call: Call,
        inputs: Sequence[TensorSpec],
        sample_bytes: int = 0,
        most: int = _AT_A_TIME,
    ) -> None:
        self._tf = require("tensorflow", "export", _PURPOSE)
        self._dtypes = {spec.name: spec.dtype for spec in inputs}
        self._fixed = next((s.shape[0] for s in inputs if s.shape and s.shape[0]), None)
        self._most = max(1, min(most, _LAYER_BYTES // max(sample_bytes, 1)))
        self._function = self._tf.function(call)

    def batch(self, samples: Samples) -> int:
        """How many samples a part has."""
        return self._fixed or min(self._most, len(samples))

    def parts(self, samples: Samples) -> Iterator[Arrays]:
        """The answers to some samples at a time; the last ones are repeated to fill a batch."""
        tf = self._tf
        for batch in batches(samples, self.batch(samples)):
            given = {n: tf.constant(batch[n], dtype) for n, dtype in self._dtypes.items()}
            yield {name: np.asarray(x) for name, x in self._function(given).items()}


def asked_model(source: SourceModel, most: int | None = None) -> Asked:
    """The model itself, given at most that many samples at a time."""
    return Asked(source.call, source.inputs, max(layer_bytes(source)), most or _AT_A_TIME)


def layer_bytes(source: SourceModel) -> list[int]:
    """Bytes that the layers' outputs take for one sample; dynamic dimensions count as 1."""
    # A SavedModel has no layers.
    layers = layers_of(source.model) if hasattr(source.model, "_flatten_layers") else ()
    sizes = [0]
    for layer in layers:
        # A layer that was never called by itself has no output, and Keras raises to say so.
        try:
            shape = tuple(layer.output.shape)[1:]
        except (AttributeError, ValueError, RuntimeError):
            continue
        sizes.append(_FLOAT_BYTES * prod(n or 1 for n in shape))
    return sizes
