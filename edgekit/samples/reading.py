"""Read samples from a file or a folder, whatever it is."""

from __future__ import annotations

import csv
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

from edgekit.errors import SamplesError, UsageError
from edgekit.files import existing
from edgekit.samples.arrays import read_npy, read_npz
from edgekit.samples.idx import read_idx_pair
from edgekit.samples.labels import understood
from edgekit.samples.samples import CLASS_NAMES, LABELS, Samples
from edgekit.samples.table import read_csv
from edgekit.tensor import ANY_INPUT

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


def load_samples(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    label_pattern: str | None = None,
    part: str = "test",
) -> Samples:
    """Read samples from a file, by its ending, or from a folder.

    ``.npz``: one array per input name (``x`` will do for a single input), optional labels ``y`` and
    their ``class_names``. ``.npy``: the only input. ``.csv``: a header line, numbers, and a column of
    labels, which may be texts. IDX images (``*images*ubyte`` or ``.gz``): labels are taken from the
    file beside it that has ``labels`` and ``idx1`` where this one has ``images`` and ``idx3``; grey
    images become (samples, height, width, 1). ``.ts``: the UEA and UCR archives' series, as (samples,
    time, channels). A folder of class folders with PNG or JPEG images or WAV files, or of such files
    alone; also one such file. Images are uint8 (samples, height, width, 1 or 3); audio is float32 in
    [-1, 1), (samples, time), filled up with zeros to the longest. Their files are read when their
    values are asked for, so a folder may be larger than the memory. ``.toml``: a part of the data that
    a recipe's ``[data]`` table names, divided as for a training.

    Labels that are texts, one-hot rows or names of folders become class numbers; names are sorted.

    Args:
        path: the file or folder.
        target: the column of a ``.csv`` file that holds the labels; ``y`` if None.
        label_pattern: a regular expression for the names of a folder's files, whose first group is
            the class: ``r"^(\\d)_"`` for ``7_george_12.wav``.
        part: of a recipe's data: ``"test"``, ``"train"``, ``"validation"`` or ``"calibration"``, which
            is the training samples where the recipe keeps none. Other files have no parts.

    Raises:
        UsageError: nothing is there, `target` or `label_pattern` do not go with it, or a recipe without
            that part.
        SamplesError: the file is not what its ending says, is empty, holds pickled objects
            or values that are not finite.
        MissingDependencyError: images without Pillow.
    """
    path = existing(path, "samples")
    suffix = path.suffix.lower()
    _check_options(path, suffix, target, label_pattern)
    if suffix == ".toml":
        from edgekit.samples.splits import load_part

        return load_part(path, part)
    try:
        if path.is_dir() or suffix in (".png", ".jpg", ".jpeg", ".wav"):
            from edgekit.samples.folder import read_folder

            return read_folder(path, label_pattern)
        if suffix == ".ts":
            from edgekit.samples.series import read_ts

            return read_ts(path)
        if suffix == ".npz":
            return _from_npz(read_npz(path))
        if suffix == ".npy":
            return Samples({ANY_INPUT: read_npy(path)})
        if suffix == ".csv":
            return _labelled(*read_csv(path, target, LABELS))
        if "ubyte" in path.name or "idx" in path.name:
            return _labelled(*read_idx_pair(path))
    except SamplesError as error:
        raise SamplesError(f"{path}: {error}") from error
    except _UNREADABLE as error:
        raise SamplesError(f"{path}: cannot be read as samples ({error}).") from error
    raise SamplesError(
        f"{path}: received the ending {suffix!r}, expected .npz, .npy, .csv, .ts, .png, .jpg, .wav, an "
        "IDX file (*-ubyte or *-ubyte.gz), a folder or a recipe (.toml)."
    )


def _check_options(path: Path, suffix: str, target: str | None, label_pattern: str | None) -> None:
    if target is not None and suffix != ".csv":
        raise UsageError(f"target: received {target!r} for {path}, expected a .csv file with it.")
    if label_pattern is not None and not path.is_dir():
        raise UsageError(
            f"label_pattern: received {label_pattern!r} for {path}, expected a folder with it."
        )


def _from_npz(arrays: dict[str, Any]) -> Samples:
    labels = arrays.pop(LABELS, None)
    names = arrays.get(CLASS_NAMES)
    if labels is None or names is None or names.dtype.kind != "U" or names.ndim != 1:
        return _labelled(arrays, labels)
    del arrays[CLASS_NAMES]
    return Samples(arrays, understood(labels)[0], tuple(names.tolist()))


def _labelled(x: Any, labels: Any) -> Samples:
    inputs = x if isinstance(x, dict) else {ANY_INPUT: x}
    if labels is None or not labels.ndim:
        return Samples(inputs, labels)
    return Samples(inputs, *understood(labels))
