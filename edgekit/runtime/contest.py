"""Contest: the child's side of a benchmark. One process runs one file, when it is its turn."""

from __future__ import annotations

import gc
import io
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import perf_counter_ns, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import Artifact
from edgekit.errors import EdgekitError
from edgekit.runtime import linux
from edgekit.runtime.backends import open_file
from edgekit.runtime.host import peak_rss_bytes
from edgekit.runtime.options import Options
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.turns import block

# Steady: a block's median is this near to the last one's. Some never are: a limit of blocks.
_STEADY, _WARM_BLOCKS = 1.05, 10


def serve(descriptor: str, path: str, backend: str, options: str, signature: str) -> None:
    """Load the file and do what the parent asks for, line by line, until it has gone.

    Args:
        descriptor: of a socket to the parent.
        path, backend: what runs which file.
        options: `Options` as JSON.
        signature: the one to run; empty for the file's own choice.
    """
    own = socket.socket(fileno=int(descriptor))
    # A parent that is gone has no questions left.
    with suppress(BrokenPipeError, ConnectionResetError), own, own.makefile("rwb") as stream:
        try:
            _serve(stream, path, backend, Options(**json.loads(options)), signature)
        except EdgekitError as error:
            say(stream, {"failed": str(error)})


def _serve(
    stream: io.BufferedRWPair, path: str, backend: str, options: Options, signature: str
) -> None:
    start = perf_counter_ns()
    runner = open_file(Artifact.of(path), backend, options)
    loaded = perf_counter_ns()
    runner = runner.with_signature(signature) if signature else runner
    inputs = heard_arrays(stream)
    if inputs is None:
        inputs = random_inputs(runner)
    before = perf_counter_ns()
    runner.infer(inputs)
    first = perf_counter_ns()
    open_shapes = {
        spec.name: list(np.shape(inputs[spec.name]))
        for spec in runner.inputs
        if None in spec.shape[1:]
    }
    say(
        stream,
        {
            "load_ms": (loaded - start) / 1e6,
            "first_ms": (first - before) / 1e6,
            "open_shapes": open_shapes,
        },
    )
    call = partial(runner.infer, inputs)
    gc.collect()
    gc.disable()
    for line in stream:
        asked = json.loads(line)
        if asked == "block":
            energy = linux.energy_uj(linux.ROOT)
            times = block(call)
            say_times(stream, times, energy_since(energy))
        elif asked == "usage":
            say(stream, usage())
        else:
            say(stream, {"calls": warm_up(call, int(asked))})


def warm_up(call: Callable[[], Any], least: int) -> int:
    """Run until one block takes as long as the one before; how many calls that took."""
    for _ in range(least):
        call()
    calls, last = least, 0.0
    for _ in range(_WARM_BLOCKS):
        times = block(call)
        calls += len(times) + 1
        median = float(np.median(times))
        if last and 1 / _STEADY <= median / last <= _STEADY:
            break
        last = median
    return calls


def usage() -> dict[str, Any]:
    """Memory that this process holds and has held, in bytes, and its processor time in seconds."""
    status = linux.fields(linux.ROOT / "proc/self/status")
    return {
        "peak_rss_bytes": peak_rss_bytes(),
        "rss_bytes": linux.kib(status.get("VmRSS")),
        "cpu_s": process_time(),
    }


def say(stream: io.BufferedRWPair, answer: Any) -> None:
    stream.write(json.dumps(answer).encode() + b"\n")
    stream.flush()


def energy_since(before: int | None) -> int | None:
    """Microjoules since a counter's value; None where there is none, or where it began anew meanwhile."""
    now = linux.energy_uj(linux.ROOT) if before is not None else None
    return now - before if before is not None and now is not None and now >= before else None


def say_times(stream: io.BufferedRWPair, times: NDArray[np.int64], energy_uj: int | None) -> None:
    said = {"count": len(times), "energy_uj": energy_uj}
    stream.write(json.dumps(said).encode() + b"\n" + times.tobytes())
    stream.flush()


def say_arrays(stream: io.BufferedRWPair, arrays: dict[str, NDArray[Any]] | None) -> None:
    """Arrays by name, those of texts as lists; None as null."""
    if arrays is None:
        say(stream, None)
        return
    texts = {name: x for name, x in arrays.items() if x.dtype.kind in "OUS"}
    numbers = {name: x for name, x in arrays.items() if name not in texts}
    buffer = io.BytesIO()
    for x in numbers.values():
        np.lib.format.write_array(buffer, np.asanyarray(x), allow_pickle=False)
    say(
        stream,
        {
            "bytes": buffer.tell(),
            "numbers": list(numbers),
            "texts": {name: [list(x.shape), x.ravel().tolist()] for name, x in texts.items()},
        },
    )
    stream.write(buffer.getvalue())
    stream.flush()


def heard_arrays(stream: io.BufferedRWPair) -> dict[str, NDArray[Any]] | None:
    """What `say_arrays` said."""
    told = json.loads(stream.readline())
    if told is None:
        return None
    buffer = io.BytesIO(stream.read(told["bytes"]))
    arrays = {
        name: np.lib.format.read_array(buffer, allow_pickle=False) for name in told["numbers"]
    }
    for name, (shape, values) in told["texts"].items():
        arrays[name] = np.array(values, object).reshape(shape)
    return arrays


__all__ = ["serve"]
