"""Samples: named inputs and labels, read from the files people have.

Arrays have the sample as their first axis. Images are NHWC.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError, TensorError, nearest
from edgekit.files import atomic, existing
from edgekit.tensor import TensorSpec

ANY_INPUT = "x"
LABELS = "y"

# The IDX format's type byte, from the description on the MNIST database's page.
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}

# What numpy, zipfile, gzip and csv raise on damaged files; numpy parses headers as Python.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    csv.Error,
)


@dataclass(frozen=True)
class Samples:
    """Inputs by name, each of shape (samples, ...), and labels of shape (samples,) or (samples, ...).

    An input called ``"x"`` stands for the only input of a model, whatever that is called.

    Raises:
        SamplesError: no input, no sample, unequal counts, or values that are not finite numbers.
    """

    inputs: Mapping[str, NDArray[Any]]
    labels: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if not self.inputs:
            raise SamplesError(
                f"no inputs: expected an array for each, or one called {ANY_INPUT!r}."
            )
        counts = {name: len(x) if np.ndim(x) else 0 for name, x in self.inputs.items()}
        if self.labels is not None:
            counts[LABELS] = len(self.labels) if np.ndim(self.labels) else 0
        if len(set(counts.values())) != 1:
            raise SamplesError(f"received samples {counts}, expected as many in each array.")
        if not max(counts.values()):
            raise SamplesError("the data set is empty: expected at least one sample.")
        for name, x in [*self.inputs.items(), (LABELS, self.labels)]:
            if x is None:
                continue
            if x.dtype.kind not in "biufSU" or (name == LABELS and x.dtype.kind in "SU"):
                raise SamplesError(
                    f"array {name!r}: received dtype {x.dtype}, expected numbers or booleans."
                )
            if x.dtype.kind == "f":
                _require_finite(name, x)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def __getitem__(self, index: Any) -> Samples:
        """The samples that a slice or an array of indices picks."""
        labels = None if self.labels is None else self.labels[index]
        return Samples({name: x[index] for name, x in self.inputs.items()}, labels)

    def batches(self, size: int) -> Iterator[Samples]:
        """The samples in order, `size` at a time; the last batch holds the rest."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def subset(self, count: int, seed: int = 0) -> Samples:
        """`count` samples drawn without replacement, in their own order; all if there are fewer."""
        if count >= len(self):
            return self
        picked = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return self[np.sort(picked)]

    def split(self, fractions: Sequence[float], seed: int = 0) -> list[Samples]:
        """Disjoint parts, one for each of `fractions`, which add up to 1.

        Integer labels of one dimension are spread over the parts in equal shares
        (stratified); other data is shuffled as a whole.
        """
        if abs(sum(fractions) - 1) > 1e-9 or min(fractions) <= 0:
            raise SamplesError(
                f"received fractions {fractions}, expected positive ones that add up to 1."
            )
        rng = np.random.default_rng(seed)
        strata = [np.arange(len(self))]
        if self.class_labels is not None:
            strata = [
                np.flatnonzero(self.labels == label) for label in np.unique(self.class_labels)
            ]
        parts: list[list[NDArray[np.intp]]] = [[] for _ in fractions]
        edges = np.cumsum([0, *fractions])
        for stratum in strata:
            order = rng.permutation(stratum)
            # A random offset a stratum: rounding must not favour one part in all of them.
            cuts = np.floor(edges * len(order) + rng.random()).astype(int)
            cuts[0], cuts[-1] = 0, len(order)
            for part, (start, stop) in zip(parts, itertools.pairwise(cuts), strict=True):
                part.append(order[start:stop])
        indices = [np.sort(np.concatenate(part)) for part in parts]
        for fraction, index in zip(fractions, indices, strict=True):
            if not len(index):
                raise SamplesError(f"{len(self)} samples are too few for a part of {fraction:g}.")
        return [self[index] for index in indices]

    @property
    def class_labels(self) -> NDArray[Any] | None:
        """The labels if they number classes: whole numbers of one dimension; else None."""
        if self.labels is None or self.labels.ndim != 1 or self.labels.dtype.kind not in "iu":
            return None
        return self.labels

    def check_labels(self, classes: int) -> None:
        """Refuse labels that number classes the model does not have.

        Raises:
            SamplesError: a class label is negative or not below `classes`.
        """
        labels = self.class_labels
        if labels is None:
            return
        wrong = np.flatnonzero((labels < 0) | (labels >= classes))
        if len(wrong):
            raise SamplesError(
                f"labels: received {labels[wrong[0]]} at sample {wrong[0]} "
                f"({len(wrong)} of {len(labels)} are out of range), expected 0 to {classes - 1}."
            )

    def for_inputs(self, specs: Sequence[TensorSpec]) -> Samples:
        """These samples under the names that `specs` use, shapes and dtypes checked.

        Raises:
            TensorError: an input is missing or unknown, or its samples have another shape or kind.
        """
        inputs = dict(self.inputs)
        if len(specs) == 1 and set(inputs) == {ANY_INPUT}:
            inputs = {specs[0].name: inputs[ANY_INPUT]}
        wanted = [spec.name for spec in specs]
        for name in inputs:
            if name not in wanted:
                raise TensorError(
                    f"input {name!r}: the model has no such input, expected "
                    f"{', '.join(map(repr, wanted))}.{nearest(name, wanted)}"
                )
        for spec in specs:
            if spec.name not in inputs:
                raise TensorError(
                    f"input {spec.name!r}: missing from the samples, which hold "
                    f"{', '.join(map(repr, inputs))}."
                )
            check_sample_array(spec, inputs[spec.name])
        return Samples(inputs, self.labels)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` with an array for each input and ``y`` for the labels."""
        arrays = dict(self.inputs)
        if self.labels is not None:
            arrays[LABELS] = self.labels
        save_npz(path, arrays)


def check_sample_array(spec: TensorSpec, x: NDArray[Any]) -> None:
    """Raise TensorError unless each sample of `x` fits `spec` without its batch axis."""
    wanted = spec.shape[1:]
    got = x.shape[1:]
    if len(got) != len(wanted) or any(n not in (None, m) for n, m in zip(wanted, got, strict=True)):
        hint = ""
        if (*got, 1) == tuple(wanted):
            hint = " A channel axis is missing at the end: x[..., None]."
        elif sorted(map(str, got)) == sorted(map(str, wanted)):
            hint = " The axes look transposed: edgekit's images are NHWC."
        raise TensorError(
            f"input {spec.name!r}: received samples of shape {list(got)}, expected "
            f"{list(wanted)}.{hint}"
        )
    if (x.dtype.kind in "SU") != (spec.dtype in ("string", "bytes")):
        raise TensorError(f"input {spec.name!r}: received dtype {x.dtype}, expected {spec.dtype}.")
    if spec.quantization is None and spec.dtype[:3] in ("int", "uin") and x.dtype.kind == "f":
        raise TensorError(
            f"input {spec.name!r}: received dtype {x.dtype}, expected whole numbers ({spec.dtype})."
        )


def load_samples(path: str | os.PathLike[str]) -> Samples:
    """Read samples from a file, by its ending.

    ``.npz``: one array per input name (``x`` will do for a single input) and optional ``y``.
    ``.npy``: the only input. ``.csv``: a header line, numbers, and optionally a column ``y``.
    IDX images (``*images*ubyte`` or ``.gz``): labels are taken from the file beside it
    that has ``labels`` and ``idx1`` where this one has ``images`` and ``idx3``; grey images
    become (samples, height, width, 1).

    Raises:
        UsageError: nothing is there.
        SamplesError: the file is not what its ending says, is empty, holds pickled objects
            or values that are not finite.
    """
    path = existing(path, "samples")
    suffix = path.suffix.lower()
    try:
        if suffix == ".npz":
            arrays = _read_npz(path)
            labels = arrays.pop(LABELS, None)
            return Samples(arrays, labels)
        if suffix == ".npy":
            array = np.load(path, allow_pickle=False, mmap_mode="r")
            if not isinstance(array, np.ndarray):
                raise SamplesError("is no .npy array.")
            return Samples({ANY_INPUT: array})
        if suffix == ".csv":
            return _read_csv(path)
        if "ubyte" in path.name or "idx" in path.name:
            return _read_idx_pair(path)
    except SamplesError as error:
        raise SamplesError(f"{path}: {error}") from error
    except _UNREADABLE as error:
        raise SamplesError(f"{path}: cannot be read as samples ({error}).") from error
    raise SamplesError(
        f"{path}: received the ending {suffix!r}, expected .npz, .npy, .csv or an IDX file "
        "(*-ubyte or *-ubyte.gz)."
    )


def save_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed ``.npz`` whole or not at all; the same arrays give the same bytes.

    Any name will do: numpy's own `savez_compressed` takes some of them for its arguments.

    Raises:
        SamplesError: an array holds Python objects.
    """
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, x in arrays.items():
            if x.dtype.hasobject:
                raise SamplesError(f"array {name!r}: holds Python objects, expected plain values.")
            # A ZipInfo of one's own carries no time of writing.
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(x), allow_pickle=False)


def _require_finite(name: str, x: NDArray[Any]) -> None:
    # A sum is finite only if all are, and needs no array of booleans.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(x, dtype=np.float64)):
            return
    bad = ~np.isfinite(x)
    if bad.any():
        where = tuple(int(axis[0]) for axis in np.nonzero(bad))
        raise SamplesError(
            f"array {name!r}: received {x[where]} at {where} ({bad.sum()} values are not finite), "
            "expected finite numbers. Remove or repair those samples."
        )


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    archive = np.load(path, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise SamplesError("is no .npz archive.")
    with archive:
        arrays = {}
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError as error:
                if "pickle" in str(error).lower():
                    raise SamplesError(
                        f"array {name!r} holds pickled objects, which can run code and are refused. "
                        "Save plain numeric arrays."
                    ) from error
                raise
    return arrays


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_csv(path: Path) -> Samples:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.reader(stream)
        header = next(rows, [])
        if header and all(_is_number(field) for field in header):
            raise SamplesError(
                "its first line holds numbers, expected a header with the columns' names ('y' for labels)."
            )
        table = []
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise SamplesError(
                    f"line {number}: received {len(row)} fields, expected {len(header)}."
                )
            try:
                table.append([float(field) for field in row])
            except ValueError as error:
                raise SamplesError(f"line {number}: {error}.") from error
    if not table:
        raise SamplesError("holds no rows below its header.")
    values = np.array(table)
    names = [name.strip() for name in header]
    labels = None
    if LABELS in names:
        column = names.index(LABELS)
        labels = values[:, column]
        if np.array_equal(labels, np.round(labels)):
            labels = labels.astype(np.int64)
        values = np.delete(values, column, axis=1)
    return Samples({ANY_INPUT: values.astype(np.float32)}, labels)


def _read_idx(path: Path) -> NDArray[Any]:
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES:
        raise SamplesError(
            f"{path.name}: no IDX file (its first four bytes are {raw[:4].hex(' ')})."
        )
    ndim = raw[3]
    dtype = np.dtype(_IDX_TYPES[raw[2]])
    header = 4 + 4 * ndim
    if len(raw) < header:
        raise SamplesError(f"{path.name}: ends within its header.")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", ndim, 4))
    # Python's integers: a product of four sizes read from a file must not wrap around.
    expected = header + dtype.itemsize * int(np.prod([*map(int, shape), 1], dtype=object))
    if len(raw) != expected:
        raise SamplesError(
            f"{path.name}: received {len(raw)} bytes, expected {expected} for shape {list(shape)}."
        )
    return np.frombuffer(raw, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="))


def _read_idx_pair(path: Path) -> Samples:
    images = _read_idx(path)
    if images.ndim == 3:
        images = images[..., None]
    twin = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    labels = None
    if twin != path and twin.exists():
        labels = _read_idx(twin).astype(np.int64)
    return Samples({ANY_INPUT: images}, labels)
