"""The trial of a model file in a child process: it is loaded, and run on all that may upset it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import Artifact, HeldArtifact
from edgekit.errors import ArtifactError, EdgekitError, UsageError
from edgekit.runtime.backends import open_file
from edgekit.runtime.limits import OUT_OF_MEMORY
from edgekit.runtime.options import Options
from edgekit.runtime.runner import Runner
from edgekit.tensor import TensorSpec

Shapes = Mapping[str, Sequence[int]]

# Sizes that dynamic dimensions are tried with, the batch and the others; those behind only if none of the first ran.
_SIZES = ((1, 1), (3, 8), (2, 64))
_LARGER = ((1, 32), (1, 224))
# With five dynamic dimensions, the sizes above would be more than the file has asked for.
_MOST_BYTES = 64 << 20
# Values that a healthy file has answers for, and values that it may refuse.
_HEALTHY = ("zeros", "ones", "small")
_UPSETTING = ("any", "lowest", "highest", "odd")
# Integers may say how much is to be made, or how often. In steps: three of the first make as much as two of
# the second or one of the last, more than a trial may have and no more than interpreters try.
_AMOUNTS = {"thousand": 1000, "twenty thousand": 20_000, "a lot": 3_000_000, "most": 500_000_000}


def try_out(
    path: str, backend: str, options: str, asked: str, descriptor: str = ""
) -> dict[str, Any]:
    """The trial itself, in the child.

    Args:
        path, backend: what runs which file.
        options: `Options` as JSON.
        asked: JSON: signature and shapes by input of what alone is to be tried; null for all signatures, in
            some shapes.
        descriptor: of the file's content, which is in memory and at no path; empty for a file.

    Returns:
        ``refused``: the reason, or None; ``ran``: signature and shapes of what ran well; ``usage``: what is
        wrong with the call.
    """
    try:
        artifact = _received(path, int(descriptor)) if descriptor else Artifact.of(path)
        with open_file(artifact, backend, Options(**json.loads(options))) as runner:
            return {"refused": None, "ran": _ran(runner, json.loads(asked))}
    except UsageError as error:
        return {"refused": None, "ran": [], "usage": str(error)}
    except EdgekitError as error:
        # As it was raised, without the path, which the parent names.
        return {"refused": str(error).removeprefix(f"{path}: ")}
    # Whatever it is, the parent would have met it untyped.
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}


def _received(path: str, descriptor: int) -> HeldArtifact:
    with os.fdopen(descriptor, "rb") as stream:
        return HeldArtifact.holding(path, stream.read())


def _ran(runner: Runner, asked: Any) -> list[tuple[str | None, Shapes]]:
    if asked is not None:
        signature, shapes = asked
        each = runner.with_signature(signature) if signature else runner
        exercise(each, shapes)
        return [(signature, shapes)]
    every = [runner.with_signature(name) for name in runner.signatures] or [runner]
    return [(each.signature, shapes) for each in every for shapes in try_shapes(each)]


def try_shapes(runner: Runner) -> list[Shapes]:
    """Run a file in the shapes that it takes, some where it has dynamic dimensions.

    Returns:
        Those that it ran well with; none where it refused all of those that were tried.

    Raises:
        EdgekitError: it has no dynamic dimension and `exercise` raises, or it wanted too much.
    """
    if not any(None in spec.shape for spec in runner.inputs):
        shapes = {spec.name: spec.concrete_shape() for spec in runner.inputs}
        exercise(runner, shapes)
        return [shapes]
    found: list[Shapes] = []
    for sizes in (*_SIZES, *_LARGER):
        shapes = {spec.name: spec.concrete_shape(*sizes) for spec in runner.inputs}
        large = sizes != _SIZES[0] and _bytes(runner, shapes) > _MOST_BYTES
        if large or (found and sizes in _LARGER):
            continue
        try:
            exercise(runner, shapes)
        except EdgekitError as error:
            if _out_of_memory(error):
                raise
        else:
            found.append(shapes)
    return found


def exercise(runner: Runner, shapes: Shapes) -> None:
    """Run a file on all that may upset it: what it does to zeros it need not do to other indices.

    Raises:
        EdgekitError: it refused zeros, ones and small values alike, or gave no finite values for any of
            them, or wanted too much memory for whatever values. Others it may refuse: the runner says so to
            its user as well.
    """
    refusal: EdgekitError | None = None
    ran = finite = False
    # Other signatures, and other shapes, may have left infinities in its variables.
    runner.reset()
    whole = any(np.dtype(spec.dtype).kind in "iu" for spec in runner.inputs)
    for kind in (*_HEALTHY, *(_AMOUNTS if whole else ()), *_UPSETTING):
        raw = _inputs(runner.inputs, shapes, kind)
        try:
            results = runner.infer_raw(raw)
            if kind in _HEALTHY:
                results = runner.infer({name: _real(x) for name, x in raw.items()})
                ran, finite = True, finite or all(map(_is_finite, results.values()))
        except EdgekitError as error:
            if _out_of_memory(error):
                raise
            refusal = refusal or error
    # Once more, after all that it has been through.
    with suppress(EdgekitError):
        runner.infer_raw(_inputs(runner.inputs, shapes, "zeros"))
    if not ran:
        assert refusal is not None, "nothing ran, so everything was refused"
        raise refusal
    if not finite:
        raise ArtifactError("gives values that are not finite for zeros, ones and small values.")


def _out_of_memory(error: EdgekitError) -> bool:
    return any(word in str(error) for word in OUT_OF_MEMORY)


def _bytes(runner: Runner, shapes: Shapes) -> int:
    return sum(prod(shapes[spec.name]) * np.dtype(spec.dtype).itemsize for spec in runner.inputs)


def _real(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(np.float32) if x.dtype.kind == "f" else x


def _is_finite(x: NDArray[Any]) -> bool:
    return x.dtype.kind != "f" or bool(np.isfinite(x).all())


def _inputs(specs: Sequence[TensorSpec], shapes: Shapes, kind: str) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(sum(kind.encode()))
    return {s.name: _values(np.dtype(s.dtype), tuple(shapes[s.name]), kind, rng) for s in specs}


def _values(
    dtype: np.dtype[Any], shape: tuple[int, ...], kind: str, rng: np.random.Generator
) -> NDArray[Any]:
    if dtype.kind == "O":
        return np.full(shape, {"zeros": "", "any": "\U0001f600" * 64}.get(kind, "1"), object)
    if kind == "zeros" or dtype.kind not in "biuf":
        return np.zeros(shape, dtype)
    if dtype.kind == "b":
        return rng.random(shape) < {"lowest": 0, "highest": 1, "ones": 1}.get(kind, 0.5)
    if kind == "ones":
        return np.ones(shape, dtype)
    if dtype.kind == "f":
        info = np.finfo(dtype)
        extremes = {"lowest": info.min, "highest": info.max, **_AMOUNTS}
        if kind in extremes:
            return np.full(shape, min(extremes[kind], info.max), dtype)
        if kind == "odd":
            return rng.choice(np.array([np.nan, np.inf, -np.inf, -1, info.tiny]), shape).astype(
                dtype
            )
        return (rng.standard_normal(shape) * (1 if kind == "small" else 1e4)).astype(dtype)
    whole = np.iinfo(dtype)
    ends = {"lowest": whole.min, "highest": whole.max, **_AMOUNTS}
    if kind in ends:
        return np.full(shape, min(ends[kind], whole.max), dtype)
    low, high = {"small": (0, 16), "odd": (-2, 2)}.get(kind, (whole.min, whole.max))
    return rng.integers(max(low, whole.min), high, shape, dtype, endpoint=True)
