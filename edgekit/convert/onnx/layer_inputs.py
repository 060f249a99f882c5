"""Second moments of what the layers of an ONNX file are given, over calibration samples.

Of each inference a few places of each layer are kept, drawn at random, so that memory does not grow
with the samples or with the images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import OnnxProbe, batches
from edgekit.samples import Samples

# Samples that are looked at, rows of one layer, and values of all rows of all layers: 128 MiB.
_SAMPLES, _ROWS, _VALUES = 64, 4000, 1 << 25
# Weights whose errors are set off against each other: those of a longer sum are treated in parts.
_TOGETHER = 2048
# Of the mean variance, what is added to each: few samples do not know every direction.
_RIDGE = 1e-3


@dataclass(frozen=True)
class Window:
    """What a convolution reads for each output: an entry for each axis of space.

    Attributes:
        automatic: ``"SAME_UPPER"`` or ``"SAME_LOWER"`` where the padding follows from the sizes.
    """

    groups: int
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    automatic: str = ""

    def edges(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """Zeros before and behind each axis."""
        if not self.automatic.startswith("SAME"):
            return list(zip(self.before, self.after, strict=True))
        found = []
        for size, k, stride, dilation in zip(
            sizes, self.kernel, self.strides, self.dilations, strict=True
        ):
            short = max(0, (-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size)
            less, more = short // 2, short - short // 2
            found.append((less, more) if self.automatic == "SAME_UPPER" else (more, less))
        return found


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
            kept.setdefault(layer, []).append(_drawn(values, layer, some, rng))

    for inputs in batches(few, probe.batch):
        probe.run(inputs, look)
    return {layer: np.concatenate(rows, 1) for layer, rows in kept.items()}


def moments(rows: NDArray[np.float32], about: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Second moments of rows, in parts as `edgekit.calibration.pair_safe` takes them.

    Args:
        rows: (groups, rows, weights summed over), in the order of `edgekit.formats.onnx_pairs`.
        about: what is zero, (groups, weights).
    """
    rows = rows - about[:, None]
    parts = range(0, rows.shape[-1], _TOGETHER)
    return [_second(rows[..., at : at + _TOGETHER]) for at in parts]


def _second(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Second moments with a ridge; never zero on the diagonal."""
    found = rows.transpose(0, 2, 1) @ rows / np.float32(rows.shape[1])
    diagonal = np.einsum("gkk->gk", found)
    level = diagonal.mean(1, keepdims=True)
    diagonal += _RIDGE * np.where(level > 0, level, 1)
    return np.asarray(found)


def _drawn(
    values: NDArray[Any], layer: LayerInput, some: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Rows at random places, (groups, rows, weights summed over)."""
    if layer.window is None:
        rows = values.reshape(-1, values.shape[-1])
        return np.asarray(rows[_choose(len(rows), some, rng)], np.float32)[None]
    return _patches(values, layer.window, some, rng)


def _choose(count: int, some: int, rng: np.random.Generator) -> Any:
    return rng.choice(count, some, replace=False) if count > some else np.arange(count)


def _patches(
    values: NDArray[Any], window: Window, some: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    padded = np.pad(values, [(0, 0), (0, 0), *window.edges(values.shape[2:])])
    axes = zip(padded.shape[2:], window.kernel, window.strides, window.dilations, strict=True)
    sizes = [(size - (k - 1) * dilation - 1) // stride + 1 for size, k, stride, dilation in axes]
    chosen = _choose(len(values) * int(np.prod(sizes)), some, rng)
    sample, *places = np.unravel_index(chosen, (len(values), *sizes))
    corners = [place * stride for place, stride in zip(places, window.strides, strict=True)]
    offsets = product(
        *(range(0, k * d, d) for k, d in zip(window.kernel, window.dilations, strict=True))
    )
    patches = []
    for offset in offsets:
        moved = [corner + o for corner, o in zip(corners, offset, strict=True)]
        place = (sample, slice(None), *moved)
        patches.append(padded[place])  # (rows, channels)
    stacked = np.stack(patches, 1).astype(np.float32)
    count, groups = len(chosen), window.groups
    split = stacked.reshape(count, len(patches), groups, -1)
    return np.asarray(split.transpose(2, 0, 1, 3).reshape(groups, count, -1))
