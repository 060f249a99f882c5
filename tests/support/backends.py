"""Which backends run files here."""

from __future__ import annotations

from importlib.util import find_spec

from edgekit.runtime.compiled import lacking

# By the ending of a file: the package, or the module in it, that each backend needs.
PACKAGES = {
    ".tflite": {
        "litert": "ai_edge_litert",
        "litert-compiled": "ai_edge_litert.cpu_options",
        "tflite-runtime": "tflite_runtime",
        "tensorflow": "tensorflow",
    },
    ".onnx": {"onnxruntime": "onnxruntime"},
}


def backends(suffix: str) -> list[str]:
    """Those that are installed and that this processor can run."""
    return [
        backend
        for backend, package in PACKAGES[suffix].items()
        if find_spec(package.split(".")[0])
        and find_spec(package)
        and not (backend == "litert-compiled" and lacking())
    ]
