"""Rebuild: a model made anew with fewer channels, smaller kernels and strides, its weights cut to fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import UsageError, one_line
from edgekit.models.source import SourceModel, from_keras
from edgekit.optimize.coupling import DEPTHWISE, MAKERS, Atoms, Coupling
from edgekit.optimize.finetune import keras_of
from edgekit.optimize.graph import Call, Graph
from edgekit.optimize.shrink import Window, cut
from edgekit.optimize.stride import Strided

Kept = NDArray[np.bool_]


def rebuild(
    source: SourceModel,
    graph: Graph,
    coupling: Coupling,
    gone: set[int],
    windows: Mapping[str, Window] | None = None,
    strides: Mapping[str, Strided] | None = None,
) -> SourceModel:
    """A model without the channels whose atoms stand in `gone`; layers and tensors keep their names.

    Args:
        source: a Sequential or Functional model; left as it is.
        graph: its graph.
        coupling: what was found there.
        gone: atoms, each the one that stands for all it was joined to.
        windows: what stays of kernels along their spatial axes, by layer name.
        strides: convolutions that take the stride of a pooling, by layer name. In the pooling's place
            stands an Identity of its name, which is nothing in any file.
    """
    windows, strides = windows or {}, strides or {}
    poolings = {each.pooling for each in strides.values()}

    def kept(atoms: Atoms) -> Kept:
        return np.array([root not in gone for root in coupling.roots(atoms)], np.bool_)

    made = {name: kept(atoms) for name, atoms in coupling.made.items()}
    taken = {name: kept(atoms) for name, atoms in coupling.taken.items()}
    calls = {call.layer.name: call for call in graph.calls}
    keras = keras_of(source.model)

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in poolings:
            # In the pooling's own precision, or tensors would be cast and cast back.
            kept = {key: config[key] for key in ("name", "dtype")}
            return keras.layers.Identity.from_config(kept)
        if layer.name in made:
            width = int(made[layer.name].sum())
            config["units" if "units" in config else "filters"] = width
        elif layer.name in taken and type(layer).__name__ == "Reshape":
            config["target_shape"] = _target(calls[layer.name], taken[layer.name])
        if layer.name in windows:
            config["kernel_size"] = [part.stop - part.start for part in windows[layer.name]]
        if layer.name in strides:
            config["strides"] = list(strides[layer.name].strides)
        try:
            return type(layer).from_config(config)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"pruning channels: layer {layer.name!r} ({type(layer).__name__}) cannot be made anew "
                f"from its configuration: {one_line(error)}"
            ) from error

    model = keras.models.clone_model(source.model, clone_function=clone)
    for old in source.model.layers:
        weights = [np.asarray(weight) for weight in old.get_weights()]
        if weights:
            weights = _cut(type(old).__name__, weights, taken.get(old.name), made.get(old.name))
            if old.name in windows:
                weights = cut(weights, windows[old.name])
            model.get_layer(old.name).set_weights(weights)
    return replace(from_keras(source.path, source.flavour, model), metadata=source.metadata)


def _target(call: Call, taken: Kept) -> list[int]:
    """What a Reshape makes of fewer channels."""
    (before,), (after,) = call.input_shapes, call.output_shapes
    shape = [int(n or 0) for n in after[1:]]
    # All in one axis, or channels in an axis of their own.
    times = shape[-1] // int(before[-1] or 1) if len(shape) == 1 else 1
    return [*shape[:-1], int(taken.sum()) * times]


def _cut(
    kind: str, weights: list[NDArray[Any]], taken: Kept | None, made: Kept | None
) -> list[NDArray[Any]]:
    """A layer's weights without the channels that are gone, in the order of `get_weights`."""
    if taken is None:
        return weights
    marks: Mapping[str, Kept] = {"in": taken, "out": taken if made is None else made}
    if kind in MAKERS:
        plans = _maker_plans(kind)
        if kind.startswith("Separable"):
            # The pointwise kernel takes each channel as often as the depthwise one makes it.
            marks = {**marks, "wide": np.repeat(taken, weights[0].shape[-1])}
    elif kind in DEPTHWISE:
        # (..., in, multiplier) and a bias of in * multiplier.
        marks = {"in": taken, "out": np.repeat(taken, weights[0].shape[-1])}
        plans = [{-2: "in"}, {-1: "out"}]
    else:
        # Scales, offsets and statistics of channels; a PReLU may share one slope among all.
        plans = [{-1: "in"} if w.shape[-1] == len(taken) else {} for w in weights]
    parts = []
    for array, plan in zip(weights, plans, strict=False):
        for axis, side in plan.items():
            array = np.compress(marks[side], array, axis)
        parts.append(array)
    return parts


def _maker_plans(kind: str) -> list[dict[int, str]]:
    if kind.endswith("Transpose"):
        # (..., out, in)
        return [{-2: "out", -1: "in"}, {-1: "out"}]
    if kind.startswith("Separable"):
        return [{-2: "in"}, {-2: "wide", -1: "out"}, {-1: "out"}]
    return [{-2: "in", -1: "out"}, {-1: "out"}]
