"""Parts: a model's layers made anew, each of them one operator of an integer file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from edgekit.errors import require
from edgekit.models.source import UNROLLED_STEPS
from edgekit.optimize.layer_graph import LayerGraph, Step
from edgekit.optimize.placement import KERNELS, activation_of

# What an interpreter computes in one with a kernel.
_FUSED_ACTIVATIONS = {"linear", "relu", "relu6"}

# Where a Bidirectional keeps its layers.
_LOOPS_IN = ("layer", "backward_layer")


def in_parts(graph: LayerGraph) -> tuple[LayerGraph, dict[int, list[Any]]]:
    """The same graph of new, unbuilt layers, where a layer that is two operators has become two.

    A separable convolution becomes a depthwise and a pointwise one, a kernel with an activation that
    interpreters do not fuse becomes a linear layer and the activation. The last part has the
    layer's name.

    Returns:
        The graph, and the weights of the new layers by `id`: to be set once they are built.
    """
    weights: dict[int, list[Any]] = {}
    made: dict[int, list[Any]] = {}
    numbers = count(
        1 + max([n for _, n in graph.inputs] + [n for s in graph.steps for n in s.outputs])
    )
    steps: list[Step] = []
    for step in graph.steps:
        if id(step.layer) not in made:
            made[id(step.layer)] = list(_parts(step, weights))
        parts = made[id(step.layer)]
        between = [next(numbers) for _ in parts[1:]]
        for i, part in enumerate(parts):
            steps.append(
                Step(
                    part,
                    part.name,
                    step.inputs if i == 0 else (between[i - 1],),
                    step.outputs if i == len(parts) - 1 else (between[i],),
                    step.arguments if i == 0 else _single(between[i - 1]),
                )
            )
    return LayerGraph(graph.inputs, tuple(steps), graph.outputs), weights


def _single(number: int) -> Any:
    return lambda tensors: ((tensors[number],), {})


def _parts(step: Step, weights: dict[int, list[Any]]) -> Iterator[Any]:
    layers = require("tf_keras", "export", "Optimising a model").layers
    config = {**step.layer.get_config(), "name": step.name}
    given = step.layer.get_weights()
    function = activation_of(step.layer)
    apart = function not in _FUSED_ACTIVATIONS and step.kind in (*KERNELS, "SeparableConv2D")
    first = {**config, "activation": "linear", "name": f"{step.name}_linear"} if apart else config
    if _is_short_loop(step.layer):
        # A loop hides its tensors from calibration; the same steps written out do not.
        for loop in [first, *(first[key]["config"] for key in _LOOPS_IN if first.get(key))]:
            if "unroll" in loop:
                loop["unroll"] = True
    if step.kind == "SeparableConv2D":
        yield from _separated(layers, first, given, weights)
    else:
        layer = type(step.layer).from_config(first)
        weights[id(layer)] = given
        yield layer
    if apart:
        yield layers.Activation(step.layer.activation, name=step.name)


def _is_short_loop(layer: Any) -> bool:
    """Whether a layer is recurrent, over a known and small number of steps, and forgets them."""
    loop = getattr(layer, "forward_layer", layer)
    if getattr(loop, "unroll", None) is not False or loop.stateful or loop.return_state:
        return False
    steps = layer.input_shape[1] if isinstance(layer.input_shape, tuple) else None
    return steps is not None and steps <= UNROLLED_STEPS


def _separated(
    layers: Any, config: dict[str, Any], given: list[Any], weights: dict[int, list[Any]]
) -> Iterator[Any]:
    common = ("strides", "padding", "data_format", "dilation_rate")
    depthwise = layers.DepthwiseConv2D(
        config["kernel_size"],
        depth_multiplier=config["depth_multiplier"],
        use_bias=False,
        name=f"{config['name']}_depthwise",
        **{key: config[key] for key in common},
    )
    pointwise = layers.Conv2D(
        config["filters"],
        1,
        data_format=config["data_format"],
        use_bias=config["use_bias"],
        activation=config["activation"],
        name=config["name"],
    )
    weights[id(depthwise)], weights[id(pointwise)] = given[:1], given[1:]
    yield depthwise
    yield pointwise
