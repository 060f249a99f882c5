"""Tell what this machine offers a model, and what would make measurements here unreliable."""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import add_json
from edgekit.cli.console import Console
from edgekit.document import tag
from edgekit.errors import MissingDependencyError
from edgekit.runtime.host import HostState


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    host = HostState.read()
    noise, advice = host.noise, _advice(host)
    content = {"schema": tag("host"), "host": host.to_json(), "noise": noise, "advice": advice}
    available = host.memory_available_bytes
    rows = {
        "device": host.device,
        "userland": f"{host.machine} ({'32' if host.machine == 'armv7l' else '64'} bit), {host.system}",
        "CPU": f"{host.cpu}, {host.cores} cores",
        "int8 features": ", ".join(host.cpu_features) or "none known",
        "governor": host.governor or "not told",
        "temperature": "not told" if host.temperature_c is None else f"{host.temperature_c:.0f} °C",
        "throttled": {None: "not told", True: "yes", False: "no"}[host.throttled],
        "memory free": "not told" if available is None else f"{available / 1e6:.0f} MB",
        "Python": host.python,
        "interpreters": ", ".join(f"{k} {v}" for k, v in host.interpreters.items()) or "none",
    }
    lines = [f"{key:14} {value}" for key, value in rows.items()]
    lines += [f"noise: {reason}" for reason in noise] + [f"advice: {line}" for line in advice]
    console.result(content, "\n".join(lines), args)
    tflite = {"ai-edge-litert", "tflite-runtime", "tensorflow"} & set(host.interpreters)
    return 0 if tflite else MissingDependencyError.exit_code


def _advice(host: HostState) -> list[str]:
    """What follows for a model here (figures: docs/decisions.md)."""
    lines = []
    installed = host.interpreters
    if not {"ai-edge-litert", "tflite-runtime", "tensorflow"} & set(installed):
        lines.append("no TFLite interpreter is installed: pip install edgekit")
    if "ai-edge-litert" not in installed and "tflite-runtime" in installed:
        lines.append(
            "tflite-runtime runs int8 without XNNPACK: an int8 file can be slower than float here"
        )
    if "onnxruntime" not in installed:
        lines.append("no onnxruntime: .onnx files need pip install 'edgekit[onnx]'")
    if not host.cpu_features:
        lines.append("the CPU has no 8-bit dot products: int8 gains less than it does elsewhere")
    return lines
