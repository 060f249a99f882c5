"""Mutate model files and load them as `edgekit.load(path, verify=True)` does: no caller may crash or hang.

    python benchmarks/fuzz_models.py [N] [--seed SEED] [--keep DIR]

Each mutant passes through `edgekit.runtime.verify.verify`. A fresh interpreter a mutant would take
half a second, so a server that has imported the interpreters forks the trial instead; the code in
the trial and its limits are the same. What passes is loaded and run on random inputs in another
process: it stands for the calling program, is not forked and lives on from mutant to mutant. It is
supervised, so that its crash is counted, not suffered.

Keras files (`--format keras`, `--format h5`) are loaded as `edgekit.models.load` does, untrusted, in such a
process: bytes, configurations and HDF5 structures are mutated. So are SavedModels (`--format pb`), whose
graph is mutated, and which are run as well.

Prints how many mutants ended how; exits with 1 if a calling process crashed, hung or met an untyped
error. `--only I` runs one mutant of a seed again. `--trust-structure` leaves the check of structure
out, to see what it is good for; `--python` tries other versions of the interpreters.
"""

from __future__ import annotations

import argparse
import atexit
import fcntl
import importlib
import io
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import mutators
import numpy as np
import saved_mutators

MODELS = Path(__file__).parent.parent / "tests" / "models"
sys.path.append(str(MODELS.parent))
TRIAL_SECONDS = 5
HANG_SECONDS = 60
# A process that has to import TensorFlow first.
START_SECONDS = 300
WORKERS = 2
ABSURD = (0, 1, -1, 2, 3, 7, 255, 65536, 2**24, 2**30, 2**31 - 1, -(2**31), -2)

Rng = np.random.Generator


# The mutations: bytes of a model file to bytes that are wrong somewhere.


