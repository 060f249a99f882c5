"""Does `edgekit bench` measure what others measure? Ratios of medians, in turns in one run.

    python benchmarks/peers.py [--rounds N] [--seconds S]

ResNet-8 with random weights on 32x32x3, float32 and int8, one thread. Each row holds edgekit's p50 against a
peer's median of the same file and backend, each in a fresh process, one after the other:

    litert-benchmark   of the ai-edge-litert wheel, its unrounded times: it prints two decimals of a millisecond
    by hand            a loop around the interpreter that takes and gives float values, as `infer` does

onnxruntime's own performance test is a program that its wheel does not hold.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from runtime import make_models

import edgekit

LITERT_BENCHMARK = """
import contextlib, io, json, statistics, sys
from types import SimpleNamespace
from ai_edge_litert.tools import benchmark_litert_model as peer
times = []
peer.statistics = SimpleNamespace(
    mean=statistics.mean, stdev=statistics.stdev, median=lambda x: times.extend(x) or statistics.median(x)
)
sys.argv = ["litert-benchmark", "--model", sys.argv[1], "--num_runs", sys.argv[2], "--warmup_runs", "50"]
with contextlib.redirect_stdout(io.StringIO()):
    peer.run_benchmark(peer.parse_args())
print(json.dumps(statistics.median(times)))
"""

BY_HAND = """
import json, statistics, sys
from time import perf_counter
import numpy as np
path, runs = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(0)
if path.endswith(".onnx"):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    x = rng.random((1, 32, 32, 3), np.float32)
    def call(): return session.run(None, {name: x})
else:
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    given, = interpreter.get_input_details()
    taken, = interpreter.get_output_details()
    x = rng.random(tuple(given["shape"]), np.float32)
    whole = given["dtype"] == np.int8
    scale, zero = given["quantization"]
    back, null = taken["quantization"]
    def call():
        q = np.clip(np.rint(x * (1 / scale)) + zero, -128, 127).astype(np.int8) if whole else x
        interpreter.set_tensor(given["index"], q)
        interpreter.invoke()
        y = interpreter.get_tensor(taken["index"])
        return (y.astype(np.float32) - null) * back if whole else y
for _ in range(50):
    call()
times = []
for _ in range(runs):
    start = perf_counter()
    call()
    times.append(1000 * (perf_counter() - start))
print(json.dumps(statistics.median(times)))
"""

ROWS = (
    ("resnet8.float32.tflite", "litert-compiled", "litert-benchmark", LITERT_BENCHMARK),
    ("resnet8.int8.tflite", "litert-compiled", "litert-benchmark", LITERT_BENCHMARK),
    ("resnet8.float32.tflite", "litert", "by hand", BY_HAND),
    ("resnet8.int8.tflite", "litert", "by hand", BY_HAND),
    ("resnet8.float32.onnx", "onnxruntime", "by hand", BY_HAND),
    ("resnet8.int8.onnx", "onnxruntime", "by hand", BY_HAND),
)


def ours(path: Path, backend: str, seconds: float) -> float:
    with edgekit.load(path, backend=backend) as runner:
        (run,) = edgekit.benchmark(runner, seconds=seconds, processes=1).runs
    return run.latency.p50_ms


def theirs(path: Path, code: str, runs: int) -> float:
    words = [sys.executable, "-c", code, str(path), str(runs)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_models(folder)
        print(f"{'file':24} {'backend':16} {'peer':17} {'ms':>8} {'peer ms':>8}  ratio  range")
        for file, backend, peer, code in ROWS:
            path = folder / file
            pairs = []
            for _ in range(args.rounds):
                own = ours(path, backend, args.seconds)
                pairs.append((own, theirs(path, code, max(30, round(1000 * args.seconds / own)))))
            ratios = sorted(own / other for own, other in pairs)
            ratio = statistics.median(ratios)
            met = "met" if abs(ratio - 1) <= 0.05 else "MISSED"
            own, other = (statistics.median(each) for each in zip(*pairs, strict=True))
            print(
                f"{file:24} {backend:16} {peer:17} {own:8.4f} {other:8.4f} {ratio:6.3f}  "
                f"{ratios[0]:.3f} to {ratios[-1]:.3f}  within 5 %: {met}",
                flush=True,
            )


if __name__ == "__main__":
    main()
