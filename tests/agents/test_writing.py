"""Export and build for an agent that may write, and models that bring code."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.bundle.archive import opened_folder
from edgekit.bundle.contents import NAME
from edgekit.bundle.verification import verify_bundle

pytestmark = pytest.mark.slow


@pytest.fixture
def project(digits: Any, digits_model: Path, tmp_path: Path) -> Path:
    """A folder with a model and labelled samples."""
    shutil.copy(digits_model, tmp_path / "digits.keras")
    for name, part in (("train", digits.train), ("test", digits.test)):
        arrays = {key: np.asarray(x)[:200] for key, x in part.inputs.items()}
        np.savez(tmp_path / f"{name}.npz", **arrays, y=np.asarray(part.labels)[:200])
    return tmp_path


def test_export_replaces_nothing(agents: Any, project: Path) -> None:
    given = {"model": "digits.keras", "out": "build", "quantize": ["float32", "int8"]}
    with agents(project, "--allow-writing") as agent:
        found = agent.document("export", **given, calibration="train.npz", quality="fast")
        made = {file["path"] for file in found["files"]}
        names = {"digits.float32.tflite", "digits.int8.tflite"}
        assert {Path(path).name for path in made} == names
        before = {path: path.read_bytes() for path in (project / "build").iterdir()}
        assert {path.name for path in before} == {*names, "manifest.json"}
        assert "would be replaced" in agent.refused("export", **given, calibration="train.npz")
        assert {path: path.read_bytes() for path in (project / "build").iterdir()} == before
        # An agent goes on with the paths that it was given.
        assert agent.document("inspect", file=str(project / "build/digits.int8.tflite"))


def test_build_gives_what_the_bundle_says_of_itself(agents: Any, project: Path) -> None:
    needs.package("cyclonedx")
    given = {"model": "digits.keras", "out": "shipped", "samples": "test.npz", "seconds": 0.05}
    with agents(project, "--allow-writing") as agent:
        found = agent.document("build", **given, file=["float32.tflite"], min_agreement=0.9)
        assert (found["name"], found["verdict"]) == ("digits", "pass")
        archive = project / "shipped/digits.tar.xz"
        with opened_folder(archive) as folder:
            assert json.loads((folder / NAME).read_text()) == found
        assert verify_bundle(archive, allow_unsigned=True).payload_sha256 == found["payload_sha256"]
        before = archive.read_bytes()
        assert "expected a folder that is new or empty" in agent.refused("build", **given)
        assert archive.read_bytes() == before


@pytest.mark.tensorflow
def test_code_in_a_model_is_refused(agents: Any, folder: Path) -> None:
    needs.package("keras")
    with zipfile.ZipFile(folder / "lambda.keras", "w") as archive:
        layer = {"class_name": "Lambda", "config": {"name": "trick"}}
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
    with agents(folder, "--allow-writing") as agent:
        for tool, given in (
            ("export", {"model": "lambda.keras", "out": "of-lambda"}),
            ("compare", {"files": ["lambda.keras"], "golden": "golden.npz"}),
        ):
            assert "layer 'trick' holds Python code" in agent.refused(tool, **given)
            said = agent.refused(tool, **given, trust_code=True)
            assert said.startswith("trust_code: received what agents may not say")
    assert not (folder / "of-lambda").exists()
