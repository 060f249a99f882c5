"""What edgekit's runtime costs on top of the interpreter, as ratios, side by side with what people write.

    python benchmarks/runtime.py [SECTION...]     sections: raw real cold weights map
                                              isolated soak size

Makes its own models (ResNet-8 with random weights on 32x32x3, a network of a few microseconds, and
one with an input of 150,528 values). One thread unless it says otherwise.
"""

from __future__ import annotations

import compileall
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import edgekit
from edgekit.runtime.latency import Latency
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.turns import interleave

Calls = dict[str, Callable[[], Any]]


def make_models(folder: Path) -> None:
    """Export the models; in a process of its own, so that TensorFlow is not in this one."""
    code = f"""
import keras, numpy as np
import edgekit
from edgekit.models.architectures import Task, build
from edgekit.recipe import ModelRecipe
from edgekit.samples import Samples
folder = {str(folder)!r}
layers = keras.layers
keras.utils.set_random_seed(0)
def small(side, channels):
    x = inputs = keras.Input((side, side, channels), name="image")
    x = layers.Conv2D(4, 3, strides=max(1, side // 8), padding="same", name="conv")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, layers.Dense(10, name="scores")(x))
models = {{
    "resnet8": build(Task((32, 32, 3), 10, 1.0), ModelRecipe("resnet8")),
    "tiny": small(4, 1),
    "wide": keras.applications.MobileNetV2((160, 160, 3), weights=None),
    "n64": small(8, 1), "n1024": small(32, 1), "n12288": small(64, 3), "n150528": small(224, 3),
    # Values around zero, where those of the others begin at it.
    "s64": small(8, 1), "s150528": small(224, 3),
}}
rng = np.random.default_rng(0)
for name, model in models.items():
    model.save(f"{{folder}}/{{name}}.keras")
    x = rng.random((32, *model.inputs[0].shape[1:]), np.float32)
    x = 2 * x - 1 if name.startswith("s") else x
    formats = ["tflite", "onnx"] if name == "resnet8" else ["tflite"]
    schemes = ["float32"] if name == "wide" else ["float32", "int8"]
    edgekit.export(f"{{folder}}/{{name}}.keras", out=folder, formats=formats, schemes=schemes, calibration=Samples({{"x": x}}), overwrite=True)
    (__import__("pathlib").Path(folder) / "manifest.json").unlink()
"""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)


def medians(calls: Calls, seconds: float = 1.0) -> dict[str, float]:
    """The median of each call in microseconds, taken in turns."""
    for call in calls.values():
        call()
    samples = interleave(list(calls.values()), int(seconds * 1e9))
    return {k: Latency.of(ns).p50_ms * 1000 for k, ns in zip(calls, samples, strict=True)}


def hand(path: Path) -> tuple[Interpreter, int, int]:
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    return (
        interpreter,
        interpreter.get_input_details()[0]["index"],
        interpreter.get_output_details()[0]["index"],
    )


def row(label: str, value: str, target: str, met: bool) -> None:
    print(f"{label:58} {value:>16}   target {target:14} {'met' if met else 'MISSED'}", flush=True)


def raw(folder: Path) -> None:
    for name in ("resnet8", "tiny"):
        path = folder / f"{name}.int8.tflite"
        runner = edgekit.load(path)
        spec = runner.inputs[0]
        x = random_inputs(runner)[spec.name]
        q = edgekit.tensor.quantize(x, spec.quantization, spec.dtype)
        interpreter, source, sink = hand(path)

        def by_hand(i: Any = interpreter, a: int = source, b: int = sink, q: Any = q) -> Any:
            i.set_tensor(a, q)
            i.invoke()
            return i.get_tensor(b)

        signature = Interpreter(str(path), num_threads=1).get_signature_runner()
        calls: Calls = {
            "by hand": by_hand,
            "invoke": hand(path)[0].invoke,
            "infer_raw": lambda r=runner, n=spec.name, q=q: r.infer_raw({n: q}),
            "SignatureRunner": lambda s=signature, n=spec.name, q=q: s(**{n: q}),
            "CompiledModel": compiled_model(path, q, runner.outputs[0]),
        }
        p50 = medians(calls, 2.0)
        print(f"{name} int8: " + ", ".join(f"{k} {v:.2f} us" for k, v in p50.items()))
        ratio, extra = p50["infer_raw"] / p50["by hand"], p50["infer_raw"] - p50["by hand"]
        if name == "resnet8":
            row(f"{name}: infer_raw / by hand", f"{ratio:.3f}", "<= 1.05", ratio <= 1.05)
        else:
            row(f"{name}: infer_raw - by hand", f"{extra:.2f} us", "<= 1.5 us", extra <= 1.5)
        for other in ("SignatureRunner", "CompiledModel"):
            ratio = p50["infer_raw"] / p50[other]
            row(f"{name}: infer_raw / {other}", f"{ratio:.3f}", "< 1", ratio < 1)
    onnx(folder / "resnet8.float32.onnx")


