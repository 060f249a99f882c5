"""Lazy arrays: values that are read or computed when they are requested, and forgotten again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError

Shape = tuple[int | None, ...]

# What is read at a time: enough to be quick, too little to be felt.
_BLOCK_BYTES = 8 << 20


class LazyArray(ABC):
    """An array, samples first, whose values are read when they are requested.

    It has numpy's `shape`, `dtype`, `ndim` and length. A slice, or an array of indices or booleans,
    picks samples and reads nothing; one index reads one sample; `np.asarray` reads all of it. Code
    that goes through it does so by `blocks` or `Samples.batches`, so that memory stays flat.

    Attributes:
        shape: None for axes that differ from sample to sample, which `np.asarray` refuses.
        dtype: of the values.
        why_open: which samples differ, in words; empty where none do.
    """

    def __init__(self, count: int, sample: Shape, dtype: Any, why_open: str = "") -> None:
        self.shape: Shape = (count, *sample)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.why_open = why_open

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        count = self.shape[0]
        assert count is not None, "the number of samples is always known"
        return count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            position = range(len(self))[index]
            return np.asarray(self._pick(slice(position, position + 1)))[0]
        return self._pick(index)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy  # Always one: nothing is kept.
        values = self._read()
        return values if dtype is None else values.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {list(self.shape)} {self.dtype}>"

    @abstractmethod
    def _pick(self, index: Any) -> LazyArray:
        """The samples of a slice or of an array."""

    @abstractmethod
    def _read(self) -> NDArray[Any]:
        """All values."""

    def _gather(self, samples: Iterator[NDArray[Any]]) -> NDArray[Any]:
        """One array of as many `samples` as this one has, each of shape (...)."""
        result: NDArray[Any] | None = None
        for i, sample in enumerate(samples):
            if result is None:
                result = np.empty((len(self), *sample.shape), self.dtype)
            if sample.shape != result.shape[1:]:
                raise SamplesError(f"samples differ in shape. {self.why_open}")
            result[i] = sample
        return (
            np.empty((0, *(n or 0 for n in self.shape[1:])), self.dtype)
            if result is None
            else result
        )


class FileArray(LazyArray):
    """A file a sample, decoded when it is requested.

    Args:
        folder: what the names are relative to.
        names: of all files.
        decode: gives a file's values in the shape `sample` (axes that are None there may be of any
            size) and in `dtype`; raises SamplesError, naming the file.
        picked: the indices of the files that the array has; all if None.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        decode: Callable[[Path], NDArray[Any]],
        sample: Shape,
        dtype: Any,
        why_open: str = "",
        picked: NDArray[np.intp] | None = None,
    ) -> None:
        self._picked = np.arange(len(names)) if picked is None else picked
        super().__init__(len(self._picked), sample, dtype, why_open)
        self._folder, self._names, self._decode = folder, names, decode

    @property
    def names(self) -> list[str]:
        """The files' names, relative to their folder, in order."""
        return [self._names[i] for i in self._picked]

    def _pick(self, index: Any) -> FileArray:
        given = (self._folder, self._names, self._decode, self.shape[1:], self.dtype, self.why_open)
        return FileArray(*given, self._picked[index])

    def _read(self) -> NDArray[Any]:
        return self._gather(self._decode(self._folder / name) for name in self.names)


class MappedArray(LazyArray):
    """What a function makes of another array, a block at a time.

    Args:
        source: an array of numpy's or a lazy one.
        function: several samples to as many, sample by sample the same.
        sample: the shape that it gives a sample.
        dtype: that it gives.
    """

    def __init__(
        self,
        source: Any,
        function: Callable[[NDArray[Any]], NDArray[Any]],
        sample: Shape,
        dtype: Any,
    ) -> None:
        super().__init__(len(source), sample, dtype, getattr(source, "why_open", ""))
        self._source, self._function = source, function

    @property
    def source(self) -> Any:
        """What it is made of."""
        return self._source

    def _pick(self, index: Any) -> MappedArray:
        return MappedArray(pick(self._source, index), self._function, self.shape[1:], self.dtype)

    def _read(self) -> NDArray[Any]:
        made = (self._function(block) for block in blocks(self._source))
        return self._gather(sample for block in made for sample in block)


class PickedArray(LazyArray):
    """Some samples of an array that lies in a file, which numpy would copy into memory."""

    def __init__(self, source: NDArray[Any], picked: NDArray[np.intp]) -> None:
        super().__init__(len(picked), source.shape[1:], source.dtype)
        self._source, self._picked = source, picked

    def _pick(self, index: Any) -> PickedArray:
        return PickedArray(self._source, self._picked[index])

    def _read(self) -> NDArray[Any]:
        return np.asarray(self._source[self._picked])


def pick(x: Any, index: Any) -> Any:
    """``x[index]`` along the first axis, without reading a file that `x` is mapped from."""
    if isinstance(x, np.memmap) and not isinstance(index, (slice, int, np.integer)):
        return PickedArray(x, np.arange(len(x))[index])
    return x[index]


def blocks(x: Any) -> Iterator[NDArray[Any]]:
    """All values of an array of numpy's or a lazy one, in order, some samples at a time.

    Samples of different shapes come one by one.
    """
    step = 1
    if None not in x.shape:
        step = max(1, _BLOCK_BYTES // max(1, x.dtype.itemsize * int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), step):
        yield np.asarray(x[start : start + step])
