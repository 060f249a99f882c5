"""How long operators take in float and in int8, by kind: the tables in edgekit/solver/times.

    python benchmarks/operator_times.py OUT [--only NAME ...]

Networks of edgekit's own are built, exported with random weights, and their operators timed one by one in both
files (`edgekit.calibration.timing`), TFLite and ONNX. For each kind of operator the times are fitted with
so much for a multiply-accumulate and so much for a value read or given, none negative, behind what any call
takes. What is written are OUT/tflite.toml and OUT/onnx.toml.
"""

from __future__ import annotations

import argparse
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.optimize import nnls

import edgekit
from edgekit.calibration.alone import Losses
from edgekit.calibration.methods import MIN_MAX
from edgekit.convert.onnx.alone import onnx_losses
from edgekit.convert.onnx.convert import quantized_onnx
from edgekit.convert.tflite.alone import tflite_losses
from edgekit.convert.tflite.convert import find_ranges, quantize_tflite
from edgekit.formats.tflite_check import read_file
from edgekit.inspection.costs import macs
from edgekit.samples import Samples

# Architecture, shape of a sample, width.
NETWORKS = {
    "cnn": ((28, 28, 1), 1.0),
    "resnet8": ((32, 32, 3), 1.0),
    "mobilenet_v1": ((96, 96, 3), 0.5),
    "mlp": ((28, 28, 1), 4.0),
}
INTERPRETERS = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}


def network(name: str) -> Any:
    from edgekit.models.architectures import build
    from edgekit.models.architectures.task import Task
    from edgekit.recipe import ModelRecipe

    shape, width = NETWORKS[name]
    return build(Task(shape, 10, 1.0), ModelRecipe(name, width=width))


def losses(model: Any, folder: Path) -> dict[str, Losses]:
    """Of both formats, with times."""
    edgekit.export(model, out=folder, files=["float32.tflite", "float32.onnx"], cache=False)
    (spec,) = edgekit.load(next(folder.glob("*.tflite"))).inputs
    x = np.random.default_rng(0).random((16, *spec.shape[1:]), np.float32)
    samples = Samples({spec.name: x})
    file = read_file(next(folder.glob("*.tflite")).read_bytes())
    ranges = find_ranges(file, samples)

    def quantize(**how: Any) -> Any:
        return quantize_tflite(file, "int8", ranges, "int8", samples=samples, **how)

    few = samples[:2]
    quantized = quantized_onnx(next(folder.glob("*.onnx")).read_bytes(), samples, MIN_MAX)
    return {
        "tflite": tflite_losses(file, quantize(), quantize, few, timed=True),
        "onnx": onnx_losses(quantized, few, samples, 0, timed=True),
    }


def table(format: str, found: list[Losses]) -> str:
    rows: dict[str, list[tuple[float, float, float, float]]] = {}
    for each in found:
        for operator in each.graph.operators:
            times = each.times.get(operator.tensor)
            if times is None or times == (0.0, 0.0):
                continue
            tensors = (*operator.inputs, *operator.outputs)
            values = sum(t.elements or 0 for t in tensors if t and not t.constant)
            kind = operator.op
            rows.setdefault(kind, []).append((macs(operator) or 0, values, *times))
    every = np.array([row for own in rows.values() for row in own])
    call = float(every[:, 2:].min())
    # A call of onnxruntime's takes longer than most operators, which share one: it is taken off.
    shared = 0.0 if format == "onnx" else call
    lines = [
        f'source = "{processor()}, {INTERPRETERS[format]} {version(INTERPRETERS[format])}, one thread, {date.today()}"',
    ]
    # A conversion touches each value once, as the cheapest operator of one input does.
    rates = {kind: fit(np.array(own), call) for kind, own in sorted(rows.items())}
    others = fit(every[every[:, 0] == 0], call)
    lines += [
        f"quantize = {others[1]:.4g}",
        f"dequantize = {others[3]:.4g}",
        f"call = {shared:.4g}",
    ]
    for kind, rate in (*rates.items(), (None, others)):
        lines += ["", f"[rates.{kind}]" if kind else "[others]"]
        names = ("float_mac", "float_value", "int8_mac", "int8_value")
        lines += [f"{name} = {value:.4g}" for name, value in zip(names, rate, strict=True)]
    return "\n".join(lines) + "\n"


def fit(rows: Any, call: float) -> tuple[float, float, float, float]:
    """Nanoseconds a multiply-accumulate and a value, in float, then in int8; relative errors count."""
    found = []
    for column in (2, 3):
        wanted = np.maximum(rows[:, column] - call, 0.0)
        weights = 1 / np.maximum(rows[:, column], 1.0)
        found += list(nnls(rows[:, :2] * weights[:, None], wanted * weights)[0])
    return found[0], found[1], found[2], found[3]


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args.out.mkdir(parents=True, exist_ok=True)
    found = []
    for name in args.only:
        with TemporaryDirectory() as folder:
            found.append(losses(network(name), Path(folder)))
    for format in INTERPRETERS:
        (args.out / f"{format}.toml").write_text(table(format, [each[format] for each in found]))


if __name__ == "__main__":
    main()
