"""Modules that lie in a folder and say so when they are imported."""

from __future__ import annotations

from pathlib import Path

# What Python, edgekit and the libraries below it import: early, late, or if it is there.
NAMES = (
    *(
        "argparse",
        "ast",
        "codecs",
        "ctypes",
        "dataclasses",
        "edgekit",
        "encodings",
        "enum",
        "functools",
    ),
    *(
        "importlib",
        "inspect",
        "io",
        "json",
        "logging",
        "os",
        "pickle",
        "random",
        "re",
        "runpy",
        "select",
    ),
    *("signal", "site", "sitecustomize", "socket", "struct", "subprocess", "tempfile", "threading"),
    *("tomllib", "types", "typing", "usercustomize", "weakref", "zipfile", "zlib"),
    *(
        "absl",
        "ai_edge_litert",
        "ai_edge_quantizer",
        "flatbuffers",
        "google",
        "h5py",
        "jinja2",
        "keras",
    ),
    *(
        "numpy",
        "onnx",
        "onnxruntime",
        "optuna",
        "scipy",
        "sklearn",
        "tensorflow",
        "tf2onnx",
        "tf_keras",
    ),
    *("tensorflow_model_optimization", "tflite_runtime", "typing_extensions"),
)


def lay(folder: Path) -> Path:
    """Lay a trap for each of `NAMES` in `folder`. Returns the folder that caught names appear in."""
    folder.mkdir()
    caught = folder.with_name(f"{folder.name}-caught")
    caught.mkdir()
    for name in NAMES:
        # Nothing else is imported by it.
        code = f"open({str(caught / name)!r}, 'w').close()\n"
        (folder / f"{name}.py").write_text(code)
    return caught
