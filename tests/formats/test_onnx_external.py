"""Weights in other files: who is named, who is counted, and who is left alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError
from edgekit.files import sha256_of
from edgekit.formats.onnx_external import external_files, external_names

pytestmark = pytest.mark.processes

WEIGHTS = np.arange(3000, dtype=np.float32).reshape(1000, 3)


def written(folder: Path, location: str = "weights.bin", inside: bool = False) -> Path:
    """A product with a constant matrix that lies in a file of its own, in the branch of an If if `inside`."""
    onnx = needs.package("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(n, kind, [1, s]) for n, s in (("x", 1000), ("y", 3)))
    weight = onnx.numpy_helper.from_array(WEIGHTS, "w")
    nodes: list[Any] = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    constants = [weight]
    if inside:
        branch = helper.make_graph(nodes, "branch", [], [y], [weight])
        nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)]
        constants = [helper.make_tensor("c", onnx.TensorProto.BOOL, [], [True])]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path = folder / "m.onnx"
    for tensor in onnx.external_data_helper._get_all_tensors(model):
        if tensor.name == "w":
            onnx.external_data_helper.set_external_data(tensor, location)
            tensor.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("inside", [False, True])
def test_they_are_named_wherever_they_are_used(tmp_path: Path, inside: bool) -> None:
    path = written(tmp_path, inside=inside)
    assert external_names(path.read_bytes()) == ("weights.bin",)
    assert external_files(path) == {"weights.bin": None}


def test_size_and_hash_count_them(tmp_path: Path) -> None:
    path, weights = written(tmp_path), tmp_path / "weights.bin"
    weights.write_bytes(WEIGHTS.tobytes())
    artifact = Artifact.of(path)
    assert artifact.size_bytes == path.stat().st_size + WEIGHTS.nbytes
    told = f"{sha256_of(path)}\nweights.bin\0{sha256_of(weights)}\n"
    assert artifact.sha256 == hashlib.sha256(told.encode()).hexdigest()
    weights.write_bytes((WEIGHTS + 1).tobytes())
    assert Artifact.of(path).sha256 != artifact.sha256
    plain = Artifact.of(Path(__file__).parents[1] / "models" / "pair.float32.onnx")
    assert (plain.external, plain.sha256) == ({}, sha256_of(plain.file))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "folder", "nul\0l"])
def test_what_no_interpreter_would_read_is_left_alone(tmp_path: Path, location: str) -> None:
    (tmp_path / "weights.bin").write_bytes(WEIGHTS.tobytes())
    folder = tmp_path / "inner"
    (folder / "folder").mkdir(parents=True)
    path = written(folder, location)
    artifact = Artifact.of(path)
    assert list(artifact.external.values()) == [None]
    assert artifact.size_bytes == path.stat().st_size
    assert len(artifact.sha256) == 64


def test_a_trial_counts_them_and_is_made_again_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs.package("onnxruntime")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, weights = written(tmp_path), tmp_path / "weights.bin"
    weights.write_bytes(WEIGHTS.tobytes())
    passed = tmp_path / "cache" / "edgekit" / "verified"
    for number, content in enumerate((WEIGHTS, WEIGHTS, WEIGHTS + 1)):
        weights.write_bytes(content.tobytes())
        with edgekit.load(path, verify=True) as runner:
            assert runner.infer({"x": np.ones((1, 1000), np.float32)})["y"].shape == (1, 3)
        assert len(list(passed.iterdir())) == (2 if number == 2 else 1)


def test_a_file_whose_weights_are_missing_is_refused_and_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs.package("onnxruntime")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ArtifactError, match=r"weights\.bin"):
        edgekit.load(written(tmp_path), verify=True)
    assert not (tmp_path / "cache").exists()


def test_inspect_shows_them_and_says_when_they_are_missing(tmp_path: Path) -> None:
    path, weights = written(tmp_path), tmp_path / "weights.bin"
    found = edgekit.inspect(path)
    assert [(f.path, f.size_bytes) for f in found.external_files] == [("weights.bin", None)]
    assert (found.ir_version, found.opsets) == (8, {"ai.onnx": 17})
    assert found.loadable_by["onnxruntime"] == found.unmeasured_by["onnxruntime"] == ()
    assert {o.reason for o in found.obstacles} == {"the external file 'weights.bin' is not there"}
    weights.write_bytes(WEIGHTS.tobytes())
    found = edgekit.inspect(path)
    assert found.loadable_by["onnxruntime"]
    assert found.obstacles == ()
    assert found.external_files[0].size_bytes == WEIGHTS.nbytes
    assert found.compressed_size_bytes > 500


def test_a_damaged_file_has_none() -> None:
    with pytest.raises(ArtifactError):
        external_names(b"location" * 9)
