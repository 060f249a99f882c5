"""How long an int8 file takes on the one interpreter that is installed, as a multiple of its float file.

    python race.py FLOAT INT8 OUT

Turn by turn, one thread, the median of each; runs where `trial.py` runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from trial import tflite_interpreter

SECONDS = 4


def _tflite(path):
    interpreter = tflite_interpreter()[1](model_path=path)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        x = rng.random(detail["shape"]) * 100
        interpreter.set_tensor(detail["index"], x.astype(detail["dtype"]))
    return interpreter.invoke


def _onnx(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feed = {n.name: rng.random(n.shape).astype(np.float32) for n in session.get_inputs()}
    return lambda: session.run(None, feed)


def main(float_file, int8_file, out):
    load = _onnx if float_file.endswith(".onnx") else _tflite
    calls = [load(float_file), load(int8_file)]
    times = [[], []]
    end = perf_counter_ns() + SECONDS * 10**9
    while perf_counter_ns() < end:
        for call, taken in zip(calls, times):  # noqa: B905
            start = perf_counter_ns()
            call()
            taken.append(perf_counter_ns() - start)
    float_ns, int8_ns = (float(np.median(taken)) for taken in times)
    Path(out).write_text(json.dumps({"ratio": int8_ns / float_ns, "float_us": float_ns / 1000}))


if __name__ == "__main__":
    main(*sys.argv[1:])
