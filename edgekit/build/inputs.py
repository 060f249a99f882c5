"""Inputs: the content of what a step reads, as one hash."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from edgekit.files import sha256_of
from edgekit.recipe import ModelRecipe, Recipe, read_recipe
from edgekit.samples.idx import labels_beside

NONE = "none"


def hash_of_file(path: Path | None) -> str:
    """The SHA-256 of a file or folder; `NONE` for none. A file that did not change is read once."""
    if path is None:
        return NONE
    if path.is_dir():
        return sha256_of(path)
    state = path.stat()
    return _hash(os.path.realpath(path), state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache
def _hash(path: str, *_: int) -> str:
    return sha256_of(path)


def hash_of_samples(path: Path | None) -> str:
    """Of all that `edgekit.load_samples` reads: of a recipe its data too, of IDX images their labels."""
    if path is None or path.is_dir():
        return hash_of_file(path)
    if path.suffix.lower() == ".toml":
        return _joined(hash_of_file(path), hash_of_data(read_recipe(path)))
    labels = labels_beside(path)
    found = hash_of_file(path)
    return found if labels is None else _joined(found, hash_of_file(labels))


def hash_of_data(recipe: Recipe) -> str:
    """Of the samples that a recipe's table ``[data]`` names."""
    data = recipe.data
    if data is None:
        return NONE
    paths = [Path(path) for path in (data.train, data.test) if path is not None]
    return _joined(repr(data), *(hash_of_samples(path) for path in paths if path.exists()))


def hash_of_network(model: ModelRecipe) -> str:
    """Of the file or the code of one's own that a network is made of; `NONE` for a reference architecture."""
    if model.file is not None:
        return hash_of_file(Path(model.file))
    if model.function is None:
        return NONE
    # What the module imports from beside it decides as well.
    code = sorted(Path(model.folder or ".").glob("*.py"))
    return _joined(*(f"{path.name} {hash_of_file(path)}" for path in code))


def _joined(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
