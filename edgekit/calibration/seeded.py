"""Seeded inputs: what a model may well be given, told by its own first layers, where no samples are given."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.models.source import SourceModel
from edgekit.samples import Samples
from edgekit.tensor import TensorSpec

# Of numbers that index something whose size is not known.
_FEW = 2
# Layers that hand on what they get, in another form.
_CARRIERS = {"Reshape", "Flatten", "Permute", "RepeatVector", "Cropping1D", "Cropping2D", "Masking"}
_CARRIERS |= {"ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "InputLayer", "Concatenate"}


def seeded(source: SourceModel, count: int) -> Samples:
    """`count` samples for each input, the same in every process.

    Whole numbers stay below the size of the table that they are looked up in; float values have the mean
    and the variance that a layer for normalisation learned, or lie where a rescaling layer expects them;
    where no layer says more, they are drawn from the standard normal distribution.

    Args:
        source: a model; dynamic dimensions other than the batch count as 1.
    """
    layers = _first_layers(source)
    made = {}
    for spec in source.inputs:
        rng = np.random.default_rng(zlib.crc32(spec.name.encode()))
        # A dynamic dimension: of an image, more than any network takes away; of a sequence, a few steps.
        size = 64 if len(spec.shape) > 3 else 8
        shape = (count, *spec.concrete_shape(size=size)[1:])
        made[spec.name] = _values(spec, shape, layers.get(spec.name, []), rng)
    return Samples(made)


def _values(
    spec: TensorSpec, shape: tuple[int, ...], layers: list[Any], rng: np.random.Generator
) -> NDArray[Any]:
    kinds = {type(layer).__name__: layer for layer in layers}
    if spec.dtype == "string":
        return np.full(shape, "")
    dtype = np.dtype(spec.dtype) if spec.dtype != "bfloat16" else np.dtype(np.float32)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if "Embedding" in kinds:
        return rng.integers(0, kinds["Embedding"].input_dim, shape).astype(dtype)
    if dtype.kind in "iu":
        return rng.integers(
            0, 256 if dtype.itemsize == 1 and dtype.kind == "u" else _FEW, shape
        ).astype(dtype)
    if "Rescaling" in kinds and np.ndim(kinds["Rescaling"].scale) == 0:
        layer = kinds["Rescaling"]
        # From zero, as pixels do, to where it gives one.
        highest = (1 - min(float(np.min(layer.offset)), 0.0)) / float(layer.scale)
        return (rng.random(shape) * highest).astype(dtype)
    mean, variance = _learned(kinds)
    drawn = rng.standard_normal(shape)
    if np.size(mean) in (1, shape[-1]):
        drawn = drawn * np.sqrt(np.reshape(variance, -1)) + np.reshape(mean, -1)
    return drawn.astype(dtype)


def _learned(kinds: dict[str, Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The mean and the variance of what a layer for normalisation was made for."""
    if layer := kinds.get("Normalization"):
        mean, variance = getattr(layer, "mean", None), getattr(layer, "variance", None)
    elif layer := kinds.get("BatchNormalization"):
        mean, variance = layer.moving_mean, layer.moving_variance
    else:
        mean = variance = None
    if mean is None or variance is None:
        return np.zeros(1), np.ones(1)
    return np.asarray(mean), np.asarray(variance)


def _first_layers(source: SourceModel) -> dict[str, list[Any]]:
    """For each input the layers that read it, through those that hand on what they get."""
    tensors = getattr(source.model, "inputs", None)
    if source.flavour == "savedmodel" or not tensors:
        return {}
    readers = _readers(source.model)
    return {
        spec.name: list(_reading(tensor, readers, 0))
        for spec, tensor in zip(source.inputs, tensors, strict=True)
    }


def _readers(model: Any) -> dict[int, list[tuple[Any, list[Any]]]]:
    """For each tensor, by its id, the layers that read it, with what they give."""
    found: dict[int, list[tuple[Any, list[Any]]]] = {}
    for layer in getattr(model, "layers", ()):
        for node in getattr(layer, "_inbound_nodes", ()):
            # Keras 3 has the former names, tf_keras the latter.
            gives = _listed(node, "output_tensors", "outputs")
            if inner := getattr(layer, "layers", None) and _listed(layer, "inputs"):
                # A model in the model: what it reads, its own first layers read.
                gives = [*gives, *inner]
            for tensor in _listed(node, "input_tensors", "keras_inputs"):
                found.setdefault(id(tensor), []).append((layer, gives))
        for tensor, readers in _readers(layer).items():
            found.setdefault(tensor, []).extend(readers)
    return found


def _listed(thing: Any, *names: str) -> list[Any]:
    value = next((v for name in names if (v := getattr(thing, name, None)) is not None), ())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _reading(
    tensor: Any, readers: dict[int, list[tuple[Any, list[Any]]]], depth: int
) -> Iterator[Any]:
    for layer, gives in readers.get(id(tensor), ()):
        yield layer
        carries = type(layer).__name__ in _CARRIERS or hasattr(layer, "layers")
        if carries and depth < len(_CARRIERS):
            for given in gives:
                yield from _reading(given, readers, depth + 1)
