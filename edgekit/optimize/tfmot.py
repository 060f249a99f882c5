"""tensorflow-model-optimization, imported without changing which Keras the process uses."""

from __future__ import annotations

import os
from typing import Any

from edgekit.errors import require

_BASE = "tensorflow_model_optimization.python.core"


def tfmot(module: str, purpose: str) -> Any:
    """A module of tfmot's, named below its ``python.core``.

    tfmot switches the whole process to legacy Keras when it is imported. tf_keras is named outright
    here, and Keras 3 has to stay what it is for everybody else.

    Raises:
        MissingDependencyError: tfmot or what it needs is not installed.
    """
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        return require(f"{_BASE}.{module}", "export", purpose)
    finally:
        if before is None:
            os.environ.pop("TF_USE_LEGACY_KERAS", None)
        else:
            os.environ["TF_USE_LEGACY_KERAS"] = before
