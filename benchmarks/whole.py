"""Whether a file that a command wrote is whole."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import numpy as np


def fault(path: Path) -> str | None:
    """What is wrong with a file, a bundle or a SavedModel; None if it is whole."""
    if not path.exists():
        return "leads nowhere"
    if path.suffix == ".xz" or (path / "bundle.json").exists():
        return _bundle(path)
    if path.is_dir():
        parts = ("saved_model.pb", "variables/variables.index", "fingerprint.pb")
        missing = [part for part in parts if not (path / part).is_file()]
        return f"without {', '.join(missing)}" if missing else None
    if not path.stat().st_size:
        return "empty"
    try:
        return _READERS[path.suffix](path)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _bundle(path: Path) -> str | None:
    from edgekit.bundle.verification import verify_bundle
    from edgekit.errors import EdgekitError

    try:
        return "; ".join(verify_bundle(path, allow_unsigned=True).problems) or None
    except EdgekitError as error:
        return str(error)


def _names(path: Path) -> str | None:
    return None if path.read_text("utf-8").endswith("\n") else "cut"


def _document(path: Path) -> None:
    from edgekit import document

    # Figures for a viewer of graphs are no document of edgekit's.
    if set(json.loads(path.read_text("utf-8"))) != {"main"}:
        document.load(path)


def _arrays(path: Path) -> None:
    with np.load(path) as archive:
        for name in archive:
            archive[name]


def _archive(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


def _hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "r") as file:
        file.visititems(lambda _, item: item[()] is None if hasattr(item, "dtype") else None)


def _tflite(path: Path) -> str | None:
    from edgekit.formats.tflite_check import tflite_fault

    return tflite_fault(path.read_bytes())


def _onnx(path: Path) -> None:
    from edgekit.formats.model_file import ModelFile

    ModelFile.read(path.read_bytes(), "onnx")


def _xml(path: Path) -> None:
    ET.parse(path)


def _toml(path: Path) -> None:
    from edgekit.recipe import read_recipe

    read_recipe(path)


def _html(path: Path) -> str | None:
    return None if path.read_text("utf-8").rstrip().endswith("</html>") else "cut"


def _markdown(path: Path) -> str | None:
    return None if path.read_text("utf-8").endswith("\n") else "cut"


_READERS = {
    ".json": _document,
    ".npz": _arrays,
    ".keras": _archive,
    ".h5": _hdf5,
    ".tflite": _tflite,
    ".onnx": _onnx,
    ".xml": _xml,
    ".toml": _toml,
    ".html": _html,
    ".md": _markdown,
    # The list of what was installed.
    "": _names,
}
