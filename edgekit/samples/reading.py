"""Read samples from a file or a folder of data, whatever it is."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgekit.errors import SamplesError, UsageError, placed, wrong_ending
from edgekit.files import existing
from edgekit.samples.arrays import UNREADABLE as ARRAYS_UNREADABLE
from edgekit.samples.arrays import read_npy, read_npz
from edgekit.samples.idx import read_idx_pair
from edgekit.samples.labels import understood
from edgekit.samples.limits import require_file
from edgekit.samples.samples import CLASS_NAMES, LABELS, LABELS_OF, Samples
from edgekit.samples.table import read_csv
from edgekit.tensor import ANY_INPUT

# What damaged files raise; the reader of tables beside those of arrays.
UNREADABLE = (*ARRAYS_UNREADABLE, csv.Error)


_ENDINGS = (".npz", ".npy", ".csv", ".ts", ".png", ".jpg", ".wav")
_MORE = ", an IDX file (*-ubyte or *-ubyte.gz), a folder or a recipe (.toml)"


def read_samples(
    path: str | os.PathLike[str], *, target: str | None = None, label_pattern: str | None = None
) -> Samples:
    """Samples of one file or folder of data; see `load_samples`, which takes recipes too.

    Raises:
        UsageError: nothing is there, its ending is not one of samples, or `target` or `label_pattern` do not
            go with it.
        SamplesError: the file is not what its ending says, is empty, holds pickled objects
            or values that are not finite.
        MissingDependencyError: images without Pillow.
    """
    path = existing(path, "samples")
    suffix = path.suffix.lower()
    _check_options(path, suffix, target, label_pattern)
    try:
        require_file(path)
        if path.is_dir() or suffix in (".png", ".jpg", ".jpeg", ".wav"):
            from edgekit.samples.folder import read_folder

            return read_folder(path, label_pattern)
        if suffix == ".ts":
            from edgekit.samples.series import read_ts

            return read_ts(path)
        if suffix == ".npz":
            return from_arrays(read_npz(path))
        if suffix == ".npy":
            return Samples({ANY_INPUT: read_npy(path)})
        if suffix == ".csv":
            return _labelled(*read_csv(path, target, LABELS))
        if "ubyte" in path.name or "idx" in path.name:
            return _labelled(*read_idx_pair(path))
    except SamplesError as error:
        raise SamplesError(placed(path, error)) from error
    except UNREADABLE as error:
        raise SamplesError(f"{path}: cannot be read as samples ({error}).") from error
    raise wrong_ending(path, suffix, _ENDINGS, _MORE)


def _check_options(path: Path, suffix: str, target: str | None, label_pattern: str | None) -> None:
    if target is not None and suffix != ".csv":
        raise UsageError(f"target: received {target!r} for {path}, expected a .csv file with it.")
    if label_pattern is not None and not path.is_dir():
        raise UsageError(
            f"label_pattern: received {label_pattern!r} for {path}, expected a folder with it."
        )


def from_arrays(arrays: Mapping[str, Any]) -> Samples:
    """Samples of arrays by input name, with labels in any usual form as ``y`` and their ``class_names``, and
    labels of single outputs as ``y/<output>``.

    Raises:
        SamplesError: as `Samples`.
    """
    inputs = {name: x for name, x in arrays.items() if not name.startswith(LABELS_OF)}
    return replace(_from_inputs(inputs), output_labels=_own_labels(arrays))


def labels_of(path: Path) -> tuple[NDArray[Any] | None, dict[str, NDArray[Any]]]:
    """The labels that an ``.npz`` holds, and those of single outputs; as `from_arrays` takes them.

    Raises:
        SamplesError: it holds none.
    """
    arrays = read_npz(path)
    own = _own_labels(arrays)
    if LABELS not in arrays and not own:
        raise SamplesError(
            f"holds {', '.join(map(repr, arrays)) or 'nothing'}, expected labels 'y', or 'y/<output>'."
        )
    labels = arrays.get(LABELS)
    return (None if labels is None else understood(labels)[0]), own


def _own_labels(arrays: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(LABELS_OF): understood(x)[0] if x.ndim else x
        for name, x in arrays.items()
        if name.startswith(LABELS_OF)
    }


def _from_inputs(inputs: dict[str, Any]) -> Samples:
    labels = inputs.pop(LABELS, None)
    names = inputs.get(CLASS_NAMES)
    if labels is None or names is None or names.dtype.kind != "U" or names.ndim != 1:
        return _labelled(inputs, labels)
    del inputs[CLASS_NAMES]
    return Samples(inputs, understood(labels)[0], tuple(names.tolist()))


def _labelled(x: Any, labels: Any) -> Samples:
    inputs = x if isinstance(x, dict) else {ANY_INPUT: x}
    if labels is None or not labels.ndim:
        return Samples(inputs, labels)
    return Samples(inputs, *understood(labels))
