"""What the tests of models share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SourceModel = Any


@pytest.fixture
def reloaded(tmp_path: Path) -> Callable[..., SourceModel]:
    """Saves a Keras model, as ``m.keras`` unless told, and loads it as a user would."""
    from edgekit.models import load

    def of(model: Any, name: str = "m.keras") -> SourceModel:
        model.save(tmp_path / name)
        return load(tmp_path / name)

    return of
