"""Stride: convolutions that take the stride of the pooling behind them.

After Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2015: a convolution in
front of a pooling of 2x2 looks at four places for each one that is left; with the pooling's stride it
looks at that one alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgekit.errors import UsageError
from edgekit.optimize.graph import Call, Graph
from edgekit.optimize.names import check_layers
from edgekit.optimize.shrink import KINDS

_POOLINGS = tuple(f"{kind}Pooling{n}D" for kind in ("Average", "Max") for n in (1, 2, 3))

# Each place on its own: what they do to those that stay is the same without the others.
_BETWEEN = {
    "Activation",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "LeakyReLU",
    "ReLU",
    *(f"SpatialDropout{n}D" for n in (1, 2, 3)),
}

_KEY = "prune.pooling_to_stride"


@dataclass(frozen=True)
class Strided:
    """A convolution that makes only the places that are left behind its pooling.

    Attributes:
        pooling: the name of the pooling layer, which goes.
        strides: the convolution's, along each spatial axis.
    """

    pooling: str
    strides: tuple[int, ...]


def strided(graph: Graph, poolings: Iterable[str]) -> dict[str, Strided]:
    """The convolutions in front of those pooling layers, by name, with the strides that they take.

    Of each of the pooling's windows one place stays, with the value that it had if the convolution had
    no stride: with the padding ``"valid"`` the first, with ``"same"`` one in the middle.

    Args:
        graph: the model's.
        poolings: names of layers.

    Raises:
        UsageError: an unknown layer, or one that is no pooling; a pooling whose windows overlap or leave
            places out; anything between it and a convolution that does not treat each place on its own; a
            result that is used elsewhere too; a convolution that can take no stride.
    """
    calls = {call.layer.name: call for call in graph.calls if call.kind in _POOLINGS}
    check_layers(_KEY, poolings, calls)
    found = {}
    for name in poolings:
        pooling = calls[name]
        _check_windows(pooling)
        convolution = _in_front(graph, pooling)
        steps = zip(convolution.layer.strides, pooling.layer.strides, strict=True)
        strides = tuple(before * after for before, after in steps)
        _check_takes(convolution, name, strides)
        found[convolution.layer.name] = Strided(name, strides)
    return found


def _in_front(graph: Graph, pooling: Call) -> Call:
    """The convolution whose result the pooling gets."""
    name, call = pooling.layer.name, pooling
    while True:
        uses = sum(other.layer is call.layer for other in graph.calls)
        if uses > 1:
            raise UsageError(
                f"{_KEY}: layer {call.layer.name!r} is called {uses} times; {name!r} can only go where "
                "it and what is in front of it are called once."
            )
        if call.kind in KINDS:
            return call
        (tensor,) = call.inputs
        before = next(other for other in graph.calls if tensor in other.outputs)
        if before.kind not in KINDS and not _by_place(before):
            raise UsageError(
                f"{_KEY}: layer {name!r} gets what layer {before.layer.name!r} ({before.kind}) makes, "
                "expected a convolution in front of it, and between them nothing but normalisation of "
                "channels and activation."
            )
        if tensor in graph.outputs or sum(tensor in other.inputs for other in graph.calls) > 1:
            raise UsageError(
                f"{_KEY}: what layer {before.layer.name!r} in front of {name!r} makes is used elsewhere "
                "too, where all of its places are needed."
            )
        call = before


def _by_place(call: Call) -> bool:
    if call.kind != "BatchNormalization":
        return call.kind in _BETWEEN
    axis = call.layer.axis
    axis = axis[0] if isinstance(axis, (list, tuple)) else axis
    return axis in (-1, len(call.output_shapes[0]) - 1)


def _check_windows(pooling: Call) -> None:
    """Only windows side by side, to the last place, are as many as a stride makes."""
    layer = pooling.layer
    size, strides = list(layer.pool_size), list(layer.strides)
    if strides != size:
        raise UsageError(
            f"{_KEY}: layer {layer.name!r} pools {size} places with the stride {strides}, expected a "
            "stride as large as its windows."
        )
    places = list(pooling.input_shapes[0][1:-1])
    uneven = any(n is None or n % window for n, window in zip(places, size, strict=True))
    if uneven and layer.padding != "same":
        raise UsageError(
            f"{_KEY}: layer {layer.name!r} pools {size} of {places} places and leaves out what is left, "
            "as a stride does not; expected multiples, or the padding 'same'."
        )


def _check_takes(convolution: Call, pooling: str, strides: tuple[int, ...]) -> None:
    layer = convolution.layer
    rates = list(layer.dilation_rate)
    # TensorFlow computes no others.
    alike = len(set(strides)) == 1 or not convolution.kind.startswith("Depthwise")
    if any(rate != 1 for rate in rates) or layer.data_format == "channels_first" or not alike:
        raise UsageError(
            f"{_KEY}: layer {layer.name!r} ({convolution.kind}) in front of {pooling!r} cannot take the "
            f"stride {list(strides)}: its dilation is {rates}, its layout {layer.data_format!r}; "
            "expected none, 'channels_last', and with depthwise convolutions the same along all axes."
        )
