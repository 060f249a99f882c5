"""More than one inference: batches of any size, samples on all cores, streams with state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import TensorError, UsageError, whole_number
from edgekit.runtime.arrange import as_array, require_mapping
from edgekit.tensor import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekit.runtime.inferring import Arrays, Inferring, Results

# Samples at a time where the file leaves it open: enough to be quick, too few to fill the memory.
_OPEN_BATCH = 64

_MAX_WORKERS = 256


def infer_batch(runner: Inferring, inputs: Arrays, workers: int) -> Results:
    """`Runner.infer_batch`."""
    parts = list(infer_batches(runner, inputs, workers))
    return {
        spec.name: np.concatenate([part[spec.name] for part in parts]) for spec in runner.outputs
    }


def infer_batches(runner: Inferring, inputs: Arrays, workers: int) -> Iterator[Results]:
    """`Runner.infer_batches`."""
    require_mapping(inputs, runner.inputs)
    if not runner.inputs:
        raise TensorError(
            f"{runner.artifact.name}: takes no inputs, so it has no batch. Run it with infer({{}})."
        )
    # Lazy arrays (`edgekit.samples`) have a shape as well; they are read a batch at a time.
    inputs = {name: x if hasattr(x, "shape") else as_array(name, x) for name, x in inputs.items()}
    counts = {name: len(x) if x.ndim else 0 for name, x in inputs.items()}
    if len(set(counts.values())) != 1 or not min(counts.values()):
        raise TensorError(
            f"received samples {counts}, expected as many in each input, at least one."
        )
    if not all(spec.shape for spec in runner.inputs):
        raise TensorError(
            f"{runner.artifact.name}: an input without axes has no batch. Run the samples one by one "
            "with infer()."
        )
    total = next(iter(counts.values()))
    step = runner.inputs[0].shape[0] or min(total, _OPEN_BATCH)
    # Reading lazy arrays costs something each time: several batches at once.
    block = max(1, _OPEN_BATCH // step) * step

    def chunks() -> Iterator[Arrays]:
        for begin in range(0, total, block):
            read = {name: np.asarray(x[begin : begin + block]) for name, x in inputs.items()}
            for start in range(0, min(block, total - begin), step):
                chunk = {name: x[start : start + step] for name, x in read.items()}
                short = step - min(step, total - begin - start)
                if short:
                    # A file with a fixed batch wants it full: the last sample fills it up.
                    chunk = {
                        n: np.concatenate([x, x[-1:].repeat(short, 0)]) for n, x in chunk.items()
                    }
                yield chunk

    done = 0
    for results in infer_all(runner, chunks(), workers):
        for name, result in results.items():
            if not result.ndim or len(result) != step:
                raise TensorError(
                    f"output {name!r}: has shape {list(result.shape)} for a batch of {step}, expected "
                    "the batch as its first axis. Run the samples one by one with infer()."
                )
        left = total - done
        yield results if left >= step else {name: x[:left] for name, x in results.items()}
        done += step


def infer_all(runner: Inferring, items: Iterable[Arrays], workers: int) -> Iterator[Results]:
    """`Runner.map`."""
    workers = whole_number("workers", workers, _MAX_WORKERS)
    if workers == 1:
        return map(runner.infer, items)
    if runner._keeps_state():
        raise UsageError(
            f"workers: received {workers}, expected 1: {runner.artifact.name} keeps state from one "
            "call to the next, and each worker would keep its own."
        )
    return _in_threads(runner, items, workers)


def _in_threads(runner: Inferring, items: Iterable[Arrays], workers: int) -> Iterator[Results]:
    from edgekit.runtime.parallel import ordered_map

    with ExitStack() as stack:
        runners = [runner, *(stack.enter_context(runner._twin()) for _ in range(workers - 1))]
        yield from ordered_map([each.infer for each in runners], items)


def infer_in_turn(
    runner: Inferring, items: Iterable[Arrays], carry: Mapping[str, str] | None
) -> Iterator[Results]:
    """`Runner.stream`."""
    specs = {spec.name: spec for spec in runner.inputs}
    outputs = [spec.name for spec in runner.outputs]
    if carry is None:
        carry = {name: name for name in specs if name in outputs}
    for name, output in carry.items():
        if name not in specs or output not in outputs:
            raise TensorError(
                f"carry: received input {name!r} from output {output!r}, expected inputs among "
                f"{', '.join(specs)} and outputs among {', '.join(outputs)}."
            )
    return _with_state(runner, items, carry, {name: _zeros(specs[name]) for name in carry})


def _with_state(
    runner: Inferring, items: Iterable[Arrays], carry: Mapping[str, str], state: Results
) -> Iterator[Results]:
    runner.reset()
    for item in items:
        with runner._carried():
            results = runner.infer({**state, **item})
        state = {name: results[output] for name, output in carry.items()}
        yield results


def _zeros(spec: TensorSpec) -> NDArray[Any]:
    dtype = np.float32 if spec.quantization is not None else spec.dtype
    return np.zeros(spec.concrete_shape(), dtype)