def flip(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    bits = np.frombuffer(data, np.uint8).copy()
    for _ in range(int(rng.geometric(0.25))):
        bits[rng.integers(len(bits))] ^= 1 << int(rng.integers(8))
    return bits.tobytes()


def word(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Numbers put over aligned words: offsets, lengths, indices, sizes."""
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4").copy()
    for _ in range(int(rng.geometric(0.5))):
        words[rng.integers(len(words))] = ABSURD[rng.integers(len(ABSURD))] % 2**32
    return words.tobytes() + data[len(words) * 4 :]


def truncate(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    cut = int(rng.integers(len(data)))
    return data[:cut] + bytes(len(data) - cut if rng.random() < 0.3 else 0)


def splice(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    """A piece of another file, or of this one, over or between the bytes of this one."""
    source = others[rng.integers(len(others))]
    length = int(rng.integers(1, max(2, len(source) // 4)))
    start = int(rng.integers(len(source) - length + 1))
    at = int(rng.integers(len(data)))
    gap = length if rng.random() < 0.7 else int(rng.integers(length + 1))
    return data[:at] + source[start : start + length] + data[at + gap :]


def _tflite(data: bytes, change: Callable[[Any, Any], None]) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    change(model, model.subgraphs[0])
    builder = flatbuffers.Builder(len(data) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _pick(rng: Rng, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def shapes_tflite(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(_model: Any, graph: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            what = rng.random()
            tensor = _pick(rng, graph.tensors)
            if what < 0.5 and tensor.shape is not None and len(tensor.shape):
                shape = [int(n) for n in tensor.shape]
                shape[int(rng.integers(len(shape)))] = int(_pick(rng, ABSURD))
                tensor.shape = shape
            elif what < 0.6:
                tensor.shape = [int(_pick(rng, ABSURD)) for _ in range(int(rng.integers(0, 9)))]
            elif what < 0.7:
                tensor.shapeSignature = [-1] * int(rng.integers(0, 6))
            elif what < 0.8:
                tensor.type = int(rng.integers(0, 20))
            elif what < 0.9 and tensor.quantization is not None:
                tensor.quantization.scale = [float(_pick(rng, [0, -1, 1e38, 1e-38, np.nan]))]
                tensor.quantization.zeroPoint = [int(_pick(rng, ABSURD))]
            else:
                options = _pick(rng, graph.operators).builtinOptions
                numbers = [k for k, v in vars(options).items() if type(v) is int] if options else []
                if numbers:
                    value = int(_pick(rng, ABSURD))
                    name = _pick(rng, numbers)
                    setattr(options, name, value if abs(value) < 100 or "tride" in name else 1)

    return _tflite(data, change)


def graph_tflite(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Cycles, gaps, other operators, other tensors, other order."""

    def change(model: Any, graph: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            what = rng.random()
            # An operator may read nothing, or give nothing.
            whole = [op for op in graph.operators if len(op.inputs) and len(op.outputs)]
            operator, other = _pick(rng, whole), _pick(rng, whole)
            if what < 0.3:
                operator.inputs = list(operator.inputs)
                operator.inputs[int(rng.integers(len(operator.inputs)))] = int(other.outputs[0])
            elif what < 0.4:
                operator.outputs = [int(rng.integers(-1, len(graph.tensors) + 1))]
            elif what < 0.55:
                operator.inputs = rng.integers(
                    -1, len(graph.tensors), len(operator.inputs)
                ).tolist()
            elif what < 0.65:
                rng.shuffle(graph.operators)
            elif what < 0.75:
                code = _pick(rng, model.operatorCodes)
                code.builtinCode = int(rng.integers(0, 210))
                code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            elif what < 0.85:
                operator.opcodeIndex = int(rng.integers(len(model.operatorCodes) + 1))
            elif what < 0.95:
                _pick(rng, graph.tensors).buffer = int(rng.integers(len(model.buffers) + 1))
            else:
                graph.outputs = [int(rng.integers(len(graph.tensors)))]

    return _tflite(data, change)


def constants_tflite(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Absurd numbers in constants: axes, shapes to reshape to, indices to gather."""

    def change(model: Any, _: Any) -> None:
        filled = [b for b in model.buffers if b.data is not None and len(b.data) >= 4]
        small = [b for b in filled if len(b.data) <= 32] or filled
        if not small:
            return
        for _ in range(int(rng.integers(1, 3))):
            buffer = _pick(rng, small)
            values = np.asarray(buffer.data, np.uint8)[: len(buffer.data) // 4 * 4].copy()
            words = values.view("<i4")
            words[rng.integers(len(words))] = _pick(rng, ABSURD)
            buffer.data = values

    return _tflite(data, change)


def _onnx(data: bytes, change: Callable[[Any], None]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    change(model.graph)
    return bytes(model.SerializeToString())


def shapes_onnx(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(graph: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            what = rng.random()
            if what < 0.35 and graph.initializer:
                dims = _pick(rng, graph.initializer).dims
                if dims:
                    dims[int(rng.integers(len(dims)))] = int(_pick(rng, ABSURD))
            elif what < 0.7:
                info = _pick(rng, [*graph.input, *graph.output, *graph.value_info])
                dims = info.type.tensor_type.shape.dim
                if dims:
                    _pick(rng, dims).dim_value = int(_pick(rng, ABSURD))
                info.type.tensor_type.elem_type = int(
                    info.type.tensor_type.elem_type if rng.random() < 0.7 else rng.integers(17)
                )
            else:
                attributes = [a for node in graph.node for a in node.attribute if a.ints or a.i]
                if attributes:
                    attribute = _pick(rng, attributes)
                    if attribute.ints:
                        place = int(rng.integers(len(attribute.ints)))
                        attribute.ints[place] = int(_pick(rng, ABSURD))
                    else:
                        attribute.i = int(_pick(rng, ABSURD))

    return _onnx(data, change)


def graph_onnx(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(graph: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            what = rng.random()
            node, other = _pick(rng, graph.node), _pick(rng, graph.node)
            if what < 0.5 and node.input:
                names = [*other.output, *(t.name for t in graph.initializer), ""]
                source = names[0] if rng.random() < 0.6 else _pick(rng, names)
                node.input[int(rng.integers(len(node.input)))] = source
            elif what < 0.65 and node.output:
                node.output[0] = other.output[0]
            elif what < 0.8:
                node.op_type = _pick(
                    rng,
                    [
                        "Gather",
                        "Reshape",
                        "Conv",
                        "MatMul",
                        "Loop",
                        "If",
                        "Scan",
                        "Range",
                        "Tile",
                        "Expand",
                        "Resize",
                        "Pad",
                        "Concat",
                        "TopK",
                        "OneHot",
                        "GatherND",
                        "ScatterElements",
                        "ConstantOfShape",
                        "LSTM",
                        "NonZero",
                    ],
                )
            elif what < 0.9 and node.input:
                del node.input[int(rng.integers(len(node.input)))]
            else:
                node.input.append(other.output[0] if other.output else "")

    return _onnx(data, change)


def constants_onnx(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(graph: Any) -> None:
        raw = [t for t in graph.initializer if len(t.raw_data) >= 4]
        small = [t for t in raw if len(t.raw_data) <= 64] or raw
        if not small:
            return
        for _ in range(int(rng.integers(1, 3))):
            tensor = _pick(rng, small)
            width = "<i8" if tensor.data_type == 7 and len(tensor.raw_data) % 8 == 0 else "<i4"
            size = np.dtype(width).itemsize
            head = len(tensor.raw_data) // size * size
            words = np.frombuffer(tensor.raw_data[:head], width).copy()
            words[rng.integers(len(words))] = _pick(rng, ABSURD)
            tensor.raw_data = words.tobytes() + tensor.raw_data[head:]

    return _onnx(data, change)


def _config(data: bytes, rng: Rng) -> bytes:
    """Another configuration in an architecture's JSON."""
    from support.keras_mutants import mutant as changed

    seed = random.Random(int(rng.integers(2**62)))
    return json.dumps(changed(json.loads(data), seed)).encode()


def config_keras(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "model.weights.h5" and rng.random() < 0.2:
                content = structure_h5(content, rng, [])
            new.writestr(name, _config(content, rng) if name == "config.json" else content)
    return target.getvalue()


def _changed_h5(data: bytes, change: Callable[[Any], None]) -> bytes:
    import h5py

    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        change(file)
    return stream.getvalue()


def config_h5(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(file: Any) -> None:
        text = file.attrs["model_config"]
        text = text.encode() if isinstance(text, str) else text
        del file.attrs["model_config"]
        file.attrs["model_config"] = _config(text, rng).decode()

    return _changed_h5(data, change)


def structure_h5(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Links to elsewhere, circles, absurd sizes, other types."""
    import h5py

    def change(file: Any) -> None:
        names: list[str] = []
        file.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        name = _pick(rng, names)
        what = int(rng.integers(6))
        del file[name]
        if what == 0:
            file[name] = h5py.ExternalLink("/etc/hostname", "/x")
        elif what == 1:
            file[name] = h5py.SoftLink(f"/{_pick(rng, names)}")
        elif what == 2:
            file[name] = file["/"]
        elif what == 3:
            file.create_dataset(name, (2**31, 2**20), "float32")
        elif what == 4:
            file[name] = "text"
        else:
            shape = [int(n) for n in rng.integers(0, 5, int(rng.integers(5)))]
            file[name] = np.zeros(shape, _pick(rng, ["f4", "i8", "?", "c16"]))

    return _changed_h5(data, change)


def quantisation_tflite(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(_model: Any, graph: Any) -> None:
        tables = [tensor.quantization for tensor in graph.tensors if tensor.quantization]
        if tables:
            mutators.quantisation(tables, rng)

    return _tflite(data, change)


def signatures_tflite(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    return _tflite(data, lambda model, _graph: mutators.signatures(model, rng))


def metadata_onnx(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    mutators.about_onnx(model, rng)
    content: bytes = model.SerializeToString()
    return content


_ANY = [flip, word, truncate, splice]
MUTATIONS: dict[str, list[Callable[[bytes, Rng, list[bytes]], bytes]]] = {
    ".tflite": [
        *_ANY,
        shapes_tflite,
        graph_tflite,
        constants_tflite,
        quantisation_tflite,
        signatures_tflite,
    ],
    ".onnx": [*_ANY, shapes_onnx, graph_onnx, constants_onnx, metadata_onnx],
    ".npz": [flip, truncate, splice, mutators.golden, mutators.golden],
    ".json": [flip, truncate, splice, mutators.document, mutators.document, mutators.document],
    ".keras": [flip, splice, *[config_keras] * 6],
    ".h5": [flip, splice, *[config_h5] * 4, *[structure_h5] * 2],
    ".pb": [flip, splice, *[saved_mutators.graph] * 8],
}


# Files that TensorFlow makes and loads.
KERAS = {"keras": (".keras",), "h5": (".h5",), "pb": (".pb",)}


def make_keras(folder: Path) -> None:
    """Small models of both flavours, as their own savers write them."""
    import keras
    import tf_keras

    for library in (keras, tf_keras):
        layers = library.layers
        given = library.Input((8, 8, 2), name="x")
        y = layers.Conv2D(3, 3, activation="relu", kernel_regularizer="l2")(given)
        y = layers.Reshape((12, 9))(layers.BatchNormalization()(y))
        y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(y)
        inner = library.Sequential([library.Input((12, 6)), layers.Flatten(), layers.Dense(4)])
        y = layers.Dropout(0.1)(inner(layers.TimeDistributed(layers.Dense(6))(y)))
        model = library.Model(given, layers.Dense(2, kernel_initializer="he_normal")(y))
        for ending in (".keras", ".h5"):
            model.save(folder / f"{library.__name__}{ending}")
    saved_mutators.make(folder / "saved")


def serve_keras() -> None:
    """A program that loads Keras files of others."""
    from edgekit.errors import EdgekitError
    from edgekit.models import load

    def answer(path: str) -> dict[str, Any]:
        try:
            if path.endswith(".pb"):
                saved_mutators.read(Path(path))()
            else:
                load(path)
        except EdgekitError as error:
            return {"refused": str(error)}
        except Exception as error:
            return {"untyped": repr(error)}
        return {"ran": 1}

    _serve(answer)


def seeds() -> dict[str, list[tuple[str, bytes]]]:
    """The files to mutate, by ending."""
    endings = [".tflite"]
    if find_spec("onnxruntime") and find_spec("onnx"):
        endings.append(".onnx")
    files = {
        ending: [(p.name, p.read_bytes()) for p in sorted(MODELS.glob(f"*{ending}"))]
        for ending in endings
    }
    with tempfile.TemporaryDirectory(prefix="edgekit-fuzz-") as folder:
        return {**files, **mutators.made(MODELS, Path(folder))}


def mutant(files: dict[str, list[tuple[str, bytes]]], seed: int, number: int) -> tuple[str, ...]:
    """Ending, mutation and name of the file mutated, and the bytes, of one mutant."""
    rng = np.random.default_rng([seed, number])
    ending = list(files)[number % len(files)]
    name, data = _pick(rng, files[ending])
    mutate = _pick(rng, MUTATIONS[ending])
    others = [content for _, content in files[ending]]
    return ending, mutate.__name__.split("_")[0], name, mutate(data, rng, others)


# The processes that stand for a calling program. They read a path a line and answer in JSON.


def _serve(answer: Callable[[str], dict[str, Any]]) -> None:
    # Native code writes to 1 and 2 as it likes; answers have a stream of their own.
    replies = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for line in sys.stdin:
        print(json.dumps(answer(line.strip())), file=replies, flush=True)


def _forked(words: list[str], limits: Any) -> Any:
    """`edgekit.runtime.sandbox.run.run_sandboxed` without the start of an interpreter.

    Without Landlock: the server that forks has read whatever it wanted already.
    """
    from edgekit.runtime.child import Ended
    from edgekit.runtime.limits import limit_process
    from edgekit.runtime.sandbox.run import Sandboxed
    from edgekit.runtime.sandbox.seccomp import refuse_all_else
    from edgekit.runtime.sandbox.state import Sandbox
    from edgekit.runtime.trial import try_out

    # Files it may not write; pipes have room for what is said.
    streams = [os.pipe() for _ in range(2)]
    for _, writer in streams:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.setsid()
            for descriptor, (_, writer) in enumerate(streams, start=1):
                os.dup2(writer, descriptor)
            limit_process(limits.seconds, limits.memory_bytes)
            held = {"seccomp": refuse_all_else(), "landlock": None}
            os.write(1, json.dumps([held, try_out(*words)]).encode())
            code = 0
        finally:
            os._exit(code)
    waiting = os.pidfd_open(pid)
    in_time = bool(select.select([waiting], [], [], 2 * limits.seconds)[0])
    os.close(waiting)
    if not in_time:
        os.killpg(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    texts = []
    for reader, writer in streams:
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            texts.append(stream.read().decode("utf-8", "replace"))
    ended = Ended(code if in_time else None, *texts)
    if ended.code != 0:
        return Sandboxed(ended, False, None, None)
    # The interpreter may have written to stdout before.
    held, answer = json.loads(texts[0][texts[0].index('[{"seccomp"') :])
    return Sandboxed(ended, True, answer, Sandbox(held["seccomp"], None))


def serve_checks(structure: bool) -> None:
    """The half of `load(path, verify=True)` that verifies."""
    from edgekit.artifact import Artifact
    from edgekit.errors import ArtifactError
    from edgekit.runtime import verify
    from edgekit.runtime.backends import module_of
    from edgekit.runtime.options import Options

    tflite = "litert" if find_spec("ai_edge_litert") else "tflite-runtime"
    for backend in (tflite, "onnxruntime"):
        module = module_of(backend)
        if find_spec(module.partition(".")[0]):
            importlib.import_module(module)
    if not structure:
        verify.tflite_fault = lambda _: None  # type: ignore[assignment]
    limits = verify.Limits(TRIAL_SECONDS, 1 << 30)

    def answer(path: str) -> dict[str, Any]:
        artifact = Artifact.of(path)
        backend = tflite if artifact.format == "tflite" else "onnxruntime"
        try:
            verify.verify(artifact, backend, Options(), limits=limits, trial=_forked)
        except ArtifactError as error:
            return {"refused": str(error)}
        except Exception as error:
            return {"untyped": repr(error)}
        return {}

    _serve(answer)


def serve_calls() -> None:
    """The other half: load what passed and run it on inputs that the trial has not seen."""
    import edgekit
    from edgekit.errors import EdgekitError
    from edgekit.runtime.random_inputs import random_inputs
    from edgekit.runtime.trial import _inputs

    def call(path: str, ran: list[int]) -> None:
        with edgekit.load(path) as runner:
            shapes = {s.name: s.concrete_shape(2, 5) for s in runner.inputs}
            for seed in range(3):
                kinds = ("any", "small", "odd")
                raw = _inputs(runner.inputs, shapes, kinds[seed])
                single = random_inputs(runner, seed)
                for method, x in (
                    (runner.infer, single),
                    (runner.infer_raw, raw),
                    (runner.infer_batch, single),
                ):
                    with suppress(EdgekitError):
                        method(x)
                        ran[0] += 1

    def answer(path: str) -> dict[str, Any]:
        ran = [0]
        try:
            if path.endswith((".npz", ".json")):
                ran[0] += mutators.read(Path(path))()
            else:
                call(path, ran)
        except EdgekitError as error:
            return {"refused": str(error)}
        except Exception as error:
            return {"untyped": repr(error)}
        return {"ran": ran[0]}

    _serve(answer)


class Supervised:
    """A process of the above, started again when it has died."""

    def __init__(self, python: str, *words: str) -> None:
        self._python = python
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, path: Path) -> dict[str, Any]:
        patience = HANG_SECONDS
        if self._process is None:
            patience = START_SECONDS
            environment = dict(os.environ)
            if self._words[0] == "checks":
                environment["MALLOC_PERTURB_"] = "165"
            self._process = subprocess.Popen(
                [self._python, __file__, "--role", *self._words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{path}\n".encode())
        process.stdin.flush()
        if not select.select([process.stdout], [], [], patience)[0]:
            self.close()
            return {"hung": True}
        line = process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = process.wait()
        self.close()
        return {"crashed": signal.Signals(-code).name if code < 0 else f"exit code {code}"}

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


BROKEN = "CALLING PROCESS"


def outcome(checks: Supervised, calls: Supervised, path: Path) -> tuple[str, str]:
    """A word for what became of one mutant, and what was said."""
    # Keras files, golden files and documents have no trial.
    for process in (checks, calls) if path.suffix in (".tflite", ".onnx") else (calls,):
        answer = process.ask(path)
        for failure in ("crashed", "hung", "untyped"):
            if failure in answer:
                return f"{BROKEN} {failure}: {answer[failure]}", ""
        if "refused" in answer:
            text = answer["refused"]
            if process is calls:
                return "passed, refused when loaded", text
            for sign, kind in (
                ("not a whole", "refused: structure"),
                ("changed while", "refused: changed"),
                ("did not finish", "trial: too long"),
                ("wanted more", "trial: too much memory"),
                ("was refused", "trial: error of the interpreter"),
                ("crashed the interpreter with ", "trial: crash"),
            ):
                if sign in text:
                    name = text.split(sign)[1].split()[0] if "crash" in kind else ""
                    return f"{kind} {name}".strip(), text
            return "trial: ended by itself", text
    return "loaded and ran" if answer["ran"] else "loaded, typed errors for all inputs", ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="I", help="run mutant I alone and say all")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="mutants that crash are put here")
    parser.add_argument("--trust-structure", action="store_true")
    parser.add_argument(
        "--format",
        choices=["tflite", "onnx", "npz", "json", *KERAS],
        help="mutate such files alone",
    )
    parser.add_argument(
        "--python", default=sys.executable, help="an interpreter whose environment loads the files"
    )
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        if args.role[0] == "make":
            make_keras(Path(args.role[1]))
        elif args.role[0] == "keras":
            serve_keras()
        elif args.role[0] == "calls":
            serve_calls()
        else:
            serve_checks(args.role[1] == "all")
        return 0
    if args.format in KERAS:
        with tempfile.TemporaryDirectory(prefix="edgekit-fuzz-") as folder:
            words = [args.python, __file__, "--role", "make", folder]
            subprocess.run(words, check=True, capture_output=True)
            files = {
                ending: [
                    (p.name, p.read_bytes())
                    for p in sorted(Path(folder).rglob(f"*{ending}"))
                    if p.stem != "fingerprint"
                ]
                for ending in KERAS[args.format]
            }
            if args.format == "pb":
                kept = tempfile.mkdtemp(prefix="edgekit-fuzz-")
                atexit.register(shutil.rmtree, kept, True)
                os.environ[saved_mutators.SEED] = str(
                    shutil.copytree(Path(folder, "saved"), f"{kept}/saved")
                )
    else:
        files = {e: f for e, f in seeds().items() if args.format in (None, e[1:])}
    counts: dict[str, Counter[str]] = {}
    outcomes: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()
    start = perf_counter()
    numbers = [args.only] if args.only is not None else range(args.count)

    def work(stripe: int, folder: Path) -> None:
        checks = Supervised(args.python, "checks", "trial" if args.trust_structure else "all")
        calls = Supervised(args.python, "keras" if args.format in KERAS else "calls")
        try:
            for number in numbers[stripe::WORKERS]:
                ending, mutation, name, data = mutant(files, args.seed, number)
                path = folder / f"{number}{ending}"
                path.write_bytes(data)
                kind, text = outcome(checks, calls, path)
                path.unlink()
                if args.keep and (BROKEN in kind or "crash" in kind or "too" in kind):
                    args.keep.mkdir(parents=True, exist_ok=True)
                    (args.keep / f"{kind.split()[-1]}.{number}.{mutation}.{name}").write_bytes(data)
                with lock:
                    outcomes[ending[1:], kind] += 1
                    counts.setdefault(f"{ending[1:]} {mutation}", Counter())[kind] += 1
                    if BROKEN in kind or args.only is not None:
                        print(f"mutant {number}, {mutation} of {name}: {kind} {text}", flush=True)
        finally:
            checks.close()
            calls.close()

    with tempfile.TemporaryDirectory(prefix="edgekit-fuzz-") as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        threads = [
            threading.Thread(target=work, args=(stripe, Path(folder))) for stripe in range(WORKERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    done = sum(outcomes.values())
    for (ending, kind), n in sorted(outcomes.items()):
        print(f"{ending:7} {kind:45} {n:6}")
    print()
    for row, counter in sorted(counts.items()):
        passed = counter["loaded and ran"]
        print(f"{row:20} {counter.total():6}, of these loaded and ran {passed}")
    broken = sum(n for (_, kind), n in outcomes.items() if BROKEN in kind)
    print(f"\n{done} mutants, seed {args.seed}, {perf_counter() - start:.0f} s, broken: {broken}")
    # A worker thread that died has left mutants out: that is no success either.
    return 0 if not broken and done == len(numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
