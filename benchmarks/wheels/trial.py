"""Tries every file of a corpus on the one interpreter that is installed, each in a forked child.

Runs inside a throw-away environment, with numpy and that interpreter alone, on Python 3.9 and later:

    python trial.py CORPUS OUT

reads ``CORPUS/**/*.tflite`` or ``*.onnx`` and what each is fed, ``<file>.npz`` (``<sample>.<input>``), and
writes ``OUT.json`` (how each ended) and ``OUT.npz`` (``<file>:<sample>.<output>``, the answers). What is in
there already is not tried again.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import signal
import sys
from pathlib import Path

import numpy as np

SECONDS = 60


def tflite_interpreter():
    if importlib.util.find_spec("tflite_runtime"):
        from tflite_runtime.interpreter import Interpreter

        return "tflite-runtime", Interpreter
    from ai_edge_litert.interpreter import Interpreter

    return "ai-edge-litert", Interpreter


def _run_tflite(interpreter_class, path, samples):
    # ai-edge-litert 1.1.0 fails wherever a number of threads is given.
    interpreter = interpreter_class(model_path=str(path))
    inputs = interpreter.get_input_details()
    interpreter.allocate_tensors()
    for sample in samples:
        for detail, x in zip(inputs, sample):  # noqa: B905
            interpreter.set_tensor(detail["index"], x)
        interpreter.invoke()
        details = interpreter.get_output_details()
        yield [interpreter.get_tensor(detail["index"]) for detail in details]


def _run_onnx(runtime, path, samples):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    for sample in samples:
        yield session.run(None, dict(zip(names, sample)))  # noqa: B905


def _samples(path):
    with np.load(f"{path}.npz", allow_pickle=False) as file:
        count = 1 + max((int(key.split(".")[0]) for key in file), default=-1)
        for number in range(count):
            inputs = sorted((int(k.split(".")[1]), k) for k in file if k.startswith(f"{number}."))
            yield [file[key] for _, key in inputs]


def _child(run, path, pipe):
    """Answers, or what the interpreter said, to the parent."""
    signal.alarm(SECONDS)
    try:
        stream = io.BytesIO()
        answers = {
            f"{number}.{i}": np.asarray(y)
            for number, outputs in enumerate(run(path, _samples(path)))
            for i, y in enumerate(outputs)
        }
        np.savez(stream, **answers)
        content = b"A" + stream.getvalue()
    except Exception as error:
        content = b"E" + " ".join(f"{type(error).__name__}: {error}".split())[:400].encode()
    with os.fdopen(pipe, "wb") as file:
        file.write(content)


def _try(run, path):
    """(how it ended, answers by ``sample.output``)."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _child(run, path, writer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        content = file.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"crashed: {signal.Signals(os.WTERMSIG(status)).name}", {}
    if content[:1] != b"A":
        return f"refused: {content[1:].decode('utf-8', 'replace')}", {}
    with np.load(io.BytesIO(content[1:]), allow_pickle=False) as file:
        return "runs", dict(file)


def main(corpus, out):
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        name, ending = "onnxruntime", "onnx"

        def run(path, samples):
            return _run_onnx(onnxruntime, path, samples)
    else:
        name, interpreter = tflite_interpreter()
        ending = "tflite"

        def run(path, samples):
            return _run_tflite(interpreter, path, samples)

    ends, answers = {}, {}
    if Path(f"{out}.json").exists():
        ends = json.loads(Path(f"{out}.json").read_text())["ends"]
        with np.load(f"{out}.npz", allow_pickle=False) as file:
            answers = dict(file)
    tried = dict(ends)
    for path in sorted(Path(corpus).rglob(f"*.{ending}")):
        key = str(path.relative_to(corpus))
        if key in tried:
            continue
        ends[key], given = _try(run, path)
        answers.update({f"{key}:{which}": y for which, y in given.items()})
    if len(ends) == len(tried):
        return
    np.savez_compressed(f"{out}.npz", **answers)
    document = {
        "interpreter": name,
        "version": importlib.metadata.version(name),
        "python": platform.python_version(),
        "ends": dict(sorted(ends.items())),
    }
    Path(f"{out}.json").write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