def compiled_model(path: Path, q: Any, output: Any) -> Callable[[], Any]:
    from ai_edge_litert.compiled_model import CompiledModel

    model = CompiledModel.from_file(str(path))
    sources, sinks = model.create_input_buffers(0), model.create_output_buffers(0)
    count, dtype = int(np.prod(output.shape)), np.dtype(output.dtype).type

    def call() -> Any:
        sources[0].write(q)
        model.run_by_index(0, sources, sinks)
        return sinks[0].read(count, dtype)

    return call


def onnx(path: Path) -> None:
    import onnxruntime

    runner = edgekit.load(path)
    x = random_inputs(runner)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    p50 = medians(
        {"session.run": lambda: session.run(None, x), "infer_raw": lambda: runner.infer_raw(x)}
    )
    ratio = p50["infer_raw"] / p50["session.run"]
    row("resnet8 onnx: infer_raw / InferenceSession.run", f"{ratio:.3f}", "<= 1.05", ratio <= 1.05)


def real(folder: Path) -> None:
    for name in ("n64", "n1024", "n12288", "n150528", "s64", "s150528"):
        path = folder / f"{name}.int8.tflite"
        size = f"{name[1:]} values" + (" around zero" if name[0] == "s" else "")
        runner = edgekit.load(path)
        spec, out = runner.inputs[0], runner.outputs[0]
        x = random_inputs(runner)[spec.name]
        interpreter, a, b = hand(path)
        scale, zero = np.float32(spec.quantization.scale[0]), spec.quantization.zero_point[0]
        out_scale, out_zero = np.float32(out.quantization.scale[0]), out.quantization.zero_point[0]

        def obvious(i=interpreter, a=a, b=b, x=x, s=scale, z=zero, t=out_scale, y=out_zero) -> Any:
            i.set_tensor(a, np.clip(np.round(x / s) + z, -128, 127).astype(np.int8))
            i.invoke()
            return (i.get_tensor(b).astype(np.float32) - y) * t

        same = np.array_equal(obvious(), runner.infer({spec.name: x})[out.name])
        bare = hand(path)[0].invoke
        calls: Calls = {
            "invoke": bare,
            "obvious": obvious,
            "infer": lambda r=runner, n=spec.name, x=x: r.infer({n: x}),
        }
        p50 = medians(calls)
        ratio = (p50["infer"] - p50["invoke"]) / (p50["obvious"] - p50["invoke"])
        label = f"{size}: what infer adds / what numpy adds"
        row(label, f"{ratio:.2f}", "<= 0.60", ratio <= 0.60)
        row(f"{size}: bit-equal", str(same), "True", same)


HAND = """
import sys, numpy as np
from ai_edge_litert.interpreter import Interpreter
i = Interpreter(sys.argv[1], num_threads=1)
i.allocate_tensors()
a, b = i.get_input_details()[0], i.get_output_details()[0]
i.set_tensor(a["index"], np.zeros(a["shape"], a["dtype"]))
i.invoke()
i.get_tensor(b["index"])
"""
MINE = """
import sys, numpy as np, edgekit
r = edgekit.load(sys.argv[1])
s = r.inputs[0]
r.infer_raw({s.name: np.zeros(s.shape, s.dtype)})
"""
PEAK = 'print([l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM")][0])\n'


def cold(folder: Path) -> None:
    path = str(folder / "resnet8.int8.tflite")
    # pip compiles what it installs; a checkout may not be, and would be compiled in each process.
    compileall.compile_dir(str(Path(edgekit.__file__).parent), quiet=1)
    times: dict[str, list[float]] = {"hand": [], "mine": []}
    peaks: dict[str, list[float]] = {"hand": [], "mine": []}
    for turn in range(24):
        for name, code in (("hand", HAND), ("mine", MINE)):
            start = perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", code + PEAK, path], capture_output=True, check=True
            )
            # The first turns fill the page cache.
            if turn >= 4:
                times[name].append(perf_counter() - start)
                peaks[name].append(int(done.stdout) * 1024 / 1e6)
    mine, by_hand = np.median(times["mine"]), np.median(times["hand"])
    print(f"cold start: by hand {by_hand * 1000:.0f} ms, edgekit {mine * 1000:.0f} ms")
    row("cold start / by hand", f"{mine / by_hand:.3f}", "<= 1.15", mine / by_hand <= 1.15)
    more = float(np.median(peaks["mine"]) - np.median(peaks["hand"]))
    row("cold start: more resident memory", f"{more:.1f} MB", "<= 5 MB", more <= 5)


CACHED = """
import sys, numpy as np, edgekit
r = edgekit.load(sys.argv[1], weight_cache=True)
s = r.inputs[0]
r.infer_raw({s.name: np.zeros(s.shape, s.dtype)})
"""
ANONYMOUS = """
print([l.split()[1] for l in open("/proc/self/status") if l.startswith("RssAnon")][0])
"""


