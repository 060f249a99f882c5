"""What the tests of the on-device library share. They need no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def recorded(models: Path) -> Callable[[str], tuple[Arrays, Arrays]]:
    """Inputs of a model and what Keras answered to them, by name, 24 samples each."""
    with np.load(models / "expected.npz") as archive:
        arrays = dict(archive)

    def of(model: str) -> tuple[Arrays, Arrays]:
        def side(word: str) -> Arrays:
            prefix = f"{model}/{word}/"
            return {k.removeprefix(prefix): x for k, x in arrays.items() if k.startswith(prefix)}

        return side("in"), side("out")

    return of
