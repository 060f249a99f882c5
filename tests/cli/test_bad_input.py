"""Every kind of bad input ends in one clear message, the right exit code, and nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgekit.cli import main

X = np.zeros((4, 8, 8, 1), np.float32)


@pytest.fixture
def place(tmp_path, monkeypatch, digits_files, digits_model):
    """A working folder: model files of all sorts and samples, good and bad."""
    monkeypatch.chdir(tmp_path)
    int8 = digits_files.path("tflite", "int8").read_bytes()
    onnx = digits_files.path("onnx", "float32").read_bytes()
    Path("good.tflite").write_bytes(int8)
    Path("good.keras").write_bytes(digits_model.read_bytes())
    Path("truncated.tflite").write_bytes(int8[: len(int8) // 2])
    Path("corrupt.onnx").write_bytes(onnx[:500] + b"\xff" * 200 + onnx[700:])
    Path("truncated.keras").write_bytes(digits_model.read_bytes()[:3000])
    Path("recipe.toml").write_text('[data]\ntrain = "good.npz"\n[training]\nepocs = 3\n')
    prune = '[export]\nschemes = ["float32"]\n[export.prune]\nsparsity = 0.5\n'
    Path("prune.toml").write_text(prune + 'exclude = ["covn2"]\n')
    Path("long.toml").write_text(prune + "end = 90\n")
    arrays = {
        "good": {"x": X, "y": np.arange(4)},
        "nan": {"x": np.where(X == 0, np.nan, X)},
        "labels": {"x": X, "y": np.array([0, 1, 2, 12])},
        "empty": {"x": X[:0]},
        "name": {"imgae": X},
        "shape": {"x": X[..., 0]},
        "dtype": {"x": X.astype(str)},
    }
    for name, content in arrays.items():
        np.savez(f"{name}.npz", **content)
    np.savez("pickled.npz", x=np.array([{"a": 1}], dtype=object))
    with zipfile.ZipFile("lambda.keras", "w") as archive:
        layer = {"class_name": "Lambda", "config": {"name": "trick"}}
        archive.writestr("config.json", __import__("json").dumps({"config": {"layers": [layer]}}))
    Path("taken.npz").write_bytes(b"precious")
    return tmp_path


RUN = ["run", "good.tflite", "-o", "out.npz", "--samples"]
CASES = {
    "missing samples": ([*RUN, "nowhere.npz"], 2, "nowhere.npz' does not exist"),
    "missing model": (["run", "no.tflite", "--samples", "good.npz", "-o", "o.npz"], 2, "no.tflite"),
    "truncated tflite": (
        ["run", "truncated.tflite", "--samples", "good.npz", "-o", "o.npz"],
        1,
        "truncated.tflite",
    ),
    "corrupt onnx": (["bench", "corrupt.onnx"], 1, "corrupt.onnx"),
    "truncated keras": (["export", "truncated.keras", "-o", "new"], 1, "not a whole .keras file"),
    "lambda": (["export", "lambda.keras", "-o", "new"], 1, "--trust-code"),
    "pickled": ([*RUN, "pickled.npz"], 1, "pickled objects"),
    "NaN": ([*RUN, "nan.npz"], 1, "not finite"),
    "empty": ([*RUN, "empty.npz"], 1, "at least one sample"),
    "input name": ([*RUN, "name.npz"], 1, "no such input, expected 'image'"),
    "input shape": ([*RUN, "shape.npz"], 1, "x[..., None]"),
    "input dtype": ([*RUN, "dtype.npz"], 1, "dtype"),
    "labels": (
        ["golden", "good.keras", "--samples", "labels.npz", "-o", "g.npz"],
        1,
        "received 12 at sample 3",
    ),
    "taken output": (
        ["run", "good.tflite", "--samples", "good.npz", "-o", "taken.npz"],
        2,
        "--overwrite",
    ),
    "taken json": (["bench", "good.tflite", "--json", "taken.npz"], 2, "--overwrite"),
    "scheme": (["export", "good.keras", "-o", "new", "--quantize", "int7"], 2, "'int8'?"),
    "sparsity": (
        ["export", "good.keras", "-o", "new", "--prune", "1.5", "--data", "good.npz"],
        2,
        "[0, 1)",
    ),
    "channels": (
        ["export", "good.keras", "-o", "new", "--prune-channels", "1", "--data", "good.npz"],
        2,
        "channels: received 1.0",
    ),
    "clusters": (
        ["export", "good.keras", "-o", "new", "--cluster", "1", "--data", "good.npz"],
        2,
        "clusters: received 1, expected a number from 3 to 256",
    ),
    "nothing to fine-tune with": (
        ["export", "good.keras", "-o", "new", "--cluster", "16"],
        2,
        "--data",
    ),
    "layer": (
        ["export", "good.keras", "-o", "new", "--recipe", "prune.toml", "--data", "good.npz"],
        2,
        "Did you mean 'conv2'?",
    ),
    "long schedule": (
        ["export", "good.keras", "-o", "new", "--recipe", "long.toml", "--data", "good.npz"],
        2,
        "the schedule reaches its sparsity at step 90",
    ),
    "recipe key": (["train", "recipe.toml", "-o", "m.keras"], 2, "'epochs'?"),
    "architecture": (
        ["train", "--data", "good.npz", "--architecture", "cnnn", "-o", "m.keras"],
        2,
        "'cnn'?",
    ),
    "command": (["exprot", "good.keras"], 2, "'export'?"),
    "option": (["bench", "good.tflite", "--thread-count", "2"], 2, "--thread-count"),
    "threads": (["bench", "good.tflite", "--threads", "0"], 2, "at least 1"),
    "backend": (["bench", "good.tflite", "--backend", "litter"], 2, "'litert'?"),
    "device": (["devices", "show", "raspberry-pi-9"], 2, "raspberry-pi-"),
    "golden": (["compare", "good.tflite", "--golden", "good.npz"], 1, "no golden file"),
    "report": (["report", "recipe.toml", "-o", "r.html"], 1, "not a JSON document"),
    "report ending": (["report", "recipe.toml", "-o", "r.pdf"], 2, ".html"),
    "no command": ([], 2, "expected one of"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_message_the_right_code_nothing_changed(place, capfd, case):
    words, code, telling = CASES[case]
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    assert main(words) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert telling in err
    assert "Traceback" not in err
    assert "unexpected" not in err
    message = [line for line in err.splitlines() if line.startswith("edgekit: ")]
    assert len(message) == 1
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_a_missing_dependency_names_its_extra(tmp_path, digits_files):
    block = (
        "import sys; sys.modules['onnxruntime'] = None; "
        "from edgekit.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    path = digits_files.path("onnx", "float32")
    done = subprocess.run(
        [sys.executable, "-c", block, "bench", str(path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 4, done.stderr
    assert "edgekit-keras[onnx]" in done.stderr
    assert "Traceback" not in done.stderr
