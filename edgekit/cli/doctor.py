"""Show this machine's hardware and interpreters, which schemes run well on it, and what disturbs measurements.

Each installed interpreter is tried with a tiny file in its own process. The exit code is 4 if no TFLite interpreter
is installed, and 1 if no installed one works.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from edgekit.cli.arguments import add_json
from edgekit.cli.console import Console
from edgekit.errors import EdgekitError, MissingDependencyError, pip_install
from edgekit.runtime import linux
from edgekit.runtime.attempts import FAILS, UNTRIED, WORKS, Attempt, attempts
from edgekit.runtime.checkup import Checkup
from edgekit.runtime.host import HostState
from edgekit.runtime.sandbox.state import Sandbox
from edgekit.runtime.suitability import suitability

_SUMS = {
    False: "sums are exact here",
    True: "sums saturate here: files that need it run in onnxruntime's exact mode",
}
EXAMPLE = "edgekit doctor --json build/host.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    host = HostState.read()
    tried, saturate = attempts()
    sandbox = Sandbox.offered()
    libc = linux.libc()
    found = Checkup(
        host,
        tuple(host.noise),
        tuple(_advice(host, tried, libc)),
        tuple(suitability(host)),
        saturate,
        sandbox,
        tried,
        linux.page_size_bytes(),
        libc,
    )
    lines = [f"{key:14} {value}" for key, value in {**_rows(host), **_more(found)}.items()]
    lines += [f"{'tried':14} {_line(row)}" for row in tried]
    lines += [f"{'int8 ONNX':14} {_sums(found)}"]
    lines += [f"{'sandbox':14} {sandbox}"]
    lines += [f"noise: {reason}" for reason in found.noise]
    lines += [f"advice: {line}" for line in found.advice]
    lines += [
        "",
        f"{'file':6} {'scheme':12} {'here':5} why (a ResNet-8 measured on CPUs like this one)",
    ]
    lines += [
        f"{row.format:6} {row.scheme:12} {row.verdict:5} {row.reason}" for row in found.schemes
    ]
    console.result(found.to_json(), lines, args)
    if not _tflite(host):
        return MissingDependencyError.exit_code
    asked = [row for row in tried if row.backend != "onnxruntime" and row.result != UNTRIED]
    works = not asked or any(row.result == WORKS for row in asked)
    return 0 if works else EdgekitError.exit_code


def _line(row: Attempt) -> str:
    return f"{row.backend}: {row.result}{f': {row.reason}' if row.reason else ''}"


def _more(found: Checkup) -> dict[str, str]:
    size = found.page_size_bytes
    return {
        "C library": found.libc or "unknown",
        "page size": "unknown" if size is None else f"{size / 1024:g} KiB",
    }


def _rows(host: HostState) -> dict[str, str]:
    """What is known of the host, by the row's name."""
    userland = f"{host.machine} ({host.userland_bits} bit), {host.system}"
    if host.kernel_machine != host.machine:
        userland += f" on {host.kernel_machine}"
    throttled = {None: "unknown", True: "yes", False: "no"}[host.throttled]
    if host.throttled_since_boot:
        throttled += f"; since the board started: {', '.join(host.throttled_since_boot)}"
    memory = _megabytes(host.memory_available_bytes)
    if host.memory_limit_bytes is not None:
        memory += f", limited to {_megabytes(host.memory_limit_bytes)} by its control group"
    celsius = host.temperature_c
    return {
        "device": host.device,
        "userland": userland,
        "CPU": f"{host.cpu}, {host.cores} cores",
        "CPU features": ", ".join(host.cpu_features) or "none known",
        "governor": host.governor or "unknown",
        "temperature": "unknown" if celsius is None else f"{celsius:.0f} °C",
        "throttled": throttled,
        "memory free": memory,
        "Python": host.python,
        "interpreters": ", ".join(f"{k} {v}" for k, v in host.interpreters.items()) or "none",
    }


def _sums(found: Checkup) -> str:
    """Whether onnxruntime's int8 sums saturate here, or why that is not known."""
    if found.onnx_sums_saturate is not None:
        return _SUMS[found.onnx_sums_saturate]
    row = next((row for row in found.attempts if row.backend == "onnxruntime"), None)
    if row is None:
        return "unknown: onnxruntime is not installed"
    return f"unknown: onnxruntime fails: {row.reason}"


def _megabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e6:.0f} MB"


def _tflite(host: HostState) -> set[str]:
    return {"ai-edge-litert", "tflite-runtime", "tensorflow"} & set(host.interpreters)


def _advice(host: HostState, tried: Sequence[Attempt] = (), libc: str | None = None) -> list[str]:
    """What to install, what does not work, and what the CPU lacks."""
    lines = []
    for onnx in (False, True):
        # What runs the same files.
        own = [row for row in tried if (row.backend == "onnxruntime") is onnx]
        failing = [row for row in own if row.result == FAILS]
        if not failing:
            continue
        others = [row.backend for row in own if row.result == WORKS]
        instead = f"; take {' or '.join(others)} (--backend)" if others else ""
        lines.append(f"{', '.join(row.backend for row in failing)} cannot be used here{instead}")
    if libc == "musl" and not _tflite(host):
        lines.append(
            "the C library is musl, for which no TFLite interpreter has a wheel: use a system with glibc"
        )
    elif not _tflite(host):
        lines.append(f"no TFLite interpreter is installed: {pip_install()}")
    if host.userland_bits == 64 and _tflite(host) == {"tflite-runtime"}:
        lines.append(
            "ai-edge-litert runs int8 faster than tflite-runtime: pip install ai-edge-litert"
        )
    if "onnxruntime" not in host.interpreters and host.userland_bits == 64:
        lines.append(f"no onnxruntime: .onnx files need {pip_install('onnx')}")
    if host.cpu_features and not host.dot_products:
        lines.append("the CPU has no 8-bit dot products: int8 gains less than it does elsewhere")
    return lines
