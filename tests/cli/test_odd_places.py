"""Commands where something ordinary is missing: a stream, a temporary folder, a name in UTF-8, inputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit import document
from edgekit.errors import TensorError

pytestmark = pytest.mark.processes

Command = Callable[..., Any]
UNIX = needs.system("fork")


def shell(words: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What a shell makes of an edgekit command that ends with `words`, such as ``>&-``."""
    line = f'exec "$0" -m edgekit "$@" {words}'
    command = ["sh", "-c", line, sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@UNIX
def test_a_result_that_stdout_cannot_take(models: Path, tmp_path: Path) -> None:
    file, result = models / "classifier.int8.tflite", tmp_path / "result.json"
    done = shell(">&-", "inspect", file)
    assert done.returncode == 1
    assert done.stderr == "edgekit: stdout: is closed, expected where to write the result\n"
    done = shell("<&- >&- 2>&-", "inspect", file, "--json", result)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(result.read_text("utf-8"))["schema"] == "edgekit.inspection/1"
    done = shell("2>&-", "inspect", tmp_path / "none.tflite")
    assert (done.returncode, done.stdout) == (2, "")


NOWHERE = """
import sys, tempfile

def nowhere(*words, **options):
    raise FileNotFoundError(2, "No usable temporary directory found in []")

tempfile.gettempdir = tempfile.TemporaryFile = tempfile.TemporaryDirectory = nowhere
from edgekit.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("words", [("bench", "--seconds", "0.01"), ("inspect",)])
def test_no_place_for_temporary_files(models: Path, words: tuple[str, ...]) -> None:
    needs.package("ai_edge_litert")
    command = [sys.executable, "-c", NOWHERE, *words, str(models / "classifier.int8.tflite")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["schema"].startswith(f"edgekit.{words[0][:5]}")


@pytest.mark.slow
@UNIX
@pytest.mark.parametrize("model", ["classifier.int8.tflite", "classifier.float32.onnx"])
def test_a_name_that_is_not_utf8(
    command: Command, models: Path, samples: Callable[..., Path], tmp_path: Path, model: str
) -> None:
    needs.package("onnxruntime" if model.endswith("onnx") else "ai_edge_litert")
    file = tmp_path / os.fsdecode(b"m\xff." + model.split(".", 1)[1].encode())
    try:
        file.write_bytes((models / model).read_bytes())
    except OSError:
        needs.not_here("the file system takes no such name")
    shown = "m%FF"
    for words in (("inspect", file), ("bench", file, "--seconds", "0.01")):
        done = command(*words)
        assert done.code == 0, done.err
        told = done.json()
        artifact = told["artifact"] if words[0] == "inspect" else told["runs"][0]["artifact"]
        assert Path(artifact["path"]).name.startswith(shown)
    golden = tmp_path / "golden.npz"
    assert command("golden", file, "--samples", samples(), "-o", golden).code == 0
    drift = tmp_path / "drift.json"
    done = command("compare", file, "--golden", golden, "--json", drift)
    assert done.code == 0, done.err
    assert document.load(drift).reference.path.startswith(shown)
    needs.package("jsonschema")
    assert shown in command("report", drift, "-o", "-").out


@pytest.mark.slow
def test_a_model_without_inputs(
    command: Command, samples: Callable[..., Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Add", ["c", "c"], ["y"])],
        "constant",
        [],
        [helper.make_tensor_value_info("y", float32, [1, 3])],
        [helper.make_tensor("c", float32, [1, 3], [1, 2, 3])],
    )
    file = tmp_path / "constant.onnx"
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), file)
    assert command("inspect", file).json()["inputs"] == []
    assert command("bench", file, "--seconds", "0.01").json()["runs"][0]["throughput_per_s"] > 0
    line = fails(1, "run", file, "--samples", samples(), "-o", tmp_path / "answers.npz")
    assert "expected none: it takes no inputs" in line
    with edgekit.load(file, verify=True) as runner:
        np.testing.assert_array_equal(runner.infer({})["y"], [[2, 4, 6]])
        with pytest.raises(TensorError, match=r"Run it with infer\({}\)"):
            runner.infer_batch({})
        with pytest.raises(TensorError, match="expected none: it takes no inputs"):
            runner.infer({"x": np.zeros(1)})


def test_files_of_one_name_and_one_that_is_bad(
    command: Command, models: Path, samples: Callable[..., Path], tmp_path: Path
) -> None:
    needs.package("ai_edge_litert")
    content = (models / "classifier.int8.tflite").read_bytes()
    files = [tmp_path / folder / "m.int8.tflite" for folder in ("v1", "v2", "v3")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(content[:200] if file.parent.name == "v3" else content)
    golden = tmp_path / "golden.npz"
    assert command("golden", files[0], "--samples", samples(), "-o", golden).code == 0
    drift, junit = tmp_path / "drift.json", tmp_path / "junit.xml"
    words = ("--golden", golden, "--json", drift, "--junit", junit, "--min-sqnr-db", "1")
    done = command("compare", *files, *words)
    assert done.code == 1
    for name in ("v1/m.int8.tflite", "v2/m.int8.tflite"):
        assert re.search(rf"^{name}: within budget", done.err, re.MULTILINE), done.err
    assert f"{files[2]}: failed; {files[2]}: not a whole tflite file" in done.err
    told = json.loads(drift.read_text("utf-8"))
    assert (len(told["candidates"]), told["failed"][0]["path"]) == (2, str(files[2]))
    assert 'name="v2/m.int8.tflite"' in junit.read_text("utf-8")
    assert 'errors="1"' in junit.read_text("utf-8")
