"""Layers: what each layer of a model gives for a few samples, thinned, to hold files against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.convert.check.asking import Arrays, Asked, layer_bytes
from edgekit.errors import require
from edgekit.models.source import SourceModel
from edgekit.samples import Samples

# A few samples show where a file goes wrong, and of a picture some places.
_SAMPLES, _PLACES = 8, 256


@dataclass(frozen=True)
class Layers:
    """What the layers of a Functional or Sequential model give.

    Attributes:
        samples: for which.
        shapes: of a layer's output for one sample, by the layer's name.
        values: of each, (samples, at most 256 places, channels): see `thinned`.
    """

    samples: Samples
    shapes: Mapping[str, tuple[int, ...]]
    values: Arrays


def layers_asked(source: SourceModel, samples: Samples) -> Layers:
    """Call a model's layers with the first samples.

    Raises:
        Exception: whatever Keras and the layers raise.
    """
    first = Samples({name: x[:_SAMPLES] for name, x in samples.inputs.items()})
    shapes: dict[str, tuple[int, ...]] = {}
    parts: dict[str, list[NDArray[Any]]] = defaultdict(list)
    with source.from_zero():
        for answers in _asked(source).parts(first):
            for name, values in answers.items():
                shapes[name] = values.shape[1:]
                parts[name].append(thinned(values))
    return Layers(first, shapes, {n: np.concatenate(x)[: len(first)] for n, x in parts.items()})


def thinned(values: NDArray[Any]) -> NDArray[Any]:
    """Every so many places of each sample, so that at most 256 are left: (samples, places, channels).

    The last axis is that of channels; numbers without one have a single channel.
    """
    channels = values.shape[-1] if values.ndim > 1 else 1
    flat = values.reshape(len(values), -1, channels)
    # A copy, so that the whole can go.
    return np.array(flat[:, :: -(-flat.shape[1] // _PLACES) or 1])


def _asked(source: SourceModel) -> Asked:
    keras = require(source.flavour, "export", "Checking a file")
    tensors = {}
    for layer in source.model.layers:
        nodes = getattr(layer, "_inbound_nodes", ())
        if len(nodes) == 1 and hasattr(layer.output, "shape"):
            tensors[layer.name] = layer.output
    inner = keras.Model(source.model.inputs, tensors)

    def call(given: Mapping[str, Any]) -> Mapping[str, Any]:
        answers: Mapping[str, Any] = inner(
            [given[spec.name] for spec in source.inputs], training=False
        )
        return answers

    # All of them are kept until the last one is done.
    return Asked(call, source.inputs, sum(layer_bytes(source)))
