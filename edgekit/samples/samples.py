"""Samples: named inputs and labels."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError, TensorError, UsageError, check_type, nearest
from edgekit.samples.arrays import save_npz
from edgekit.samples.lazy import LazyArray, pick
from edgekit.samples.texts import texts_of
from edgekit.tensor import ANY_INPUT, TensorSpec, names_by_model

LABELS = "y"
# In files, what the labels of a single output are called: ``y/<output>``.
LABELS_OF = f"{LABELS}/"
CLASS_NAMES = "class_names"


@dataclass(frozen=True)
class Samples:
    """Inputs by name, each of shape (samples, ...), and labels of shape (samples,) or (samples, ...).

    An input called ``"x"`` stands for the only input of a model, whatever that is called.

    Attributes:
        inputs: arrays of numpy's, or lazy ones (`LazyArray`), whose values are read when they are
            asked for: go through `batches`, whose arrays are numpy's.
        labels: class numbers, quantities, or None. They are always in memory or mapped from a file.
        class_names: of the classes that the labels number; empty if unknown.
        output_labels: labels of their own of single outputs, by the output's name; as `labels`.

    Raises:
        SamplesError: no input, no sample, unequal counts, names without class labels or too few of
            them, or values that are not finite numbers; those of lazy arrays are looked at when
            they are read.
    """

    inputs: Mapping[str, Any]
    labels: NDArray[Any] | None = None
    class_names: tuple[str, ...] = ()
    output_labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_type("inputs", self.inputs, Mapping, "arrays by input name: {'x': array}")
        check_type("class_names", self.class_names, (tuple, list), "a list of names")
        object.__setattr__(self, "class_names", tuple(self.class_names))
        for name, x in [*self.inputs.items(), *self._all_labels.items()]:
            if not hasattr(x, "dtype"):
                raise SamplesError(
                    f"array {name!r}: received {type(x).__name__}, expected an array: numpy.asarray(...)."
                )
        object.__setattr__(self, "inputs", {n: texts_of(n, x) for n, x in self.inputs.items()})
        if not self.inputs:
            raise SamplesError(
                f"no inputs: expected an array for each, or one called {ANY_INPUT!r}."
            )
        counts = {name: len(x) if np.ndim(x) else 0 for name, x in self.inputs.items()}
        for name, x in self._all_labels.items():
            counts[name] = len(x) if np.ndim(x) else 0
        if len(set(counts.values())) != 1:
            raise SamplesError(f"received samples {counts}, expected as many in each array.")
        if not max(counts.values()):
            raise SamplesError("the data set is empty: expected at least one sample.")
        for name, x in [*self.inputs.items(), *self._all_labels.items()]:
            kinds = "biuf" if name in self._all_labels else "biufSU"
            if x.dtype.kind not in kinds:
                texts = "" if name in self._all_labels else ", or texts"
                raise SamplesError(
                    f"array {name!r}: received dtype {x.dtype}, expected numbers or booleans{texts}."
                )
            if x.dtype.kind == "f" and not isinstance(x, LazyArray):
                _require_finite(name, x)
        if self.class_names:
            if self.class_labels is None:
                raise SamplesError(
                    f"received the class names {', '.join(self.class_names)[:80]}, expected class "
                    "labels with them: whole numbers, one a sample."
                )
            self.check_labels(len(self.class_names))

    @classmethod
    def from_dataset(cls, dataset: Any, *, batched: bool = True) -> Samples:
        """All samples of a `tf.data.Dataset`, read once and kept in a temporary file.

        The file has no name: it is gone when the arrays are, however the process ends. It lies
        where `tempfile` puts files (``TMPDIR``) and is mapped into memory, so that the system reads
        what is looked at.

        Args:
            dataset: finite; its elements are inputs, or (inputs, labels). Inputs are one tensor, or a
                dictionary of them by name.
            batched: elements are batches of samples, as Keras' `fit` takes them; False for single
                samples.

        Returns:
            Labels in the forms that `load_samples` understands become class numbers; names come from
            text labels, or from the `class_names` that Keras' own loaders give a dataset.

        Raises:
            SamplesError: endless, empty, of another structure, samples that differ in shape, or no
                room for the file.
        """
        from edgekit.samples.dataset import read_dataset

        return cls(*read_dataset(dataset, batched))

    @property
    def _all_labels(self) -> dict[str, NDArray[Any]]:
        """By the names that files have for them."""
        found = {LABELS_OF + name: x for name, x in self.output_labels.items()}
        return found if self.labels is None else {LABELS: self.labels, **found}

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def __getitem__(self, index: Any) -> Samples:
        """The samples that a slice, or an array of indices or booleans, picks."""
        labels = None if self.labels is None else self.labels[index]
        inputs = {name: pick(x, index) for name, x in self.inputs.items()}
        others = {name: x[index] for name, x in self.output_labels.items()}
        return replace(self, inputs=inputs, labels=labels, output_labels=others)

    def batches(self, size: int) -> Iterator[Samples]:
        """The samples in order, `size` at a time, read; the last batch holds the rest."""
        for start in range(0, len(self), size):
            yield self[start : start + size].read()

    def read(self) -> Samples:
        """These samples with all their values in arrays of numpy's.

        Raises:
            SamplesError: values that cannot be read, differ in shape or are not finite.
        """
        if not any(isinstance(x, LazyArray) for x in self.inputs.values()):
            return self
        return replace(self, inputs={name: np.asarray(x) for name, x in self.inputs.items()})

    def held(self, limit_bytes: int) -> Samples:
        """These samples, read if their inputs take up to `limit_bytes`; else as they are."""
        sizes = [
            x.dtype.itemsize * int(np.prod(x.shape))
            for x in self.inputs.values()
            if None not in x.shape
        ]
        small = len(sizes) == len(self.inputs) and sum(sizes) <= limit_bytes
        return self.read() if small else self

    def subset(self, count: int, seed: int = 0) -> Samples:
        """`count` samples drawn without replacement, in their own order; all if there are fewer."""
        picked = drawn(len(self), count, seed)
        return self[picked] if len(picked) < len(self) else self

    def split(self, fractions: Sequence[float], seed: int = 0) -> list[Samples]:
        """Disjoint parts, one for each of `fractions`, which add up to 1.

        Integer labels of one dimension are spread over the parts in equal shares
        (stratified); other data is shuffled as a whole.
        """
        check_type("fractions", fractions, (list, tuple), "a list of shares: [0.8, 0.2]")
        for fraction in fractions:
            check_type("fractions", fraction, Real, "a list of shares: [0.8, 0.2]")
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

        Those under the names that the model itself has, which files cannot all use (``"my-input"``), are
        taken too.

        Raises:
            TensorError: an input is missing or unknown, or its samples have another shape or kind.
        """
        inputs = dict(self.inputs)
        if len(specs) == 1 and set(inputs) == {ANY_INPUT}:
            inputs = {specs[0].name: inputs[ANY_INPUT]}
        wanted = [spec.name for spec in specs]
        known = names_by_model(inputs, wanted)
        inputs = {known.get(name, name): x for name, x in inputs.items()}
        for name in inputs:
            if name not in wanted:
                raise TensorError(
                    f"input {name!r}: the model has no such input, expected "
                    f"{', '.join(map(repr, wanted)) or 'none: it takes no inputs'}."
                    f"{nearest(name, wanted)}"
                )
        for spec in specs:
            if spec.name not in inputs:
                raise TensorError(
                    f"input {spec.name!r}: missing from the samples, which hold "
                    f"{', '.join(map(repr, inputs))}."
                )
            check_sample_array(spec, inputs[spec.name])
        return replace(self, inputs=inputs)

    def for_classes(self, names: Sequence[str]) -> Samples:
        """These samples with labels that number the classes as `names` do.

        Classes are matched by name. Labels without names stay as they are, whatever `names` holds.

        Raises:
            SamplesError: a class that is not among `names`.
        """
        if not self.class_names or not names or self.class_names == tuple(names):
            return self
        for name in self.class_names:
            if name not in names:
                raise SamplesError(
                    f"class {name!r}: the model has no such class, expected one of "
                    f"{', '.join(names)[:400]}.{nearest(name, names)}"
                )
        numbers = np.array([list(names).index(name) for name in self.class_names])
        return replace(self, labels=numbers[self.labels], class_names=tuple(names))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz``: an array an input, ``y`` for labels, ``y/<output>`` for those of a single output,
        ``class_names`` for their names."""
        arrays = {**self.inputs, **self._all_labels}
        if self.class_names:
            arrays[CLASS_NAMES] = np.array(self.class_names)
        save_npz(path, arrays)


def drawn(samples: int, count: int, seed: int) -> NDArray[np.int64]:
    """The places of `count` of so many samples, drawn without replacement, in order; all if there are fewer.

    Raises:
        UsageError: `count` is no number, or less than one.
    """
    check_type("count", count, Integral, "a number of samples")
    if count < 1:
        raise UsageError(f"count: received {count}, expected at least 1.")
    if count >= samples:
        return np.arange(samples)
    picked = np.random.default_rng(seed).choice(samples, count, replace=False)
    return np.sort(picked).astype(np.int64)


def check_sample_array(spec: TensorSpec, x: Any) -> None:
    """Raise TensorError unless each sample of `x` fits `spec` without its batch axis.

    Raises:
        SamplesError: the samples differ in shape.
    """
    wanted = spec.shape[1:]
    got = x.shape[1:]
    if None in got:
        raise SamplesError(f"input {spec.name!r}: samples differ in shape. {x.why_open}")
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
    if any(n is None and m == 0 for n, m in zip(wanted, got, strict=True)):
        raise TensorError(
            f"input {spec.name!r}: received samples of shape {list(got)}, which hold no values, expected "
            f"{list(wanted)}, each axis of size 1 at least."
        )
    if (x.dtype.kind in "SU") != (spec.dtype in ("string", "bytes")):
        raise TensorError(f"input {spec.name!r}: received dtype {x.dtype}, expected {spec.dtype}.")
    if spec.quantization is None and spec.dtype[:3] in ("int", "uin") and x.dtype.kind == "f":
        raise TensorError(
            f"input {spec.name!r}: received dtype {x.dtype}, expected whole numbers ({spec.dtype})."
        )


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
