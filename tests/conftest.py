"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Shared machines are slow at times, and a pipeline wants the same run twice.
settings.register_profile("edgekit", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("edgekit")


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of small model files that `tests/models/make.py` made."""
    return Path(__file__).parent / "models"
