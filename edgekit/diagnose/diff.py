"""Diff: how two files differ, in what they consist of and in what they answer."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.diagnose.equalised import Scaled, scaled_layers
from edgekit.diagnose.matching import Pair, match
from edgekit.diagnose.network import Network, kernel_rows
from edgekit.diagnose.opening import open_network
from edgekit.document.diff import (
    DIFFERENT,
    EQUAL,
    NONE,
    OTHER_SHAPE,
    SCALED,
    Diff,
    LayerDiff,
    OperatorCount,
    OutputDiff,
)
from edgekit.errors import TensorError
from edgekit.metrics import distances
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.prepare import prepared
from edgekit.tensor import TensorSpec


def diff(first: Runner, second: Runner, samples: Samples | None = None) -> Diff:
    """Compare two ``.tflite`` or ``.onnx`` files, also one of each.

    Args:
        first, second: the files, loaded.
        samples: raw ones, to ask both; None compares what they consist of alone.

    Raises:
        UsageError: one is no .tflite or .onnx file.
        ArtifactError: one cannot be run.
        TensorError: the samples do not fit, or the outputs are others.
    """
    ours, theirs = (open_network(os.fspath(r.artifact)) for r in (first, second))
    matched = match(ours.network, theirs.network)
    scaled = scaled_layers(matched.pairs, ours.network, theirs.network)
    outputs = () if samples is None else _answers(first, second, samples)
    return Diff(
        first=first.artifact.recorded(),
        second=second.artifact.recorded(),
        same_bytes=ours.content == theirs.content,
        ends=(
            *_ends("input", first.inputs, second.inputs),
            *_ends("output", first.outputs, second.outputs),
        ),
        operators=_operators(ours.network, theirs.network),
        layers=tuple(
            _layer(pair, ours.network, theirs.network, scaled.get(pair.file.at))
            for pair in matched.pairs
        ),
        only_first=tuple(node.name for node in matched.extra),
        only_second=tuple(node.name for node in matched.missing),
        samples=None if samples is None else len(samples),
        outputs=tuple(outputs),
    )


def _ends(what: str, first: tuple[TensorSpec, ...], second: tuple[TensorSpec, ...]) -> list[str]:
    found = []
    theirs = {spec.name: spec for spec in second}
    for spec in first:
        other = theirs.pop(spec.name, None)
        if other is None:
            found.append(f"{what} {spec.name!r} is in the first file alone")
        elif spec != other:
            found.append(f"{what} {spec.name!r}: {_said(spec)} and {_said(other)}")
    return [*found, *(f"{what} {name!r} is in the second file alone" for name in theirs)]


def _said(spec: TensorSpec) -> str:
    shape = "x".join("?" if n is None else str(n) for n in spec.shape)
    text = f"{spec.dtype} {shape}"
    if spec.quantization is not None:
        text += f", scale {spec.quantization.scale[0]:.6g}, zero {spec.quantization.zero_point[0]}"
    return text


def _operators(first: Network, second: Network) -> tuple[OperatorCount, ...]:
    counts = [Counter((n.op, n.dtype) for n in network.nodes) for network in (first, second)]
    return tuple(
        OperatorCount(op, dtype, counts[0][op, dtype], counts[1][op, dtype])
        for op, dtype in sorted({*counts[0], *counts[1]})
    )


def _layer(pair: Pair, first: Network, second: Network, scaled: Scaled | None) -> LayerDiff:
    state, largest, ratio = _weights(
        kernel_rows(pair.file, first.format), kernel_rows(pair.plain, second.format)
    )
    biases = [node.bias.values if node.bias else None for node in (pair.file, pair.plain)]
    bias, factors = _weights(*biases)[1], None
    if scaled is not None:
        state, largest, ratio, bias = SCALED, scaled.largest, None, scaled.bias
        factors = float(scaled.outputs.min()), float(scaled.outputs.max())
    return LayerDiff(
        op=pair.file.op,
        first=pair.file.name,
        second=pair.plain.name,
        first_dtype=pair.file.dtype,
        second_dtype=pair.plain.dtype,
        grid=_grids(first, pair.file.gives[0]) == _grids(second, pair.plain.gives[0]),
        weights=state,
        weights_max_abs=largest,
        weights_sqnr_db=ratio,
        bias_max_abs=bias,
        factors=factors,
    )


def _weights(
    first: NDArray[Any] | None, second: NDArray[Any] | None
) -> tuple[str, float | None, float | None]:
    """Whether two kernels are equal, their largest difference, and their SQNR in dB where they differ."""
    if first is None or second is None:
        return NONE if first is second else OTHER_SHAPE, None, None
    if first.shape != second.shape:
        return OTHER_SHAPE, None, None
    if np.array_equal(first, second):
        return EQUAL, 0.0, None
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return DIFFERENT, None, None
    ratio = distances.sqnr_db(first, second)
    return DIFFERENT, distances.max_abs(first, second), ratio if np.isfinite(ratio) else None


def _grids(network: Network, value: str) -> list[tuple[str, float, int]]:
    return [(grid.dtype, grid.scale, grid.zero) for grid in network.grids.get(value, ())]


def _answers(first: Runner, second: Runner, samples: Samples) -> list[OutputDiff]:
    answers = []
    for runner in (first, second):
        ready = prepared(samples, runner.metadata, runner.inputs)
        answers.append(runner.infer_batch(ready.inputs))
    ours, theirs = answers
    if len(ours) == len(theirs) == 1:
        pairs = [(next(iter(ours)), next(iter(ours.values())), next(iter(theirs.values())))]
    elif set(ours) == set(theirs):
        pairs = [(name, x, theirs[name]) for name, x in ours.items()]
    else:
        raise TensorError(
            f"diff: {first.artifact.name} gives the outputs {', '.join(map(repr, ours))}, {second.artifact.name} gives "
            f"{', '.join(map(repr, theirs))}, expected the same names. Compare them without --samples, or export both "
            "with the model's own names."
        )
    return [_output(*pair) for pair in pairs]


def _output(name: str, first: NDArray[Any], second: NDArray[Any]) -> OutputDiff:
    if first.shape != second.shape:
        raise TensorError(
            f"diff: output {name!r} has the shape {list(first.shape)} in the first file and "
            f"{list(second.shape)} in the second, expected one shape. Compare them without --samples."
        )
    equal = np.array_equal(first, second, equal_nan=True)
    finite = bool(np.isfinite(first).all() and np.isfinite(second).all())
    ratio = distances.sqnr_db(first, second) if finite else float("nan")
    classes = None
    if finite and first.ndim == 2 and first.shape[1] > 1:
        classes = distances.agreement(*(distances.predicted_classes(x) for x in (first, second)))
    return OutputDiff(
        name,
        equal,
        distances.max_abs(first, second) if finite else None,
        ratio if np.isfinite(ratio) else None,
        classes,
    )
