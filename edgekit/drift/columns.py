"""Columns: what is known of each sample beside its label, by which samples are told apart in slices."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError, UsageError, check_type, nearest, placed
from edgekit.files import existing
from edgekit.samples.arrays import UNREADABLE, read_npz
from edgekit.samples.limits import require_file

# The group of a class says so; no column can be called like it, or like a part of the place of a limit.
CLASS = "class"
_RESERVED, _STEERING = (CLASS, "output"), set("=[],")
# More slices than this are a quantity that wants ranges, or a name for each sample.
_MOST_VALUES = 100

Columns = Mapping[str, NDArray[Any]]


def as_columns(given: Mapping[str, Any] | str | os.PathLike[str], samples: int) -> Columns:
    """Columns from a CSV file with a line of names, an ``.npz``, or arrays by name; one row a sample.

    Returns:
        Text by column, each of shape (samples,).

    Raises:
        UsageError: nothing is at the path, or it is neither.
        SamplesError: the file cannot be read, or has another number of rows than there are samples.
    """
    if isinstance(given, (str, os.PathLike)):
        given = _read(existing(given, "file of columns"))
    check_type("columns", given, Mapping, "the path of a CSV or .npz file, or lists by column")
    columns = {str(name): np.asarray(values) for name, values in given.items()}
    check_columns(columns, samples)
    return {name: values.astype(np.str_) for name, values in columns.items()}


def check_columns(columns: Columns, samples: int) -> None:
    """Refuse columns that do not fit the samples.

    Raises:
        SamplesError: another number of rows, or a name that limits cannot write.
    """
    for name, values in columns.items():
        if not name or name in _RESERVED or _STEERING & set(name):
            raise SamplesError(
                f"column {name!r}: expected another name: not {' or '.join(map(repr, _RESERVED))}, and "
                "without '=', ',' and brackets."
            )
        if values.ndim != 1 or len(values) != samples or values.dtype.kind not in "biufU":
            raise SamplesError(
                f"column {name!r}: received dtype {values.dtype} and shape {list(values.shape)}, "
                f"expected texts or numbers, one for each of the {samples} samples."
            )


def slices(columns: Columns, names: Iterable[str]) -> dict[str, NDArray[np.bool_]]:
    """Which samples belong to each value of some columns.

    Args:
        columns: those of the golden.
        names: of the columns to look at; each once.

    Returns:
        By group, ``"column=value"``, in the order of the values: booleans of shape (samples,).

    Raises:
        UsageError: there is no such column, or it has more than 100 values.
    """
    found = {}
    for name in dict.fromkeys(names):
        if name not in columns:
            known = ", ".join(map(repr, columns)) or "none: give them to 'edgekit golden --columns'"
            raise UsageError(
                f"slice: received the column {name!r}, the samples have {known}."
                f"{nearest(name, columns)}"
            )
        values = np.unique(columns[name])
        if len(values) > _MOST_VALUES:
            raise UsageError(
                f"slice: the column {name!r} has {len(values)} values, expected at most "
                f"{_MOST_VALUES}. Put ranges in its place, such as '0-10'."
            )
        found.update({f"{name}={value}": columns[name] == value for value in values})
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        require_file(path)
        if path.suffix.lower() == ".npz":
            return read_npz(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _table(path, list(csv.reader(file)))
    except SamplesError as error:
        raise SamplesError(placed(path, error)) from error
    except (*UNREADABLE, csv.Error) as error:
        raise SamplesError(
            f"{path}: cannot be read as a CSV or .npz file ({type(error).__name__}: {error})."
        ) from error


def _table(path: Path, rows: list[list[str]]) -> dict[str, list[str]]:
    rows = [row for row in rows if row]
    if not rows:
        raise SamplesError(f"{path}: is empty, expected a line of names and one for each sample.")
    names, *lines = rows
    if len(set(names)) < len(names):
        raise SamplesError(f"{path}: has the names {', '.join(names)}, expected each once.")
    for number, line in enumerate(lines, start=2):
        if len(line) != len(names):
            raise SamplesError(
                f"{path}: row {number} has {len(line)} cells, expected {len(names)}, as the first."
            )
    return {name: [line[k] for line in lines] for k, name in enumerate(names)}
