"""Packed weights on disk, for the next start."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.errors import ArtifactError, UsageError

MODEL = "classifier.float32.tflite"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: str) -> Path:  # noqa: ARG001
    """Where packed weights are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edgekit" / "weights"


@pytest.fixture
def answer(models: Path, recorded: Callable) -> Callable[[], np.ndarray]:
    """What a runner with a weight cache says to one image."""
    image = recorded("classifier")[0]["image"][:1]

    def of() -> np.ndarray:
        with edgekit.load(models / MODEL, weight_cache=True) as runner:
            assert runner.backend.name == "litert-compiled"
            return runner.infer({"image": image})["digit"]

    return of


def test_the_second_load_finds_the_weights(folder: Path, answer: Callable) -> None:
    first = answer()
    (file,) = folder.iterdir()
    before = file.stat()
    assert file.suffix == ".xnnpack"
    assert before.st_size > 0
    assert np.array_equal(answer(), first)
    (again,) = folder.iterdir()
    assert again == file
    assert (again.stat().st_ino, again.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_it_answers_like_the_interpreter(
    folder: Path,  # noqa: ARG001
    models: Path,
    recorded: Callable,
    answer: Callable,
) -> None:
    with edgekit.load(models / MODEL, backend="litert") as runner:
        expected = runner.infer({"image": recorded("classifier")[0]["image"][:1]})["digit"]
    np.testing.assert_allclose(answer(), expected, atol=1e-6)


@pytest.mark.parametrize("damage", ["empty", "half", "one bit", "numbers", "noise"])
def test_a_damaged_file_is_made_again(folder: Path, answer: Callable, damage: str) -> None:
    expected = answer()
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    rng = random.Random(0)
    broken = bytearray(whole)
    if damage == "one bit":
        broken[len(whole) // 2] ^= 64
    for at in range(0, len(whole) - 4, 40) if damage == "numbers" else ():
        broken[at : at + 4] = b"\xff\xff\xff\x7f"
    content = {"empty": b"", "half": whole[: len(whole) // 2], "noise": rng.randbytes(len(whole))}
    file.write_bytes(content.get(damage, bytes(broken)))
    assert np.array_equal(answer(), expected)
    (again,) = folder.iterdir()
    assert again.read_bytes() == whole


def test_a_file_of_another_model_is_another_file(
    folder: Path, models: Path, answer: Callable
) -> None:
    answer()
    with edgekit.load(models / "pair.float32.tflite", weight_cache=True):
        pass
    assert len(list(folder.iterdir())) == 2


def test_a_failed_load_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\0" * 64)
    with pytest.raises(ArtifactError, match="cannot load it"):
        edgekit.load(tmp_path / "m.tflite", weight_cache=True)
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_written_to(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    compiled: str,  # noqa: ARG001
) -> None:
    (tmp_path / "edgekit").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(
        UsageError, match=r"weight_cache: the folder .* cannot be written to: .*XDG"
    ):
        edgekit.load(models / MODEL, weight_cache=True)


def test_state_can_be_reset_beside_it(folder: Path, models: Path) -> None:  # noqa: ARG001
    one = {"amount": np.ones((1, 2), np.float32)}
    with edgekit.load(models / "counter.float32.tflite", weight_cache=True) as runner:
        for _ in range(2):
            answers = [x["total"].tolist() for x in runner.stream([one, one])]
            assert answers == [[[11, 21]], [[12, 22]]]


def test_other_backends_have_none(models: Path, interpreter: str) -> None:
    with pytest.raises(UsageError, match=r"weight_cache: .* has none"):
        edgekit.load(models / MODEL, backend=interpreter, weight_cache=True)


def test_onnxruntime_has_none() -> None:
    needs.package("onnxruntime")
    path = Path(__file__).parent.parent / "models" / "classifier.float32.onnx"
    with pytest.raises(UsageError, match="weight_cache: onnxruntime has none"):
        edgekit.load(path, weight_cache=True)


@pytest.mark.parametrize(
    "file", ["sequence.float32.tflite", "texts.float32.tflite", "numbers.float32.tflite"]
)
def test_what_the_backend_cannot_hold_is_named(models: Path, compiled: str, file: str) -> None:
    with pytest.raises(ArtifactError, match=r"litert-compiled takes fixed shapes of .*Take litert"):
        edgekit.load(models / file, backend=compiled)


def test_it_chooses_its_own_delegate(models: Path, compiled: str) -> None:
    with pytest.raises(UsageError, match="litert-compiled chooses its own"):
        edgekit.load(models / MODEL, backend=compiled, delegate="none")
