"""Both flavours of a model on the same inputs: they agree, or the first layer that differs is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import BridgeError, require
from edgekit.models.bridge.twin import TOLERANCE
from edgekit.models.source import SourceModel

_COUNT = 4
# Ranges of real inputs: a ReLU's slope shows below zero only, and images that the model scales
# itself reach to 255. The last is given in a padded form too, for masks.
_RANGES = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-3.0, 3.0))
# What integers stay below where no table of the model says so.
_LIMITS = (256, 32, 8, 4, 2)


@dataclass(frozen=True)
class Traced:
    """What layers answer to some inputs, one by one.

    Attributes:
        names: of the original's layers, in the order in which they were walked.
        original, twin: functions of flat inputs to a list of results for each of those layers.
    """

    names: list[str]
    original: Callable[[list[Any]], list[list[Any]]]
    twin: Callable[[list[Any]], list[list[Any]]]


def verify(source: SourceModel, twin: SourceModel, traced: Traced, tables: set[int]) -> None:
    """Accept a twin only if it answers as the original does, to 1e-5 of the output's range.

    Args:
        source, twin: the original and what was made of it.
        traced: both, layer by layer, to find who differs.
        tables: sizes of the tables that integer inputs may be looked up in.

    Raises:
        BridgeError: they differ; names the first layer that does. Or nothing could be tried.
    """
    probed = False
    for tensors in _probes(source, twin, tables):
        expected = source.call(tensors)
        if not all(_finite(value) for value in expected.values()):
            # Not in the model's domain, such as the root of a negative number.
            continue
        probed = True
        received = twin.call(tensors)
        if not all(close(expected[name], received[name]) for name in expected):
            _blame(source, list(tensors.values()), traced)
    if not probed:
        raise BridgeError(
            f"{source.path}: the model's answers to random inputs are not finite, so its twin cannot "
            "be verified."
        )


def tables_of(layers: Iterable[Any]) -> set[int]:
    """Sizes of the tables that a model's layers look integers up in."""
    sizes = {getattr(layer, name, None) for layer in layers for name in ("input_dim", "num_tokens")}
    return {size for size in sizes if isinstance(size, int)}


def close(expected: Any, received: Any) -> bool:
    """Equal shapes, and values within the tolerance of the expected range.

    No floating type is asked to come closer than two roundings of its largest value: an untrained
    classifier's answers differ so little that 1e-5 of that is less than one.
    """
    a, b = (np.asarray(value) for value in (expected, received))
    largest = np.max(np.abs(a), initial=0)
    rounding = 2 * float(np.spacing(largest)) if a.dtype.kind == "f" else 0.0
    a, b = a.astype(np.float64), b.astype(np.float64)
    span = float(np.ptp(a)) if a.size else 0.0
    # An output that is the same everywhere is measured by its size.
    span = span or float(largest) or 1.0
    tolerance = max(TOLERANCE * span, rounding)
    return a.shape == b.shape and bool(np.max(np.abs(a - b), initial=0.0) <= tolerance)


def _probes(source: SourceModel, twin: SourceModel, tables: set[int]) -> Iterator[dict[str, Any]]:
    tf = require("tensorflow", "export", "Bridging")
    text = [spec.name for spec in source.inputs if spec.dtype == "string"]
    if text:
        raise BridgeError(
            f"{source.path}: input {text[0]!r} takes text, for which edgekit has no probes; its twin "
            "cannot be verified."
        )
    rng = np.random.default_rng(0)
    limit = _limit((source, twin), tables, rng)
    for number, (low, high) in enumerate((*_RANGES, _RANGES[-1])):
        padded = number == len(_RANGES)
        yield {
            spec.name: tf.constant(_values(spec, low, high, limit, padded, rng))
            for spec in source.inputs
        }


def _limit(models: tuple[SourceModel, ...], tables: set[int], rng: np.random.Generator) -> int:
    """The largest number that integer inputs stay below without leaving a table."""
    tf = require("tensorflow", "export", "Bridging")
    inputs = models[0].inputs
    if not any("int" in spec.dtype for spec in inputs):
        return 2
    most = max(tables, default=max(_LIMITS))
    for limit in sorted({*tables, *(n for n in _LIMITS if n <= most)}, reverse=True):
        given = {s.name: tf.constant(_values(s, 0, 1, limit, False, rng)) for s in inputs}
        # The largest itself has to be looked up, or it is found by luck.
        for name, tensor in given.items():
            if tensor.dtype.is_integer:
                given[name] = tf.concat([tensor[1:], tf.ones_like(tensor[:1]) * (limit - 1)], 0)
        try:
            for model in models:
                model.call(given)
        except tf.errors.InvalidArgumentError:
            continue
        return limit
    raise BridgeError(
        f"{models[0].path}: fails on any integers that edgekit tried, so its twin cannot be verified."
    )


def _values(
    spec: Any, low: float, high: float, limit: int, padded: bool, rng: np.random.Generator
) -> NDArray[Any]:
    shape = spec.concrete_shape(_COUNT)
    if spec.dtype == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    if "int" in spec.dtype:
        values = rng.integers(0, min(limit, np.iinfo(spec.dtype).max), shape, np.int64)
    else:
        values = rng.uniform(low, high, shape)
    if padded and len(shape) > 1:
        # Zeros at the end are what masking layers look for.
        values[:, shape[1] - shape[1] // 3 :] = 0
    kept: NDArray[Any] = values.astype(spec.dtype)
    return kept


def _finite(value: Any) -> bool:
    value = np.asarray(value)
    return value.dtype.kind != "f" or bool(np.isfinite(value).all())


def _blame(source: SourceModel, tensors: list[Any], traced: Traced) -> NoReturn:
    for name, right, answer in zip(
        traced.names, traced.original(tensors), traced.twin(tensors), strict=True
    ):
        if not all(close(a, b) for a, b in zip(right, answer, strict=True)):
            raise BridgeError(
                f"{source.path}: layer {name} answers differently in its twin, by more than "
                f"{TOLERANCE:g} of its output's range."
            )
    raise BridgeError(f"{source.path}: the twin answers differently.")
