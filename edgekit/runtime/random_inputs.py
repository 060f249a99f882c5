"""Random inputs that a file takes, the same in every process."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import EdgekitError, TensorError, UsageError, nearest
from edgekit.runtime.runner import Runner
from edgekit.runtime.shapes import DYNAMIC_SIZES
from edgekit.tensor import TensorSpec

# Of one input: a file with many dynamic dimensions asks for any number.
_MOST_BYTES = 1 << 30

Inputs = dict[str, NDArray[Any]]


def run_first(
    runner: Runner, make: Callable[[int], Inputs], run: Callable[[Inputs], object]
) -> Inputs:
    """Run a file once; where it has dynamic dimensions other than the batch, on the first size that it takes.

    Args:
        make: gives inputs with a size, of `DYNAMIC_SIZES`, for every such axis.
        run: `infer` or `infer_raw` of `runner`.

    Returns:
        The inputs that it ran on.

    Raises:
        EdgekitError: it takes none of them.
    """
    sizes = DYNAMIC_SIZES if any(None in spec.shape[1:] for spec in runner.inputs) else (1,)
    failed: EdgekitError | None = None
    for size in sizes:
        try:
            inputs = make(size)
        except TensorError as error:
            # Larger ones are no use either: what the file said of a smaller one says more.
            raise (failed or error) from None
        try:
            run(inputs)
        except EdgekitError as error:
            failed = error
        else:
            return inputs
    assert failed is not None, "there is a size"
    raise failed


def random_inputs(
    runner: Runner, seed: int = 0, shapes: Mapping[str, Sequence[int]] | None = None
) -> Inputs:
    """One batch of random values for each input: uniform in the quantised range, or in [0, 1).

    Dynamic dimensions other than the batch get a size that it takes, for which it is run.

    Args:
        shapes: of inputs by name; others get theirs.

    Raises:
        UsageError: the file has no input of such a name, or not of that shape.
    """
    if shapes:
        return _shaped(runner, seed, shapes)
    if any(None in spec.shape[1:] for spec in runner.inputs):
        return run_first(runner, lambda size: _random(runner, seed, size), runner.infer)
    return _random(runner, seed, 1)


def _random(runner: Runner, seed: int, size: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {spec.name: _values(rng, spec, spec.concrete_shape(size=size)) for spec in runner.inputs}


def _shaped(runner: Runner, seed: int, shapes: Mapping[str, Sequence[int]]) -> Inputs:
    names = [spec.name for spec in runner.inputs]
    for name in shapes:
        if name not in names:
            raise UsageError(
                f"shape of {name!r}: {runner.artifact.name} has no such input, expected one of "
                f"{', '.join(names) or 'none: it has no inputs'}.{nearest(name, names)}"
            )
    rng = np.random.default_rng(seed)
    inputs = {}
    for spec in runner.inputs:
        shape = tuple(shapes.get(spec.name, spec.concrete_shape()))
        fits = len(shape) == len(spec.shape) and all(
            fixed in (None, size) for fixed, size in zip(spec.shape, shape, strict=True)
        )
        if not fits or 0 in shape:
            raise UsageError(
                f"shape of {spec.name!r}: received {list(shape)}, expected {list(spec.shape)} with sizes in "
                "place of None."
            )
        inputs[spec.name] = _values(rng, spec, shape)
    return inputs


def _values(rng: np.random.Generator, spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any]:
    dtype = np.dtype(spec.dtype)
    size = math.prod(shape) * dtype.itemsize
    if size > _MOST_BYTES:
        raise TensorError(
            f"input {spec.name!r}: {dtype} of {list(shape)} takes {size:,} bytes, expected "
            f"{_MOST_BYTES:,} at most for random values. Give the inputs, or a file with smaller ones."
        )
    if spec.quantization is not None:
        info = np.iinfo(dtype)
        scale, zero_point = spec.quantization.along(len(shape))
        # A damaged file may have scales that lead beyond float32.
        ends = ((np.float64(end) - zero_point) * scale for end in (info.min, info.max))
        low, high = (np.clip(end, -1e38, 1e38) for end in ends)
        return rng.uniform(low, high, shape).astype(np.float32)
    if dtype.kind == "f":
        return rng.random(shape, np.float32)
    return np.full(shape, "", object) if dtype.kind == "O" else np.zeros(shape, dtype)
