"""A `tf.data.Dataset` as arrays in a temporary file. TensorFlow is whoever made the dataset's affair."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError
from edgekit.samples.labels import understood
from edgekit.tensor import ANY_INPUT

# tf.data.INFINITE_CARDINALITY
_ENDLESS = -1

_SINGLE = (
    "If its elements are single samples, batch them: dataset.batch(32). Or give "
    "edgekit.Samples.from_dataset(dataset, batched=False)."
)


class Spool:
    """Rows of one array on their way to a temporary file without a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._count, self._sample, self._dtype = 0, (0,), np.dtype("V")

    def add(self, rows: NDArray[Any]) -> None:
        """Rows of the shape and the dtype of those before.

        Raises:
            SamplesError: others, or no numbers.
        """
        if rows.dtype.kind not in "biuf":
            raise SamplesError(
                f"array {self.name!r}: received dtype {rows.dtype}, expected numbers."
            )
        if not self._count:
            self._sample, self._dtype = rows.shape[1:], rows.dtype
        if (rows.shape[1:], rows.dtype) != (self._sample, self._dtype):
            raise SamplesError(
                f"array {self.name!r}: received samples of shape {list(rows.shape[1:])} and dtype "
                f"{rows.dtype} after {self._count} of {list(self._sample)} and {self._dtype}, expected "
                "them alike. Resize or pad them in the dataset."
            )
        self._file.write(rows.tobytes())
        self._count += len(rows)

    def array(self) -> NDArray[Any]:
        """All rows, mapped from the file."""
        self._file.flush()
        shape = (self._count, *self._sample)
        if not self._count or 0 in shape:
            return np.empty(shape, self._dtype)
        return np.memmap(self._file, self._dtype, "r", shape=shape)


def read_dataset(
    dataset: Any, batched: bool
) -> tuple[dict[str, NDArray[Any]], NDArray[Any] | None, tuple[str, ...]]:
    """Inputs, labels and class names, as `Samples.from_dataset` describes them."""
    if not hasattr(dataset, "as_numpy_iterator"):
        raise SamplesError(f"received {type(dataset).__name__}, expected a tf.data.Dataset.")
    if int(dataset.cardinality()) == _ENDLESS:
        raise SamplesError("the dataset has no end. Call take(n) on it first.")
    try:
        arrays, labels = _spooled(dataset, batched)
    except OSError as error:
        raise SamplesError(
            f"the dataset cannot be kept in a temporary file in {tempfile.gettempdir()}: {error}. Set "
            "TMPDIR to a folder with room."
        ) from error
    if labels is None:
        return arrays, None, ()
    numbers, names = understood(labels)
    return arrays, numbers, names or _stated_names(dataset, numbers)


def _spooled(dataset: Any, batched: bool) -> tuple[dict[str, NDArray[Any]], NDArray[Any] | None]:
    """Inputs by name and labels; text labels stay in memory."""
    spools: dict[str, Spool] = {}
    labels: Spool | list[Any] | None = None
    for inputs, targets in _elements(dataset, batched):
        spools = spools or {name: Spool(name) for name in inputs}
        if spools.keys() != inputs.keys():
            raise SamplesError("the dataset's elements differ in structure.")
        for name, spool in spools.items():
            spool.add(inputs[name])
        if targets is None:
            continue
        if labels is None:
            labels = [] if targets.dtype.kind in "SUO" else Spool("labels")
        if isinstance(labels, list):
            labels.extend(targets.tolist())
        else:
            labels.add(targets)
    if not spools:
        raise SamplesError("the dataset is empty: expected at least one sample.")
    arrays = {name: spool.array() for name, spool in spools.items()}
    if isinstance(labels, list):
        return arrays, np.array(labels, object)
    return arrays, None if labels is None else labels.array()


def _elements(dataset: Any, batched: bool) -> Iterator[tuple[dict[str, Any], Any]]:
    """Inputs by name and labels or None, as batches."""
    for element in dataset.as_numpy_iterator():
        parts = element if isinstance(element, tuple) else (element,)
        if len(parts) > 2:
            raise SamplesError(
                f"received elements of {len(parts)} parts, expected inputs or (inputs, labels)."
            )
        inputs = parts[0] if isinstance(parts[0], Mapping) else {ANY_INPUT: parts[0]}
        arrays = {name: _batch(name, x, batched) for name, x in inputs.items()}
        labels = _batch("labels", parts[1], batched) if len(parts) == 2 else None
        counts = {len(x) for x in (*arrays.values(), labels) if x is not None}
        if len(counts) != 1:
            raise SamplesError(
                f"received inputs and labels of {sorted(counts)} samples in one element, expected as "
                f"many of each. {_SINGLE}"
            )
        yield arrays, labels


def _batch(name: str, x: Any, batched: bool) -> NDArray[Any]:
    if isinstance(x, (tuple, list, Mapping)) or (
        not hasattr(x, "dtype") and not isinstance(x, bytes)
    ):
        raise SamplesError(
            f"array {name!r}: received {type(x).__name__}, expected a tensor, or a dictionary of them "
            "as inputs."
        )
    values: NDArray[Any] = np.asarray(x)
    if not batched:
        return np.expand_dims(values, 0)
    if not values.ndim:
        raise SamplesError(f"array {name!r}: received a single value, expected a batch. {_SINGLE}")
    return values


def _stated_names(dataset: Any, numbers: NDArray[Any]) -> tuple[str, ...]:
    names = tuple(map(str, getattr(dataset, "class_names", None) or ()))
    return names if numbers.ndim == 1 and numbers.dtype.kind in "iu" else ()
