"""Folders of images or WAV files: a class a folder, a class in each name, or no classes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError
from edgekit.recipe.data import check_pattern
from edgekit.samples.images import image_header, read_image
from edgekit.samples.labels import numbered
from edgekit.samples.lazy import FileArray
from edgekit.samples.limits import require_file
from edgekit.samples.samples import Samples
from edgekit.samples.wav import read_wav, wav_header
from edgekit.tensor import ANY_INPUT

IMAGES, AUDIO = (".png", ".jpg", ".jpeg"), (".wav",)
# What desktops leave behind in folders.
_LITTER = ("thumbs.db", "desktop.ini")


def read_folder(path: Path, label_pattern: str | None = None) -> Samples:
    """A sample a file, in the order of the files' names; values are read when they are requested.

    Args:
        path: a folder, or one file.
        label_pattern: a regular expression for the names of the folder's files, whose first group is
            the class. Without it, the folders in `path` are the classes; if there are none, the
            samples have no labels.

    Raises:
        UsageError: `label_pattern` is no regular expression or has no group.
        SamplesError: no files, a class without any, files that are neither images nor audio, both
            of them, that do not go together, or that cannot be read; names one.
    """
    check_pattern("label_pattern", label_pattern, groups=True)
    if path.is_file():
        return Samples({ANY_INPUT: _array(path.parent, [path.name])})
    try:
        entries = sorted(p for p in path.iterdir() if not _litter(p))
    except OSError as error:
        raise SamplesError(f"cannot be looked into ({error}).") from error
    folders = [p for p in entries if p.is_dir()]
    names = [p.name for p in entries if not p.is_dir() and p.suffix.lower() in (*IMAGES, *AUDIO)]
    if label_pattern is not None:
        words = [_class_of(name, label_pattern) for name in names]
    elif not folders:
        words = None
    else:
        if names:
            raise SamplesError(
                f"{names[0]}: lies beside the class folders, expected it in one of them."
            )
        found = [(folder.name, name) for folder in folders for name in _files_in(folder)]
        names = [f"{folder}/{name}" for folder, name in found]
        words = [folder for folder, _ in found]
    if not names:
        raise SamplesError(
            "holds no images (.png, .jpg) and no WAV files, nor folders of them."
            if label_pattern is None
            else "holds no images (.png, .jpg) and no WAV files to look for classes in."
        )
    for name in names:
        try:
            require_file(path / name)
        except SamplesError as error:
            raise SamplesError(f"{name}: {error}") from error
    files = _array(path, names)
    return Samples({ANY_INPUT: files}, *(numbered(words) if words is not None else (None, ())))


def _litter(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _LITTER


def _files_in(folder: Path) -> list[str]:
    """The names of the files in a class folder and below it, relative to it."""

    def refuse(error: OSError) -> None:
        raise SamplesError(f"{folder.name}: cannot be looked into ({error}).") from error

    # Path.rglob would pass over what it may not read.
    walked = os.walk(folder, onerror=refuse, followlinks=True)
    paths = sorted(
        p for where, _, names in walked for p in (Path(where, n) for n in names) if not _litter(p)
    )
    if not paths:
        raise SamplesError(f"{folder.name}: holds no files, expected some of each class.")
    for path in paths:
        if path.suffix.lower() not in (*IMAGES, *AUDIO):
            raise SamplesError(
                f"{folder.name}/{path.name}: is no .png, .jpg or .wav file. Convert it or move it away."
            )
    return [p.relative_to(folder).as_posix() for p in paths]


def _class_of(name: str, pattern: str) -> str:
    found = re.search(pattern, name)
    if found is None or not found.group(1):
        raise SamplesError(
            f"label_pattern: {pattern!r} finds no class in {name!r}, expected one in each file's name."
        )
    return found.group(1)


def _array(folder: Path, names: Sequence[str]) -> FileArray:
    audio = [name for name in names if name.lower().endswith(AUDIO)]
    if not audio:
        return _images(folder, names)
    if len(audio) != len(names):
        other = next(name for name in names if name not in set(audio))
        raise SamplesError(f"{audio[0]} is audio and {other} an image, expected one kind.")
    return _audio(folder, names)


def _images(folder: Path, names: Sequence[str]) -> FileArray:
    first, other, colour = image_header(folder / names[0]), None, False
    for name in names:
        header = image_header(folder / name)
        # One image with colours makes three channels of all of them.
        colour = colour or header.colour
        if other is None and header.size != first.size:
            other = (name, header)
    decode = partial(read_image, colour=colour)
    channels = 3 if colour else 1
    if other is None:
        return FileArray(folder, names, decode, (*first.size, channels), np.uint8)
    sizes = [
        f"{name} has {header.size[0]} x {header.size[1]} pixels"
        for name, header in ((names[0], first), other)
    ]
    why = (
        f"{sizes[0]} (height x width), {sizes[1]}. Make them one size, or add a step 'resize' or "
        "'center_crop' to the input's pre-processing ([[preprocessing.<input>]] in the recipe)."
    )
    return FileArray(folder, names, decode, (None, None, channels), np.uint8, why)


def _audio(folder: Path, names: Sequence[str]) -> FileArray:
    first, longest = wav_header(folder / names[0]), 0
    for name in names:
        header = wav_header(folder / name)
        longest = max(longest, header.frames)
        for what, value, wanted in (
            ("sample rate", header.rate, first.rate),
            ("number of channels", header.channels, first.channels),
        ):
            if value != wanted:
                raise SamplesError(
                    f"{name}: has another {what} ({value}) than {names[0]} ({wanted}), expected one "
                    "for all. Convert the files."
                )
    shape = (longest,) if first.channels == 1 else (longest, first.channels)
    return FileArray(folder, names, partial(_padded, length=longest), shape, np.float32)


def _padded(path: Path, length: int) -> NDArray[Any]:
    values = read_wav(path)
    if len(values) > length:
        raise SamplesError(f"{path}: has grown since the folder was read. Read it again.")
    return np.pad(values, [(0, length - len(values)), *[(0, 0)] * (values.ndim - 1)])
