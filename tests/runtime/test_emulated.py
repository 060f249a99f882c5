"""Finished int8 files answer alike on x86 processors of other kinds, which qemu emulates.

Haswell has AVX2 and no VNNI: there onnxruntime's own sums saturate. Nehalem has neither.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.boards.here import for_another_processor

needs.package("onnxruntime")
onnx = needs.package("onnx")

FILES = ("classifier.int8.onnx", "classifier.int8.tflite", "pair.int8.tflite")
COUNT = 12

# Answers to each of the files named, as one archive; whether onnxruntime's sums saturate.
CODE = """
import json, sys
import numpy as np
import edgekit
from edgekit.runtime.onnx_session import sums_saturate

out, *files = sys.argv[1:]
answers = {}
for i, file in enumerate(files):
    with edgekit.load(file) as runner, np.load(file + ".npz") as inputs:
        for name, y in runner.infer_batch(dict(inputs)).items():
            answers[f"{i}/{name}"] = y
np.savez(out, **answers)
print(json.dumps(sums_saturate()))
"""


@pytest.fixture(scope="module")
def files(models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Int8 files, and beside each its samples: ``.npz``."""
    folder = tmp_path_factory.mktemp("emulated")
    for name in FILES:
        shutil.copy(models / name, folder)
    shared_weight(folder / "shared.int8.onnx")
    files = [*(folder / name for name in FILES), folder / "shared.int8.onnx"]
    rng = np.random.default_rng(0)
    for file in files:
        with edgekit.load(file) as runner:
            shapes = {spec.name: (COUNT, *spec.shape[1:]) for spec in runner.inputs}
            whole = {spec.name for spec in runner.inputs if spec.dtype == "uint8"}
        np.savez(
            f"{file}.npz",
            **{
                name: rng.integers(200, 256, shape).astype(np.uint8)
                if name in whole
                else rng.random(shape, np.float32)
                for name, shape in shapes.items()
            },
        )
    return files


def shared_weight(path: Path) -> None:
    """x (1, 8) uint8 -> y (1, 8) int32 by two products with one int8 weight."""
    make, kinds = onnx.helper, onnx.TensorProto
    graph = make.make_graph(
        [
            make.make_node("MatMulInteger", ["x", "w"], ["a"]),
            make.make_node("Cast", ["a"], ["b"], to=kinds.UINT8),
            make.make_node("MatMulInteger", ["b", "w"], ["y"]),
        ],
        "g",
        [make.make_tensor_value_info("x", kinds.UINT8, [1, 8])],
        [make.make_tensor_value_info("y", kinds.INT32, [1, 8])],
        [onnx.numpy_helper.from_array(WEIGHT, "w")],
    )
    proto = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(proto.SerializeToString())


WEIGHT = np.random.default_rng(0).integers(100, 128, (8, 8)).astype(np.int8)


def emulated(processor: str, files: list[Path], out: Path) -> tuple[dict[str, Any], bool]:
    """The answers on such a processor, and whether onnxruntime's own sums saturate there."""
    if platform.machine() != "x86_64":
        needs.not_here("qemu-x86_64 runs a Python for x86-64, and this is another")
    done = subprocess.run(
        [
            needs.tool("qemu"),
            "-cpu",
            processor,
            sys.executable,
            "-c",
            CODE,
            str(out),
            *map(str, files),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=for_another_processor(os.environ),
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as archive:
        return dict(archive), json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("processor", "saturates"), [("Haswell", True), ("Nehalem", False)])
def test_answers_are_those_of_this_processor(
    files: list[Path], tmp_path: Path, processor: str, saturates: bool
) -> None:
    found, saturated = emulated(processor, files, tmp_path / "answers.npz")
    assert saturated == saturates
    for i, file in enumerate(files):
        with edgekit.load(file) as runner, np.load(f"{file}.npz") as inputs:
            given = dict(inputs)
            expected = runner.infer_batch(given)
        for name, want in expected.items():
            answer = found.pop(f"{i}/{name}")
            assert answer.dtype == want.dtype
            # Floats before the last rounding may differ by their last bit, and it by a step.
            steps = np.unique(want)
            step = np.diff(steps).min() if want.dtype == np.float32 else 0
            assert np.abs(answer - want).max() <= 1.001 * step, (file.name, name)
            assert np.mean(answer == want) > 0.95, (file.name, name)
    assert not found
    a = (given["x"].astype(np.int32) @ WEIGHT).astype(np.uint8)
    np.testing.assert_array_equal(expected["y"], a.astype(np.int32) @ WEIGHT)
