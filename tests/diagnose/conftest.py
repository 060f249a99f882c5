"""Small files of one model, in float and in integers, and samples for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs


@dataclass(frozen=True)
class Files:
    """A model's files in one format."""

    plain: Path
    int8: Path


@pytest.fixture(params=["tflite", "onnx"])
def files(request: pytest.FixtureRequest, models: Path) -> Files:
    """The classifier of `tests/models/make.py`."""
    needs.package("ai_edge_litert" if request.param == "tflite" else "onnxruntime")
    if request.param == "onnx":
        needs.package("onnx")
    return Files(*(models / f"classifier.{s}.{request.param}" for s in ("float32", "int8")))


@pytest.fixture
def tflite(models: Path) -> Files:
    needs.package("ai_edge_litert")
    return Files(*(models / f"classifier.{scheme}.tflite" for scheme in ("float32", "int8")))


@pytest.fixture
def images() -> dict[str, Any]:
    """24 images as the classifier takes them, values from 0 to 16, (24, 8, 8, 1)."""
    rng = np.random.default_rng(5)
    return {"image": (rng.random((24, 8, 8, 1)) * 16).astype(np.float32)}
