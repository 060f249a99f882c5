"""Every command that loads a model: a file of others leaves no trace, one that is trusted does."""

from __future__ import annotations

import base64
import json
import marshal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.cli import main

h5py = needs.package("h5py")


def hidden_lambda(folder: Path) -> tuple[Path, Path]:
    """A model whose Lambda has another name where a checker would look, and the trace that it leaves."""
    trace = folder / "trace"
    source = f"lambda x: (open({str(trace)!r}, 'w').close(), x)[1]"
    function = base64.b64encode(marshal.dumps(eval(source).__code__)).decode()
    layers: list[dict[str, Any]] = [
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, 4], "dtype": "float32", "name": "x"},
            "registered_name": None,
        },
        {
            "module": "tf_keras.src.layers.core.lambda_layer",
            # Known to tf_keras, which looks for it in this module, and then for the other name.
            "class_name": "LayerScale",
            "registered_name": "Lambda",
            "config": {
                "name": "mine",
                "trainable": True,
                "function": {
                    "class_name": "__lambda__",
                    "config": {"value": [function, None, None]},
                },
                "function_type": "function",
                "output_shape": None,
                "output_shape_type": "raw",
                "arguments": {},
            },
        },
    ]
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", "layers": layers},
        "registered_name": "Sequential",
        "build_config": {"input_shape": [None, 4]},
    }
    with h5py.File(folder / "w.h5", "w") as file:
        file.create_group("_layer_checkpoint_dependencies")
    with zipfile.ZipFile(folder / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        archive.write(folder / "w.h5", "model.weights.h5")
    return folder / "m.keras", trace


COMMANDS = {
    "bench": ["bench", "{model}", "--seconds", "0.01", "--json", "{out}.json"],
    "export": ["export", "{model}", "-o", "{out}"],
    "golden": ["golden", "{model}", "--samples", "{x}", "-o", "{out}.npz"],
    "evaluate": ["evaluate", "{model}", "--samples", "{x}", "--json", "{out}.json"],
    "run": ["run", "{model}", "--samples", "{x}", "-o", "{out}.npz"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_runs_code_of_a_file(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, trace = hidden_lambda(tmp_path)
    x = np.ones((4, 4), np.float32)
    np.savez(tmp_path / "x.npz", x=x, labels=np.zeros(4, np.int64))
    places = {"model": path, "out": tmp_path / "out", "x": tmp_path / "x.npz"}
    words = [word.format(**places) for word in COMMANDS[name]]
    assert main(words) == 1
    assert not trace.exists()
    assert "layer 'mine' holds Python code" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    # Otherwise this would prove nothing.
    main([*words, "--trust-code"])
    assert trace.exists()
    said = [line for line in capfd.readouterr().err.splitlines() if "trusted, as requested" in line]
    assert len(said) == 1
    assert "'mine' (Python code)" in said[0]
