"""Run a file that was just made, on the samples of the check, in the interpreter that is installed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import batches
from edgekit.convert.check.ends import End, ends_of
from edgekit.errors import ArtifactError, one_line, require
from edgekit.formats.graph import Tensor
from edgekit.formats.model_file import ModelFile
from edgekit.formats.more_outputs import onnx_with_outputs, tflite_with_outputs
from edgekit.runtime.onnx_session import has_modes, is_exact, open_exact, open_session
from edgekit.runtime.shapes import allocated
from edgekit.runtime.tflite import spec_of
from edgekit.samples import Samples
from edgekit.tensor import dequantize, quantize

_PURPOSE = "Checking a file"

# Samples that onnxruntime's two modes on x86 are compared on.
_COMPARED = 16

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Answers:
    """What a file answers.

    Attributes:
        outputs: by name, float where the file rounds, samples first.
        logits: what goes into a rounded softmax or sigmoid, by the output's name.
        ends: what each output is made of.
        kernels: which interpreters ran it, with versions and modes.
        modes_differ: whether onnxruntime's exact mode on x86 answers otherwise than its fast one.
    """

    outputs: Arrays
    logits: Arrays
    ends: Mapping[str, End]
    kernels: tuple[str, ...]
    modes_differ: bool = False


def run(file: ModelFile, samples: Samples) -> Answers:
    """Run a file on all samples, in their order, without a reset between them.

    Args:
        file: as it is written.
        samples: under the names of its inputs, float where the file rounds.

    Raises:
        ArtifactError: it does not load, or an inference fails.
    """
    ends = ends_of(file.model, file.content)
    logits = {name: end.logits for name, end in ends.items() if end.logits is not None}
    open_file = {"tflite": _tflite, "onnx": _onnx}[file.model.format]
    try:
        found, kernels = _answers(open_file(file, logits), samples)
        exact: Arrays = {}
        more: tuple[str, ...] = ()
        if file.model.format == "onnx" and has_modes() and _holds_integers(file):
            few = Samples({n: x[:_COMPARED] for n, x in samples.inputs.items()})
            exact, more = _answers(_onnx(file, {}, exact=True), few)
    except (ValueError, RuntimeError, TypeError) as error:
        raise ArtifactError(f"fails on a sample: {one_line(error)}") from error
    differ = any(
        not np.array_equal(x, found[n][: len(x)], equal_nan=x.dtype.kind == "f")
        for n, x in exact.items()
    )
    inner = {name: found.pop(_inner(name)) for name in logits}
    return Answers(found, inner, ends, (*kernels, *more), differ)


def _answers(opened: _Opened, samples: Samples) -> tuple[Arrays, tuple[str, ...]]:
    step, batch, kernels = opened
    rows = [_in_shape(step(inputs)) for inputs in batches(samples, batch)]
    joined = {
        name: joined_rows([row[name] for row in rows], batch, len(samples)) for name in rows[0]
    }
    return joined, (kernels,)


def _holds_integers(file: ModelFile) -> bool:
    """Whether an ONNX file has weights of 8 bits."""
    return any(t.dtype in ("int8", "uint8") for g in file.model.graphs for t in g.constants)


# One inference: arrays in, arrays out; those that go into a softmax under names of their own.
_Step = Callable[[Mapping[str, NDArray[Any]]], Arrays]
_Opened = tuple[_Step, int, str]


_LOGITS = "\0logits"


def _inner(output: str) -> str:
    return f"{output}{_LOGITS}"


def _in_shape(row: Arrays) -> Arrays:
    """One inference; what goes into a softmax in the shape of what comes out of it, samples first.

    A dense layer for every step takes samples and steps as one axis.
    """
    return {
        name: x.reshape(row[name.removesuffix(_LOGITS)].shape) if name.endswith(_LOGITS) else x
        for name, x in row.items()
    }


def joined_rows(parts: list[NDArray[Any]], batch: int, count: int) -> NDArray[Any]:
    """What came of `count` samples, `batch` at a time, samples first.

    What has no axis of samples, such as a constant, is the same for all.
    """
    return np.concatenate([_by_sample(part, batch) for part in parts])[:count]


def _by_sample(part: NDArray[Any], batch: int) -> NDArray[Any]:
    if part.ndim and len(part) == batch:
        return part
    one = part if part.ndim and len(part) == 1 else part[None]
    return np.repeat(one, batch, axis=0)


def _tflite(file: ModelFile, logits: Mapping[str, Tensor]) -> _Opened:
    module = require("ai_edge_litert.interpreter", "export", _PURPOSE)
    version = require("ai_edge_litert", "export", _PURPOSE).__version__
    # A tensor's key is its graph's number and its own.
    places = {_inner(name): int(tensor.key.split(":")[1]) for name, tensor in logits.items()}
    content = tflite_with_outputs(file.content, file.model.main, list(places.values()))
    interpreter = allocated(partial(module.Interpreter, model_content=content, num_threads=1))
    signatures = interpreter._get_full_signature_list()
    signature = next(iter(signatures.values()))
    takes, gives = dict(signature["inputs"]), {**signature["outputs"], **places}
    details = {row["index"]: row for row in interpreter.get_tensor_details()}
    used = {*takes.values(), *gives.values()}
    specs = {index: spec_of(details[index]["name"], details[index]) for index in used}

    sizes = {index: tuple(map(int, details[index]["shape"])) for index in takes.values()}

    def step(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        for name, index in takes.items():
            spec, x = specs[index], np.asarray(inputs[name])
            grid, dtype = spec.quantization, details[index]["dtype"]
            given = quantize(x, grid, dtype) if grid else x.astype(dtype, copy=False)
            if sizes[index] != given.shape:
                # A dynamic dimension takes the size that the samples have.
                interpreter.resize_tensor_input(index, given.shape)
                interpreter.allocate_tensors()
                sizes[index] = given.shape
            interpreter.set_tensor(index, given)
        interpreter.invoke()
        found = {}
        for name, index in gives.items():
            values, grid = np.asarray(interpreter.get_tensor(index)), specs[index].quantization
            found[name] = dequantize(values, grid) if grid else values
        return found

    shapes = [details[index]["shape"] for index in takes.values()]
    return step, int(shapes[0][0]) if len(shapes[0]) else 1, f"ai-edge-litert {version}"


def _as_bytes(x: NDArray[Any]) -> NDArray[Any]:
    """Texts as TensorFlow and LiteRT give them."""
    if x.dtype.kind != "O":
        return x
    return np.array([str(text).encode() for text in x.flat], object).reshape(x.shape)


def _onnx(file: ModelFile, logits: Mapping[str, Tensor], *, exact: bool = False) -> _Opened:
    runtime = require("onnxruntime", "export", _PURPOSE)
    names = {_inner(name): tensor.name for name, tensor in logits.items()}
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    content = onnx_with_outputs(file.content, list(names.values()))
    try:
        session = (open_exact if exact else open_session)(content, options)
    # Its own exceptions have no other base.
    except Exception as error:
        raise ArtifactError(one_line(error)) from error
    gives = {**{name: tensor.name for name, tensor in file.model.outputs.items()}, **names}
    takes = {name: tensor.name for name, tensor in file.model.inputs.items()}
    dtypes = {name: np.dtype(tensor.dtype) for name, tensor in file.model.inputs.items()}

    def step(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        feed = {takes[n]: np.asarray(inputs[n]).astype(dtype) for n, dtype in dtypes.items()}
        try:
            found = session.run(list(gives.values()), feed)
        except Exception as error:
            raise ArtifactError(f"fails on a sample: {one_line(error)}") from error
        return {name: _as_bytes(x) for name, x in zip(gives, found, strict=True)}

    first = next(iter(file.model.inputs.values())).shape or (1,)
    mode = ", exact mode" if exact or is_exact(options) else ""
    return step, first[0] or 16, f"onnxruntime {runtime.__version__}{mode}"