def weights(folder: Path) -> None:
    """A MobileNetV2 of 14 MB: what the weight cache saves of a cold start."""
    path = str(folder / "wide.float32.tflite")
    compileall.compile_dir(str(Path(edgekit.__file__).parent), quiet=1)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    codes = {"hand": HAND, "edgekit": MINE, "weight_cache": CACHED}
    times: dict[str, list[float]] = {name: [] for name in codes}
    memory: dict[str, list[float]] = {name: [] for name in codes}
    for turn in range(24):
        for name, code in codes.items():
            start = perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", code + ANONYMOUS, path],
                capture_output=True,
                check=True,
                env=environment,
            )
            # The first turns fill the page cache, and one of them the weight cache.
            if turn >= 4:
                times[name].append(perf_counter() - start)
                memory[name].append(int(done.stdout) * 1024 / 1e6)
    for name in codes:
        print(
            f"MobileNetV2 float32, process start to first answer, {name}: "
            f"{np.median(times[name]) * 1000:.0f} ms, {np.median(memory[name]):.1f} MB of its own"
        )


def parallel(folder: Path) -> None:
    runner = edgekit.load(folder / "resnet8.float32.tflite")
    spec = runner.inputs[0]
    x = np.random.default_rng(0).random((10_000, *spec.shape[1:]), np.float32)
    items = [{spec.name: x[i : i + 1]} for i in range(len(x))]
    ratios = []
    for _ in range(3):
        start = perf_counter()
        for item in items:
            runner.infer(item)
        one = perf_counter() - start
        start = perf_counter()
        for _ in runner.map(items, workers=2):
            pass
        ratios.append(one / (perf_counter() - start))
    ratio = float(np.median(ratios))
    row(
        "10,000 samples: one-interpreter loop / map(workers=2)",
        f"{ratio:.2f}",
        ">= 1.7",
        ratio >= 1.7,
    )

    def source(count: int) -> Any:
        return ({spec.name: x[i % 100 : i % 100 + 1]} for i in range(count))

    grown = []
    for count in (2_000, 20_000):
        before = resident()
        for _ in runner.map(source(count), workers=2):
            pass
        grown.append(resident() - before)
    print(
        f"map: memory grew by {grown[0]:.2f} MB over 2,000 samples, {grown[1]:.2f} MB over 20,000"
    )


def isolated(folder: Path) -> None:
    """What it costs to run a file in a sandboxed child: per call, and until the first one."""
    names = ("tiny.int8.tflite", "n150528.int8.tflite", "resnet8.int8.tflite")
    for name in (*names, "resnet8.float32.onnx", "wide.float32.tflite"):
        path = folder / name
        plain = edgekit.load(path)
        start = perf_counter()
        with edgekit.load(path, isolated=True) as runner:
            opened_ms = (perf_counter() - start) * 1000
            x = random_inputs(plain)
            calls: Calls = {
                "infer": lambda r=plain, x=x: r.infer(x),
                "isolated": lambda r=runner, x=x: r.infer(x),
            }
            p50 = medians(calls, 3.0)
        extra, ratio = p50["isolated"] - p50["infer"], p50["isolated"] / p50["infer"]
        print(f"{name}: opened in {opened_ms:.0f} ms, held by {runner.sandbox}")
        print(f"{name}: " + ", ".join(f"{k} {v:.1f} us" for k, v in p50.items()))
        met = extra <= 30 or (p50["infer"] > 1000 and ratio <= 1.05)
        target = "<= 1.05" if p50["infer"] > 1000 else "<= 30 us more"
        row(f"{name}: isolated / infer", f"{ratio:.3f} ({extra:+.1f} us)", target, met)


def resident() -> float:
    gc.collect()
    with Path("/proc/self/statm").open() as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak(folder: Path) -> None:
    runner = edgekit.load(folder / "tiny.int8.tflite")
    x = random_inputs(runner)
    for _ in range(10_000):
        runner.infer(x)
    handles, before = len(list(Path("/proc/self/fd").iterdir())), resident()
    for _ in range(1_000_000):
        runner.infer(x)
    grown = resident() - before
    row("1,000,000 inferences: memory grew by", f"{grown:.2f} MB", "< 1 MB", grown < 1)
    runner.close()
    left = len(list(Path("/proc/self/fd").iterdir())) - handles
    row("1,000,000 inferences: file handles left", str(left), "<= 0", left <= 0)


def size(folder: Path) -> None:
    del folder
    package = Path(edgekit.__file__).parent
    profiles = package.parent / "devices"
    files = [p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    files += list(profiles.glob("*.toml"))
    total = sum(p.stat().st_size for p in files) / 1e6
    row("base install on top of numpy and the interpreter", f"{total:.2f} MB", "< 3 MB", total < 3)


SECTIONS = {
    "raw": raw,
    "real": real,
    "cold": cold,
    "weights": weights,
    "map": parallel,
    "isolated": isolated,
    "soak": soak,
    "size": size,
}


def main() -> None:
    chosen = sys.argv[1:] or list(SECTIONS)
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        sys.exit(f"unknown section {', '.join(unknown)}, expected {', '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_models(folder)
        backend = edgekit.load(folder / "tiny.int8.tflite").backend
        print(
            f"{backend.name} {backend.version}, Python {sys.version.split()[0]}, numpy {np.__version__}"
        )
        for section in chosen:
            SECTIONS[section](folder)


if __name__ == "__main__":
    main()
