"""Own inputs: what a command reads it never replaces, not even with --overwrite."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.cli.values import STDOUT
from edgekit.errors import UsageError
from edgekit.files import is_stream

# The options that name what is written.
_OUTPUTS = ("out", "json", "junit", "node_data")


def refuse_own_inputs(args: argparse.Namespace) -> None:
    """Ask this before the work.

    Whatever a command was given that names a file counts as read, and of a SavedModel's folder all files.

    Raises:
        UsageError: a file to write is one of them, or two files to write are one.
    """
    outputs = [
        (f"--{name.replace('_', '-')}", Path(value))
        for name in _OUTPUTS
        if isinstance(value := getattr(args, name, None), str) and value != STDOUT
    ]
    for number, (option, path) in enumerate(outputs):
        for other, second in outputs[:number]:
            if _absolute(path) == _absolute(second) and not is_stream(path):
                raise UsageError(f"{option} {path}: {other} writes to it too, expected two files.")
    inputs = [
        path for name, value in vars(args).items() if name not in _OUTPUTS for path in _files(value)
    ]
    for option, path in outputs:
        if not path.is_file():
            continue
        for given in inputs:
            inside = _is_saved_model(given) and _absolute(given) in _absolute(path).parents
            if inside or _are_same(given, path):
                raise UsageError(
                    f"{option} {path}: is what the command reads ({given}), and would be replaced. Choose "
                    "another output."
                )


def _files(value: Any) -> Iterator[Path]:
    """What of an argument may be a path that exists."""
    if isinstance(value, (str, os.PathLike)):
        # Texts of options are no paths, and some cannot be any.
        try:
            if value and os.path.exists(value):  # noqa: PTH110
                yield Path(value)
        except ValueError:
            return
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _files(each)


def _absolute(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_saved_model(path: Path) -> bool:
    return (path / "saved_model.pb").is_file()


def _are_same(one: Path, other: Path) -> bool:
    """Whether both are the same file, by whatever name; hard links are two, each of which is replaced alone."""
    return _absolute(one) == _absolute(other)
