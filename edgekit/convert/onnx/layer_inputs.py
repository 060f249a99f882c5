"""Rows of what the layers of an ONNX file are given, over calibration samples.

Of each inference a few places of each layer are kept, drawn at random, so that memory does not grow
with the samples or with the images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import OnnxProbe, batches
from edgekit.calibration.windows import Places, Window
from edgekit.samples import Samples

# Samples that are looked at, rows of one layer, and values of all rows of all layers: 128 MiB.
_SAMPLES, _ROWS, _VALUES = 64, 4000, 1 << 25


def channels_last(values: NDArray[Any]) -> NDArray[Any]:
    """What a convolution is given, (batch, channels, ...), as `edgekit.calibration.windows` takes it."""
    return np.moveaxis(values, 1, -1)


@dataclass(frozen=True)
class LayerInput:
    """What a layer multiplies its weights with.

    Attributes:
        tensor: its name; (batch, channels, ...) for a convolution, else (..., weights summed over).
        count: how many weights are summed over, in a group.
        window: of a convolution.
    """

    tensor: str
    count: int
    window: Window | None = None


def rows_of(
    proto: Any, layers: Iterable[LayerInput], samples: Samples, seed: int
) -> dict[LayerInput, NDArray[np.float32]]:
    """Rows of what layers are given, (groups, rows, weights summed over).

    Args:
        proto: a ModelProto, whose nodes may come in any order.
        layers: of its main graph.
        samples: under the model's input names.
        seed: of the samples and the places.
    """
    wanted: dict[str, list[LayerInput]] = {}
    for layer in dict.fromkeys(layers):
        wanted.setdefault(layer.tensor, []).append(layer)
    total = sum(layer.count for group in wanted.values() for layer in group)
    few = samples.subset(min(_SAMPLES, len(samples)), seed=seed)
    probe = OnnxProbe(proto, list(wanted))
    times = -(-len(few) // probe.batch)
    some = max(1, min(_ROWS, _VALUES // max(total, 1)) // times)
    rng = np.random.default_rng(seed)
    kept: dict[LayerInput, list[NDArray[Any]]] = {}

    def look(name: str, values: NDArray[Any]) -> None:
        for layer in wanted.get(name, ()):
            seen = channels_last(values) if layer.window else values
            rows = Places(seen.shape, layer.window, some, [rng]).rows([seen])
            kept.setdefault(layer, []).append(rows)

    for inputs in batches(few, probe.batch):
        probe.run(inputs, look)
    return {layer: np.concatenate(rows, 1) for layer, rows in kept.items()}
