"""Metadata in Keras' own files: written, read back, and none of Keras' business."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import ArtifactError, UsageError
from edgekit.files import sha256_of
from edgekit.formats.metadata import MAX_BYTES, Metadata
from edgekit.models import load
from edgekit.models.metadata import read, write
from edgekit.preprocess import Preprocessing, Rescale

STEPS = {"signal": Preprocessing((Rescale(0.5),))}
KNOWN = Metadata(class_names=("a", "b", "c"), preprocessing=STEPS)
NAMES = ["m.keras", "m.h5", "folder"]


@pytest.fixture(scope="module")
def made(once: Callable[..., Path]) -> Path:
    """A small model as ``m.keras``, ``m.h5`` and ``folder``. Read only."""

    def make(folder: Path) -> None:
        import keras

        inputs = keras.Input((4,), name="signal")
        model = keras.Model(inputs, keras.layers.Dense(3, name="scores")(inputs))
        model.save(folder / "m.keras")
        model.save(folder / "m.h5")
        model.export(folder / "folder", verbose=False)

    return once("models-with-metadata", make)


@pytest.fixture(params=NAMES)
def path(request: Any, made: Path, tmp_path: Path) -> Path:
    copy = shutil.copytree if request.param == "folder" else shutil.copyfile
    return Path(copy(made / request.param, tmp_path / request.param))


def test_what_is_written_is_read_back(path: Path) -> None:
    assert read(path) is None
    assert load(path).metadata == Metadata()
    write(path, KNOWN)
    assert read(path) == KNOWN
    source = load(path)
    assert source.metadata == KNOWN
    large = Metadata(class_names=tuple(f"class {i}" for i in range(20_000)))
    write(path, large)
    assert read(path) == large
    write(path, KNOWN)
    first = sha256_of(path)
    write(path, KNOWN)
    # HDF5 leaves what was replaced in its heap.
    assert path.suffix == ".h5" or sha256_of(path) == first
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_runner_of_the_original_knows_it_too(path: Path) -> None:
    x = np.float32([[2, 4, 6, 8]])
    with edgekit.load(path) as runner:
        plain = runner.infer({"signal": x / 2})
        assert runner.metadata == Metadata()
    write(path, KNOWN)
    with edgekit.load(path) as runner:
        (scores,) = runner.infer({"signal": x}, preprocess=True).values()
        np.testing.assert_allclose(scores, next(iter(plain.values())), atol=1e-6)
        best = int(scores[0].argmax())
        assert runner.classify(x)[0][0] == "abc"[best]


def overwritten(path: Path, content: bytes) -> None:
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("edgekit.json", content)
    elif path.suffix == ".h5":
        import h5py

        with h5py.File(path, "r+") as file:
            file.attrs["edgekit"] = content.decode()
    else:
        (path / "assets.extra").mkdir()
        (path / "assets.extra" / "edgekit.json").write_bytes(content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"[1]", "expected a JSON object"),
        (
            json.dumps({"schema": "edgekit.metadata/9"}).encode(),
            "expected 'edgekit.metadata/1'",
        ),
        (b" " * (MAX_BYTES + 9), "expected at most"),
        (
            json.dumps(
                Metadata().to_json() | {"preprocessing": {"x": [{"step": "standardize"}]}}
            ).encode(),
            "has no mean and variance",
        ),
    ],
    ids=["empty", "list", "newer", "huge", "unfitted"],
)
def test_content_that_is_none_is_refused(path: Path, content: bytes, says: str) -> None:
    overwritten(path, content)
    with pytest.raises(ArtifactError, match=says):
        read(path)
    with pytest.raises(ArtifactError, match=says):
        load(path)


def test_numbers_in_the_place_of_text_are_refused(made: Path, tmp_path: Path) -> None:
    import h5py

    path = Path(shutil.copyfile(made / "m.h5", tmp_path / "m.h5"))
    with h5py.File(path, "r+") as file:
        file.attrs["edgekit"] = np.arange(3)
    with pytest.raises(ArtifactError, match="received ndarray, expected text"):
        read(path)


def test_files_that_are_damaged_or_others_are_refused(tmp_path: Path, models: Path) -> None:
    for name in ("m.keras", "m.h5"):
        path = tmp_path / name
        path.write_bytes(b"no model at all")
        for work in (read, lambda path: write(path, KNOWN)):
            with pytest.raises(ArtifactError, match=name):
                work(path)
        assert path.read_bytes() == b"no model at all"
    with pytest.raises(UsageError, match="received a tflite file"):
        read(models / "classifier.int8.tflite")
    with pytest.raises(UsageError, match="received a tflite file"):
        write(models / "classifier.int8.tflite", KNOWN)
