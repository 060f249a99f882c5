"""The UEA and UCR archives' ``.ts`` files: series of one or several channels, a sample a line.

A header of lines that begin with ``@``, then ``@data`` and lines of channels separated by colons, each
of values separated by commas, the class label last. From the description in "The UEA multivariate
time series classification archive, 2018" (Bagnall et al.) and on timeseriesclassification.com.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError
from edgekit.samples.samples import Samples
from edgekit.tensor import ANY_INPUT

_FLAGS = ("timestamps", "missing", "univariate", "equallength", "targetlabel")
_NUMBERS = ("dimensions", "dimension", "serieslength")
# What is passed over: it says nothing about how the lines are to be read.
_WORDS = ("problemname",)
# A plain decimal number; float() would also take nan, inf, 1_000 and digits of other scripts.
_VALUE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass
class _Header:
    flags: dict[str, bool] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()


def read_ts(path: Path) -> Samples:
    """Series as float32 (samples, time, channels) and the classes' numbers, named as in the header.

    Classes are numbered in the header's order. The file need not be trusted.

    Raises:
        SamplesError: time stamps, missing values, unequal lengths, or lines that are not as the header
            says; names the line.
        UnicodeDecodeError: no text in UTF-8.
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8") as stream:
        lines = ((i, line.strip()) for i, line in enumerate(stream, start=1))
        content = ((i, line) for i, line in lines if line and not line.startswith("#"))
        header = _read_header(content)
        series: list[NDArray[np.float32]] = []
        labels = []
        for number, line in content:
            try:
                values, label = _read_line(line, header)
            except SamplesError as error:
                raise SamplesError(f"line {number}: {error}") from error
            if series and values.shape != series[0].shape:
                raise SamplesError(
                    f"line {number}: received {_size(values)}, expected {_size(series[0])} as in the "
                    "first sample."
                )
            series.append(values)
            labels.append(label)
    if not series:
        raise SamplesError("holds no samples below '@data'.")
    x = {ANY_INPUT: np.stack(series)}
    if not header.classes:
        targets = [float(label) for label in labels if label]
        return Samples(x, np.array(targets) if targets else None)
    numbers = {name: i for i, name in enumerate(header.classes)}
    return Samples(x, np.array([numbers[label] for label in labels]), header.classes)


def _read_header(content: Iterator[tuple[int, str]]) -> _Header:
    header = _Header()
    for number, line in content:
        key, *words = line.split()
        key = key.lower()
        if key == "@data" and not words:
            _check_header(header)
            return header
        try:
            _read_key(header, key.removeprefix("@") if key.startswith("@") else "", words, line)
        except SamplesError as error:
            raise SamplesError(f"line {number}: {error}") from error
    raise SamplesError("has no line '@data', expected one between header and samples.")


def _read_key(header: _Header, key: str, words: list[str], line: str) -> None:
    if key in _WORDS:
        return
    if key in _FLAGS and words and words[0].lower() in ("true", "false"):
        header.flags[key] = words[0].lower() == "true"
    elif key in _NUMBERS and len(words) == 1 and re.fullmatch("[0-9]{1,9}", words[0]):
        header.numbers[key] = int(words[0])
    elif key == "classlabel" and words and words[0].lower() in ("true", "false"):
        names = words[1:]
        if (words[0].lower() == "true") != bool(names) or len(set(names)) != len(names):
            raise SamplesError(
                "received '@classLabel' without names of classes, with one twice, or with names after "
                "'false'."
            )
        header.classes = tuple(names)
    else:
        raise SamplesError(
            f"received {line[:80]!r}, expected a known key of a header and its value, such as "
            "'@equalLength true'."
        )


def _check_header(header: _Header) -> None:
    for key, what in (("timestamps", "time stamps"), ("missing", "missing values")):
        if header.flags.get(key):
            raise SamplesError(
                f"holds {what}, which are not read. Resample the series without them."
            )
    if header.flags.get("equallength") is False:
        raise SamplesError(
            "holds series of unequal lengths, expected equal ones. Fill them up or cut them."
        )


def _read_line(line: str, header: _Header) -> tuple[NDArray[Any], str]:
    channels = line.split(":")
    label = ""
    if header.classes or header.flags.get("targetlabel"):
        label = channels.pop().strip()
        _check_label(label, header)
    if not channels:
        raise SamplesError("received a label alone, expected values before it.")
    columns = []
    for channel in channels:
        fields = [value.strip() for value in channel.split(",")]
        wrong = next((value for value in fields if not _VALUE.fullmatch(value)), None)
        if wrong is not None:
            raise SamplesError(f"received {wrong[:40]!r}, expected a number.")
        columns.append(np.array(fields, np.float64))
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise SamplesError(
            f"received channels of {min(lengths)} to {max(lengths)} values, expected equal ones."
        )
    values = np.stack(columns, axis=1)
    _check_size(values, header)
    if np.abs(values).max() > np.finfo(np.float32).max:
        raise SamplesError("received a number beyond what float32 holds.")
    return values.astype(np.float32), label


def _check_label(label: str, header: _Header) -> None:
    if header.classes:
        if label not in header.classes:
            raise SamplesError(
                f"received the class {label[:40]!r}, expected one of {', '.join(header.classes)[:200]}."
            )
    elif not _VALUE.fullmatch(label):
        raise SamplesError(f"received the target {label[:40]!r}, expected a number.")


def _check_size(values: NDArray[Any], header: _Header) -> None:
    time, channels = values.shape
    wanted = header.numbers.get("dimensions", header.numbers.get("dimension"))
    if header.flags.get("univariate"):
        wanted = 1
    length = header.numbers.get("serieslength")
    if wanted not in (None, channels) or length not in (None, time):
        raise SamplesError(
            f"received {_size(values)}, expected {wanted or channels} channels of {length or time} "
            "values as the header says."
        )


def _size(values: NDArray[Any]) -> str:
    return f"{values.shape[1]} channels of {values.shape[0]} values"
