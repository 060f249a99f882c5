"""Windows: which values of a tensor a layer multiplies its weights with, as rows.

A row is what one output of a layer is summed over. Rows of a few places, drawn at random, stand for all of
them, so that memory does not grow with the samples or with the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """What a convolution reads for each output: an entry for each axis of space.

    Attributes:
        automatic: ``"SAME_UPPER"`` or ``"SAME_LOWER"`` where the padding follows from the sizes.
        apart: how far the values lie from each other, with zeros between them, as those that a transposed
            convolution reads do; 1 on each axis if empty.
    """

    groups: int
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    automatic: str = ""
    apart: tuple[int, ...] = ()

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


def rows_of_tensor(
    values: NDArray[Any],
    window: Window | None,
    some: int,
    rng: np.random.Generator,
    zero: float = 0.0,
) -> NDArray[np.float32]:
    """Rows at random places, (groups, rows, weights summed over), in the order (place, channel).

    Args:
        values: (batch, channels, ...) for a convolution, else (..., weights summed over).
        window: of a convolution.
        some: how many rows; all if there are fewer.
        rng: draws the places; those of tensors of one shape are the same for the same state of it.
        zero: what stands for zero in `values`; rows are counted from there.
    """
    if window is None:
        rows = values.reshape(-1, values.shape[-1])
        drawn = rows[_choose(len(rows), some, rng)].astype(np.float32)
        return np.asarray(drawn - np.float32(zero))[None]
    return _patches(values, window, some, rng, zero)


def _choose(count: int, some: int, rng: np.random.Generator) -> Any:
    return rng.choice(count, some, replace=False) if count > some else np.arange(count)


def _patches(
    values: NDArray[Any], window: Window, some: int, rng: np.random.Generator, zero: float
) -> NDArray[np.float32]:
    batch, _, *sizes = values.shape
    apart = window.apart or (1,) * len(sizes)
    spread = [(size - 1) * step + 1 for size, step in zip(sizes, apart, strict=True)]
    edges = window.edges(spread)
    padded = [size + sum(edge) for size, edge in zip(spread, edges, strict=True)]
    axes = zip(padded, window.kernel, window.strides, window.dilations, strict=True)
    counts = [(size - (k - 1) * dilation - 1) // stride + 1 for size, k, stride, dilation in axes]
    chosen = _choose(batch * int(np.prod(counts)), some, rng)
    sample, *places = np.unravel_index(chosen, (batch, *counts))
    # Of each axis of space: (rows, places of the kernel).
    offsets = np.unravel_index(np.arange(int(np.prod(window.kernel))), window.kernel)
    moved = [
        (place * stride - before)[:, None] + offset * dilation
        for place, stride, (before, _), offset, dilation in zip(
            places, window.strides, edges, offsets, window.dilations, strict=True
        )
    ]
    inside = np.logical_and.reduce(
        [
            (at >= 0) & (at < size) & (at % step == 0)
            for at, size, step in zip(moved, spread, apart, strict=True)
        ]
    )
    nearest = [
        np.clip(at // step, 0, size - 1) for at, size, step in zip(moved, sizes, apart, strict=True)
    ]
    place = (sample[:, None], slice(None), *nearest)
    patches = values[place].astype(np.float32)
    patches[~inside] = zero
    patches -= np.float32(zero)
    split = patches.reshape(len(chosen), patches.shape[1], window.groups, -1)
    return np.asarray(split.transpose(2, 0, 1, 3).reshape(window.groups, len(chosen), -1))
