"""What the commands of the documentation find: a model, files of it, samples and recordings."""

from __future__ import annotations

import itertools
import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit


@pytest.fixture(scope="session")
def furnished(once: Callable[..., Path], digits: Any, digits_model: Path) -> Path:
    """The folder that every page starts from. Read only."""

    def make(folder: Path) -> None:
        for name, samples in (("train", digits.train.subset(300)), ("samples", digits.test)):
            renamed = edgekit.Samples({"x": samples.inputs["image"]}, samples.labels)
            renamed.save(folder / f"{name}.npz")
        shutil.copy(digits_model, folder / "model.keras")
        made = folder / "made"
        edgekit.export(
            digits_model,
            out=made,
            schemes=("float32", "int8"),
            formats=("tflite", "onnx"),
            calibration=digits.train,
        )
        for path in made.glob("digits.*.*"):
            path.rename(folder / path.name.replace("digits", "model"))
        shutil.rmtree(made)
        with edgekit.load(digits_model) as original:
            edgekit.Golden.of(original, digits.test).save(folder / "golden.npz")
        record(folder / "data" / "fsdd" / "recordings")

    return once("docs-place", make)


@pytest.fixture
def place(furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a page's own, in which its commands run."""
    folder = tmp_path / "place"
    shutil.copytree(furnished, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("EDGEKIT_DATA", str(folder / "data"))
    return folder


def record(folder: Path) -> None:
    """Tones in the place of spoken digits: another pitch for each, half a second long."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for digit, take in itertools.product(range(10), range(12)):
        hertz = 200 * (digit + 1) + rng.uniform(-20, 20)
        tone = 8000 * np.sin(2 * np.pi * hertz * np.arange(4000) / 8000)
        with wave.open(str(folder / f"{digit}_ann_{take}.wav"), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(tone.astype("<i2").tobytes())
