from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.errors import ArtifactError, MissingDependencyError, UsageError
from edgekit.runtime import backends

# What a file can be opened with, where it is installed.
ENDINGS = [".tflite"] + ([".onnx"] if find_spec("onnxruntime") else [])
each_ending = pytest.mark.parametrize("ending", ENDINGS)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model file '.*m.tflite' does not exist"):
        edgekit.load(tmp_path / "m.tflite")


@pytest.mark.parametrize("name", ["m.pt", "m", "m.tflite.gz"])
def test_an_unknown_ending(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(
        UsageError, match=r"received (no ending|the ending '.*'), expected one of .tflite"
    ):
        edgekit.load(tmp_path / name)


def test_onnxruntime_reports_to_nobody(models: Path, tmp_path: Path) -> None:
    needs.package("onnxruntime")
    path = models / "classifier.float32.onnx"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    # Where it would keep what identifies the machine, and what it has not sent yet.
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(tmp_path))
    code = f"import edgekit; edgekit.load({str(path)!r}, verify=False).close()"
    subprocess.run([sys.executable, "-c", code], env=variables | places, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_path_may_be_text(models: Path) -> None:
    with edgekit.load(str(models / "classifier.int8.tflite")) as runner:
        assert runner.options.threads == 1
        assert runner.artifact.scheme == "int8"


@each_ending
@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_truncated_file(models: Path, tmp_path: Path, ending: str, share: float) -> None:
    whole = (models / f"classifier.float32{ending}").read_bytes()
    path = tmp_path / f"m{ending}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArtifactError, match=f"m{ending}: .* cannot load it") as caught:
        edgekit.load(path)
    assert caught.value.exit_code == 1


@each_ending
@pytest.mark.parametrize("content", ["noise", "text", "zeros", "other"])
def test_garbage(models: Path, tmp_path: Path, ending: str, content: str) -> None:
    other = ".onnx" if ending == ".tflite" else ".tflite"
    path = tmp_path / f"m{ending}"
    path.write_bytes(
        {
            "noise": np.random.default_rng(0).bytes(4096),
            "text": b"version https://git-lfs.github.com/spec/v1\n",
            "zeros": bytes(4096),
            "other": (models / f"classifier.float32{other}").read_bytes(),
        }[content]
    )
    with pytest.raises(ArtifactError, match=f"m{ending}: .* cannot load it"):
        edgekit.load(path)


@pytest.mark.parametrize("backend", ["onnxruntime", "keras", "nonsense"])
def test_a_backend_that_does_not_run_the_format(models: Path, backend: str) -> None:
    with pytest.raises(UsageError, match=f"'{backend}' does not run tflite.*one of litert"):
        edgekit.load(models / "classifier.int8.tflite", backend=backend)


@pytest.mark.parametrize(
    ("written", "meant"), [("litrt", "litert"), ("tflite_runtime", "tflite-runtime")]
)
def test_a_misspelt_backend_names_the_nearest(models: Path, written: str, meant: str) -> None:
    with pytest.raises(UsageError, match=rf"Did you mean '{meant}'\?"):
        edgekit.load(models / "classifier.int8.tflite", backend=written)


@pytest.mark.parametrize(
    ("file", "backend", "says"),
    [
        (
            "classifier.int8.tflite",
            None,
            r"looked for litert, tflite-runtime.*pip install edgekit-keras$",
        ),
        (
            "classifier.int8.tflite",
            "tensorflow",
            r"looked for tensorflow.*'edgekit-keras\[export\]'$",
        ),
        ("classifier.int8.onnx", None, r"looked for onnxruntime.*'edgekit-keras\[onnx\]'$"),
    ],
)
def test_without_a_backend_the_extra_is_named(
    models: Path, monkeypatch: pytest.MonkeyPatch, file: str, backend: str | None, says: str
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=says) as caught:
        edgekit.load(models / file, backend=backend)
    assert caught.value.exit_code == 4


def test_the_first_backend_installed_is_taken(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with edgekit.load(models / "classifier.int8.tflite") as runner:
        first = runner.backend.name
    asked = []
    monkeypatch.setattr(backends, "find_spec", lambda name: asked.append(name) or find_spec(name))
    with edgekit.load(models / "classifier.int8.tflite") as runner:
        assert runner.backend.name == first
    order = ["ai_edge_litert", "tflite_runtime", "tensorflow"]
    assert asked == order[: len(asked)]
    assert find_spec(asked[-1])
