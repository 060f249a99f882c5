"""A small study: features whose class is the largest of three, a dense network, and a recipe that searches it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

RECIPE = """
[data]
train = "train.npz"
validation = 0.25
[model]
name = "mlp"
width = 0.25
[training]
epochs = {epochs}
batch_size = 32
[tune]
trials = {trials}
{more}
[tune.search]
"training.learning_rate" = {{low = 1e-3, high = 3e-2, log = true}}
"model.width" = {{choices = [0.25, 0.5]}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Path]:
    """Writes ``study.toml`` and its data; `more` are lines of the ``[tune]`` table."""

    def write(more: str = "", trials: int = 3, epochs: int = 2) -> Path:
        x = np.random.default_rng(0).standard_normal((240, 6)).astype(np.float32)
        np.savez(tmp_path / "train.npz", x=x, y=np.argmax(x[:, :3], axis=1))
        path = tmp_path / "study.toml"
        path.write_text(RECIPE.format(more=more, trials=trials, epochs=epochs))
        return path

    return write
