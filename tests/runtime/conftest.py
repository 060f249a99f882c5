"""What the tests of the on-device library share. They need no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import needs
from support.backends import backends

Arrays = dict[str, np.ndarray]

# The interpreters of .tflite files that are installed, by backend.
INTERPRETERS = [name for name in backends(".tflite") if name != "litert-compiled"]


@pytest.fixture(scope="session", params=INTERPRETERS)
def interpreter(request: pytest.FixtureRequest) -> str:
    """A backend that runs .tflite files; every one in turn."""
    return request.param


@pytest.fixture
def compiled() -> str:
    """The backend litert-compiled, where it is."""
    needs.compiled_models()
    return "litert-compiled"


@pytest.fixture(scope="session")
def recorded(models: Path) -> Callable[[str], tuple[Arrays, Arrays]]:
    """Inputs of a model and what Keras answered to them, by name, 24 samples each."""
    with np.load(models / "expected.npz") as archive:
        arrays = dict(archive)

    def of(model: str) -> tuple[Arrays, Arrays]:
        def side(word: str) -> Arrays:
            prefix = f"{model}/{word}/"
            return {
                k.removeprefix(prefix): x.astype(object) if x.dtype.kind == "U" else x
                for k, x in arrays.items()
                if k.startswith(prefix)
            }

        return side("in"), side("out")

    return of
