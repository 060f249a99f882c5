"""Imports: Python files of the user's, run by their path, whose layers and functions models then find."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError, one_line
from edgekit.files import existing


def import_files(paths: Sequence[str | os.PathLike[str]]) -> None:
    """Run each of these files, once a process, so that models find what it defines.

    Classes and functions that it registers are found as it registers them; others by their names. Nothing
    else of the file's folder becomes importable.

    Raises:
        UsageError: no Python file is there, or it does not run; says why.
    """
    for path in paths:
        _module(Path(existing(path, "Python file")).resolve())


def own_objects(keras: Any) -> dict[str, Any]:
    """What the files that were run define, by name; without what the flavour `keras` has under that name."""
    return {
        name: value
        for module in _modules.values()
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
        if not any(
            hasattr(place, name)
            for place in (keras, keras.layers, keras.activations, keras.initializers)
        )
    }


_modules: dict[Path, Any] = {}


def _module(path: Path) -> Any:
    if path in _modules:
        return _modules[path]
    if path.suffix != ".py":
        raise UsageError(f"import: received {str(path)!r}, expected a Python file: name.py.")
    # A name of its own, under which nobody else looks for a module.
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    name = f"edgekit_import_{digest}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "the name ends in .py"
    assert spec.loader is not None, "the name ends in .py"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    # It is the user's own code, and raises whatever it likes.
    except Exception as error:
        del sys.modules[name]
        raise UsageError(
            f"import: {path} does not run: {type(error).__name__}: {one_line(error)}"
        ) from error
    _modules[path] = module
    return module
