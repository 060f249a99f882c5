"""Windows: which values of a tensor a layer multiplies its weights with, as rows.

A row is what one output of a layer is summed over. Rows of a few places, drawn at random, stand for all of
them, so that memory does not grow with the samples or with the images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class Places:
    """Where rows of tensors of one shape are: some outputs of each tensor, drawn at random.

    Args:
        shape: of each tensor: (batch, ..., channels) for a convolution, else (..., weights summed over).
        window: of a convolution.
        some: how many rows of each tensor; all if there are fewer.
        draws: of each tensor, what draws them.
    """

    def __init__(
        self,
        shape: Sequence[int],
        window: Window | None,
        some: int,
        draws: Iterable[np.random.Generator],
    ) -> None:
        sizes = shape[1:-1]
        self._groups = window.groups if window else 1
        # Of a dense layer each place is a row.
        self._steps = _steps(sizes, window) if window else []
        self._counts = (shape[0], *map(len, self._steps)) if window else tuple(shape[:-1])
        self._size = int(np.prod(sizes))
        count = int(np.prod(self._counts))
        self._drawn = (
            [rng.choice(count, some, replace=False).astype(np.int32) for rng in draws]
            if count > some
            else []
        )
        self._all = np.arange(min(count, some))

    def rows(
        self, tensors: Sequence[NDArray[Any]], first: int = 0, zero: float = 0.0
    ) -> NDArray[np.float32]:
        """Rows, (groups, rows of all tensors, weights summed over), in the order (place, channel).

        Args:
            tensors: of that shape.
            first: the number of the first of them.
            zero: what stands for zero in them; rows are counted from there.
        """
        at = [self._at(first + i) for i in range(len(tensors))]
        some = [_taken(x, each) for x, each in zip(tensors, at, strict=True)]
        joined, outside = np.concatenate(some), np.concatenate(at) < 0
        count, places, channels = joined.shape
        split = joined.reshape(count, places, self._groups, channels // self._groups)
        found: NDArray[np.float32] = split.astype(np.float32)
        found -= np.float32(zero)
        if outside.any():
            found[outside] = 0
        return np.asarray(found.transpose(2, 0, 1, 3).reshape(self._groups, count, -1))

    def _at(self, number: int) -> NDArray[np.intp]:
        """Where a tensor's rows lie in it, (rows, places of the kernel); below zero outside."""
        chosen = self._drawn[number] if self._drawn else self._all
        if not self._steps:
            return chosen[:, None].astype(np.intp)
        sample, *places = np.unravel_index(chosen, self._counts)
        found: NDArray[np.intp] = (sample * self._size)[:, None]
        for place, steps in zip(places, self._steps, strict=True):
            found = (found[:, :, None] + steps[place][:, None]).reshape(len(chosen), -1)
        return found


def _taken(values: NDArray[Any], at: NDArray[np.intp]) -> NDArray[Any]:
    """Values of all channels, (rows, places of the kernel, channels)."""
    table = values.reshape(-1, values.shape[-1])
    # Faster, but where channels lie apart it copies the whole tensor first.
    if table.flags.c_contiguous or len(table) <= at.size:
        return table.take(at, 0, mode="clip")
    return np.asarray(table[np.maximum(at, 0)])


# Stands for what lies outside, whatever is added on other axes.
_OUTSIDE = -(1 << 40)


def _steps(sizes: Sequence[int], window: Window) -> list[NDArray[np.intp]]:
    """Of each axis of space, what each output reads: how far into the tensor, (outputs, the kernel's size)."""
    apart = window.apart or (1,) * len(sizes)
    spread = [(size - 1) * step + 1 for size, step in zip(sizes, apart, strict=True)]
    found = []
    for axis, (before, after) in enumerate(window.edges(spread)):
        k, stride, dilation = (
            each[axis] for each in (window.kernel, window.strides, window.dilations)
        )
        padded = spread[axis] + before + after
        outputs = np.arange((padded - (k - 1) * dilation - 1) // stride + 1)
        at = (outputs * stride - before)[:, None] + np.arange(k) * dilation
        inside = (at >= 0) & (at < spread[axis]) & (at % apart[axis] == 0)
        found.append(
            np.where(inside, at // apart[axis] * int(np.prod(sizes[axis + 1 :])), _OUTSIDE)
        )
    return found
