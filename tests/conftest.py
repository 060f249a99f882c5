"""What all tests share. Importing it loads neither TensorFlow nor scikit-learn: fixtures do, when asked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = (
    "support.leftovers",
    "support.loaded",
    "support.minutes",
    "support.needs",
    "support.markers",
    "support.covered",
    "support.seeds",
)

# TensorFlow and onnxruntime read these when a test first imports them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Shared machines are slow at times, and a pipeline wants the same run twice.
settings.register_profile("edgekit", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("edgekit")

# Longest that one worker waits for what another makes.
_PATIENCE_S = 400


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tests verify is remembered for the tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of small model files that `tests/models/make.py` made."""
    return Path(__file__).parent / "models"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets and models, which is no part of the repository."""
    from support import needs

    return needs.data()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`once(name, make)`: a folder that `make(folder)` fills, once for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def of(name: str, make: Callable[[Path], None]) -> Path:
        done, failed, building = (root / f"once.{name}{end}" for end in ("", ".failed", ".making"))
        if done.exists():
            return done
        try:
            building.mkdir()
        except FileExistsError:
            deadline = time.monotonic() + _PATIENCE_S
            while not done.exists():
                if failed.exists() or time.monotonic() > deadline:
                    pytest.fail(f"{name}: another worker could not make it")
                time.sleep(0.1)
            return done
        try:
            make(building)
        except BaseException:
            failed.touch()
            raise
        return building.rename(done)

    return of


@pytest.fixture(scope="session")
def digits() -> Any:
    """The demo's data: 1,797 images of digits as train, validation and test samples."""
    from edgekit.build.demo import digits

    return digits()


@pytest.fixture(scope="session")
def digits_model(once: Callable[..., Path], digits: Any) -> Path:
    """A small trained ``digits.keras``. Read only."""

    def make(folder: Path) -> None:
        from edgekit.recipe import ModelRecipe, Recipe, TrainingRecipe
        from edgekit.train.trainer import train

        training = TrainingRecipe(epochs=10, batch_size=32, learning_rate=0.003)
        recipe = Recipe(model=ModelRecipe("cnn", width=0.5), training=training)
        train(digits, recipe, folder / "digits.keras")

    return once("digits-model", make) / "digits.keras"


@dataclass(frozen=True)
class DigitsFiles:
    """A folder with ``manifest.json``, and its files by format and scheme."""

    folder: Path

    def path(self, format: str, scheme: str, prefix: str = "digits") -> Path:
        return self.folder / f"{prefix}.{scheme}.{format}"


@pytest.fixture(scope="session")
def digits_files(once: Callable[..., Path], digits: Any, digits_model: Path) -> DigitsFiles:
    """`digits_model` in every scheme and format, and pruned to one half as int8. Read only."""

    def make(folder: Path) -> None:
        from edgekit.artifact import SCHEMES
        from edgekit.convert.export import export
        from edgekit.recipe import ExportRecipe, PruneRecipe

        export(
            digits_model,
            out=folder,
            schemes=SCHEMES,
            formats=("tflite", "onnx"),
            calibration=digits.train,
        )
        export(
            digits_model,
            out=folder,
            schemes=("int8",),
            calibration=digits.train,
            data=digits.train,
            recipe=ExportRecipe(prune=PruneRecipe(0.5, epochs=4, learning_rate=0.001)),
        )

    return DigitsFiles(once("digits-files", make))
