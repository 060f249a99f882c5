"""The trial of a model file in a child process: it is loaded, and run on all that may upset it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import Artifact
from edgekit.errors import EdgekitError, UsageError
from edgekit.runtime.backends import module_of, open_file
from edgekit.runtime.limits import limit_process
from edgekit.runtime.options import Options
from edgekit.runtime.runner import Runner
from edgekit.tensor import TensorSpec


def try_out(path: str, backend: str, options: str, seconds: str, memory: str) -> dict[str, Any]:
    """The trial itself, in the child: ``{"refused": None}`` or the reason, or what is wrong with the call."""
    importlib.import_module(module_of(backend))
    limit_process(int(seconds), int(memory))
    try:
        with open_file(Artifact.of(path), backend, Options(**json.loads(options))) as runner:
            for each in [runner.with_signature(name) for name in runner.signatures] or [runner]:
                exercise(each)
    except UsageError as error:
        return {"refused": None, "usage": str(error)}
    except EdgekitError as error:
        # As it was raised, without the path, which the parent names.
        return {"refused": str(error).removeprefix(f"{path}: ")}
    # Whatever it is, the parent would have met it untyped.
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    return {"refused": None}


def exercise(runner: Runner) -> None:
    """Run a file on all that may upset it: what it does to zeros it need not do to other indices.

    Raises:
        EdgekitError: zeros were refused, though the file leaves no dimension dynamic. Other values may
            be refused: the runner says so to its user as well.
    """
    dynamic = any(None in spec.shape for spec in runner.inputs)
    for sizes in ((1, 1), (3, 8), (2, 64)) if dynamic else ((1, 1),):
        for number, raw in enumerate(_trial_inputs(runner, sizes)):
            try:
                if number == 0:
                    runner.infer({name: _real(x) for name, x in raw.items()})
                runner.infer_raw(raw)
            except EdgekitError:
                if number == 0 and not dynamic:
                    raise
    # Once more, after all that it has been through.
    with suppress(EdgekitError):
        runner.infer_raw(next(_trial_inputs(runner, (1, 1))))


def _real(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(np.float32) if x.dtype.kind == "f" else x


def _trial_inputs(runner: Runner, sizes: tuple[int, int]) -> Iterator[dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(0)
    for kind in ("zeros", "small", "any", "lowest", "highest", "odd"):
        yield {spec.name: _values(spec, kind, sizes, rng) for spec in runner.inputs}


def _values(
    spec: TensorSpec, kind: str, sizes: tuple[int, int], rng: np.random.Generator
) -> NDArray[Any]:
    shape = tuple(sizes[min(axis, 1)] if n is None else n for axis, n in enumerate(spec.shape))
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "O":
        return np.full(shape, {"zeros": "", "any": "\U0001f600" * 64}.get(kind, "1"), object)
    if kind == "zeros" or dtype.kind not in "biuf":
        return np.zeros(shape, dtype)
    if dtype.kind == "b":
        return rng.random(shape) < {"lowest": 0, "highest": 1}.get(kind, 0.5)
    if dtype.kind == "f":
        info = np.finfo(dtype)
        extremes = {"lowest": info.min, "highest": info.max}
        if kind in extremes:
            return np.full(shape, extremes[kind], dtype)
        if kind == "odd":
            return rng.choice(np.array([np.nan, np.inf, -np.inf, -1, info.tiny]), shape).astype(
                dtype
            )
        return (rng.standard_normal(shape) * (1 if kind == "small" else 1e4)).astype(dtype)
    whole = np.iinfo(dtype)
    extremes = {"lowest": whole.min, "highest": whole.max}
    if kind in extremes:
        return np.full(shape, extremes[kind], dtype)
    low, high = {"small": (0, 16), "odd": (-2, 2)}.get(kind, (whole.min, whole.max))
    return rng.integers(max(low, whole.min), high, shape, dtype, endpoint=True)
