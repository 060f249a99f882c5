"""tensorflow-model-optimization, imported without changing which Keras the process uses."""

from __future__ import annotations

from typing import Any

from edgekit.errors import require
from edgekit.models.quantizers import keras_kept

_BASE = "tensorflow_model_optimization.python.core"


def tfmot(module: str, purpose: str) -> Any:
    """A module of tfmot's, named below its ``python.core``.

    Raises:
        MissingDependencyError: tfmot or what it needs is not installed.
    """
    with keras_kept():
        return require(f"{_BASE}.{module}", "export", purpose)
