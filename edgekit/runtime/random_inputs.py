"""Random inputs that a file takes, the same in every process."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.runtime.runner import Runner


def random_inputs(runner: Runner, seed: int = 0) -> dict[str, NDArray[Any]]:
    """One batch of random values for each input: uniform in the quantised range, or in [0, 1)."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, NDArray[Any]] = {}
    for spec in runner.inputs:
        shape = spec.concrete_shape()
        dtype = np.dtype(spec.dtype)
        if spec.quantization is not None:
            info = np.iinfo(dtype)
            scale, zero_point = spec.quantization.along(len(shape))
            # A damaged file may have scales that lead beyond float32.
            ends = ((np.float64(end) - zero_point) * scale for end in (info.min, info.max))
            low, high = (np.clip(end, -1e38, 1e38) for end in ends)
            inputs[spec.name] = rng.uniform(low, high, shape).astype(np.float32)
        elif dtype.kind == "f":
            inputs[spec.name] = rng.random(shape, np.float32)
        elif dtype.kind == "O":
            inputs[spec.name] = np.full(shape, "", object)
        else:
            inputs[spec.name] = np.zeros(shape, dtype)
    return inputs
