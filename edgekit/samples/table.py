"""Comma-separated values: a header line, a sample a line."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError, nearest

# Of the columns' names in a message.
_SHOWN = 40


def read_csv(
    path: Path, target: str | None, default: str
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The columns of numbers as (samples, columns), float32, and the column `target` as labels.

    Labels are whole numbers (int64) if all are whole, other numbers (float64) if all are numbers,
    else texts.

    Args:
        path: the file, in UTF-8.
        target: the labels' column; if None, the one called `default` where there is one.

    Raises:
        SamplesError: no header, no rows, unequal lines, a field that is no number, or no such column.
        Exception: what csv raises on what is no text.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.reader(stream)
        header = [name.strip() for name in next(rows, [])]
        if header and all(_is_number(field) for field in header):
            raise SamplesError(
                "its first line holds numbers, expected a header with the columns' names "
                f"({default!r} for labels)."
            )
        # Not by looking for each among all: tables of genes have 40,000 columns.
        twice = sorted(name for name, count in Counter(header).items() if count > 1)
        if twice:
            raise SamplesError(
                f"received the column {twice[0]!r} twice, expected names of their own."
            )
        if target is not None and header and target not in header:
            raise SamplesError(
                f"target: has no column {target!r}, expected one of {', '.join(header[:_SHOWN])}"
                f"{f' and {len(header) - _SHOWN} more' if len(header) > _SHOWN else ''}."
                f"{nearest(target, header)}"
            )
        wanted = default if target is None else target
        column = header.index(wanted) if wanted in header else None
        hint = f" If it is the label, name its column as target, or call it {default!r}."
        values, words = [], []
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise SamplesError(
                    f"line {number}: received {len(row)} fields, expected {len(header)}."
                )
            if column is not None:
                words.append(row.pop(column).strip())
                if not words[-1]:
                    raise SamplesError(f"line {number}: has no {wanted!r}, expected a label.")
            try:
                values.append(np.array(row, np.float64))
            except ValueError as error:
                names = [name for at, name in enumerate(header) if at != column]
                raise SamplesError(
                    f"line {number}: {_no_number(names, row)}.{hint if column is None else ''}"
                ) from error
    if not values:
        raise SamplesError("holds no rows below its header.")
    if not len(values[0]):
        raise SamplesError(f"holds no column beside {wanted!r}, expected numbers to learn from.")
    return np.array(values, np.float32), None if column is None else _labels(words)


def _labels(words: list[str]) -> NDArray[Any]:
    if not all(map(_is_number, words)):
        return np.array(words)
    numbers = np.array(words, np.float64)
    whole = np.array_equal(numbers, np.round(numbers))
    return numbers.astype(np.int64) if whole else numbers


def _no_number(names: list[str], row: list[str]) -> str:
    name, field = next(
        pair for pair in zip(names, row, strict=True) if not _is_number(pair[1].strip())
    )
    return f"column {name!r}: received {field.strip()!r}, expected a number"


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
