"""Suitability: which files will run well on a machine, by what was measured on machines like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgekit.artifact import FORMATS, SCHEMES
from edgekit.document.record import Record
from edgekit.errors import pip_install
from edgekit.runtime.host import HostState

VERDICTS = ("fast", "works", "slow", "no")

# As `edgekit.load` chooses: (its name for the backend, the distribution that brings it).
_BACKENDS = {
    "tflite": (
        ("litert", "ai-edge-litert"),
        ("tflite-runtime", "tflite-runtime"),
        ("tensorflow", "tensorflow"),
    ),
    "onnx": (("onnxruntime", "onnxruntime"),),
}
JUDGED = SCHEMES
# What edgekit makes as ONNX files too.
_ONNX = ("float32", "float16", "dynamic", "int8")

# What an inference of a ResNet-8 costs where float32 costs 1 (docs/measurements/schemes.md): in time
# on x86, in instructions on Arm.
# Machines are told apart by what decides: the instruction set and its 8-bit dot products.
_TFLITE = ("float16", "dynamic", "int8", "int16x8")
_COSTS: dict[tuple[str, str], dict[str, float]] = {
    ("litert", "x86 dot"): dict(zip(_TFLITE, (1.0, 0.33, 0.33, 92))),
    ("tensorflow", "x86 dot"): dict(zip(_TFLITE, (1.6, 0.33, 0.33, 19))),
    ("tflite-runtime", "x86 dot"): dict(zip(_TFLITE, (1.0, 4.3, 2.8, 37))),
    ("onnxruntime", "x86 dot"): {"float16": 1.04, "int8": 0.56},
    ("litert", "arm64"): dict(zip(_TFLITE, (1.0, 1.05, 0.88, 17))),
    ("litert", "arm64 A53"): dict(zip(_TFLITE, (1.0, 0.69, 0.71, 12))),
    ("litert", "arm64 dot"): dict(zip(_TFLITE, (1.0, 0.37, 0.32, 18))),
    ("tflite-runtime", "arm64"): dict(zip(_TFLITE, (1.0, 1.23, 1.28, 9.8))),
    ("tflite-runtime", "arm64 A53"): dict(zip(_TFLITE, (1.0, 1.0, 0.89, 6.8))),
    ("tflite-runtime", "arm64 dot"): dict(zip(_TFLITE, (1.0, 0.77, 1.33, 10))),
    ("onnxruntime", "arm64"): {"int8": 0.81},
    ("onnxruntime", "arm64 A53"): {"int8": 0.81},
    ("onnxruntime", "arm64 dot"): {"int8": 0.47},
    ("tflite-runtime", "arm32"): dict(zip(_TFLITE, (1.0, 0.65, 0.70, 5.9))),
}
# Costs up to these are "fast" and "works". Instructions are not time: what is to be called fast has to
# have far fewer.
_FAST, _WORKS = 0.6, 1.1


@dataclass(frozen=True)
class Suitability(Record):
    """How well files of one format and scheme run on a machine.

    Attributes:
        backend: what `edgekit.load` would take; None where nothing runs such files.
        verdict: against float32 on the same backend: ``fast`` (far cheaper), ``works`` (about as
            fast, or not known), ``slow``, or ``no`` (does not run here, or is not made).
        reason: one sentence.
    """

    format: Annotated[str, ("enum", tuple(FORMATS))]
    scheme: Annotated[str, ("enum", JUDGED)]
    backend: str | None
    verdict: Annotated[str, ("enum", VERDICTS)]
    reason: str


def suitability(host: HostState) -> list[Suitability]:
    """A verdict for each scheme in each format, in the order of `FORMATS` and `JUDGED`."""
    return [
        Suitability(format, scheme, *_judge(host, format, scheme))
        for format in FORMATS
        for scheme in JUDGED
    ]


def _judge(host: HostState, format: str, scheme: str) -> tuple[str | None, str, str]:
    """Backend, verdict and reason."""
    if format == "onnx" and scheme not in _ONNX:
        return None, "no", "edgekit makes no such file: onnxruntime's quantiser does not offer it"
    installed = (name for name, package in _BACKENDS[format] if package in host.interpreters)
    backend = next(installed, None)
    if backend is None:
        return None, "no", _missing(host, format)
    if backend == "tflite-runtime" and scheme.startswith("int4"):
        # edgekit/inspection/compatibility.json: int4 with a scale for each channel, or for blocks.
        return (
            None,
            "no",
            "tflite-runtime has no kernels for its 4-bit weights, ai-edge-litert does",
        )
    if scheme == "float32":
        return backend, "works", "what the other schemes are held against"
    family = _family(host)
    cost = _COSTS.get((backend, family), {}).get(scheme)
    if cost is None:
        where = "for this CPU" if scheme in _TFLITE else "of such files"
        return backend, "works", f"speed not known {where}: measure it with edgekit bench"
    verdict = "fast" if cost <= _FAST else "works" if cost <= _WORKS else "slow"
    unit = "time" if family.startswith("x86") else "instructions"
    share = f"{cost:.2f} of" if cost <= _WORKS else f"{cost:.2g} times"
    return backend, verdict, f"{share} float32's {unit}: {_cause(host, backend, scheme)}"


def _missing(host: HostState, format: str) -> str:
    if format == "tflite":
        return f"no TFLite interpreter is installed: {pip_install()}"
    if host.userland_bits == 32:
        return "onnxruntime has no wheels for 32-bit systems"
    return f"onnxruntime is not installed: {pip_install('onnx')}"


def _family(host: HostState) -> str:
    """The kind of machine in the words of `_COSTS`, which also has what is not in it."""
    if host.machine == "armv7l":
        return "arm32"
    kind = {"x86_64": "x86", "aarch64": "arm64"}.get(host.machine, host.machine)
    if kind == "arm64" and host.cpu == "Cortex-A53":
        # Float kernels for cores that run instructions in order are others.
        return "arm64 A53"
    return f"{kind} dot" if host.dot_products else kind


def _cause(host: HostState, backend: str, scheme: str) -> str:
    if scheme == "float16":
        return "half the file, the arithmetic of float32"
    if scheme == "int16x8":
        return "no fast kernels for it"
    if backend == "tflite-runtime":
        return "kernels without XNNPACK"
    return "8-bit dot products" if host.dot_products else "no 8-bit dot products"
