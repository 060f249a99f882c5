"""Coupling: which channels of which layers stand or fall together.

Every channel that a layer makes is an atom, a number. Each tensor has an array of atoms along its
last axis: convolutions and dense layers make new ones, most layers pass theirs on, a concatenation
joins arrays, flattening repeats them, and where tensors are added, theirs become one. What
is removed is an atom with everything that was joined to it, wherever it went.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.optimize.graph import Call, Graph

Atoms = NDArray[np.intp]

# Layers with a kernel that makes new channels of all channels that come in.
MAKERS = (
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "SeparableConv1D",
    "SeparableConv2D",
    "Dense",
)
DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")

# Channel by channel, each on its own.
_PASSING = {
    "Activation",
    "AlphaDropout",
    "BatchNormalization",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "Rescaling",
    *(
        f"{kind}{n}D"
        for n in (1, 2, 3)
        for kind in (
            "AveragePooling",
            "Cropping",
            "GlobalAveragePooling",
            "GlobalMaxPooling",
            "MaxPooling",
            "SpatialDropout",
            "UpSampling",
            "ZeroPadding",
        )
    ),
}
_MERGING = {"Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"}


@dataclass
class Coupling:
    """What the walk over a graph found.

    Attributes:
        made: the atoms that each maker's outputs consist of, by layer name.
        taken: the atoms along the last axis of each layer's input, by layer name.
        scaled: the atoms of each BatchNormalization, by layer name.
        blocking: (layer name, kind) of layers that take and give all channels as they are.
    """

    made: dict[str, Atoms] = field(default_factory=dict)
    taken: dict[str, Atoms] = field(default_factory=dict)
    scaled: dict[str, Atoms] = field(default_factory=dict)
    blocking: list[tuple[str, str]] = field(default_factory=list)
    _parents: list[int] = field(default_factory=list)
    _locked: set[int] = field(default_factory=set)

    def roots(self, atoms: Atoms) -> Atoms:
        """The atom that stands for each one and all that are joined to it."""
        return np.array([self._root(int(atom)) for atom in atoms], np.intp)

    def locked(self, root: int) -> bool:
        """Whether the model as a whole, or a layer that needs it, depends on the channel."""
        return root in self._locked

    def new(self, count: int, *, locked: bool = False) -> Atoms:
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        if locked:
            self._locked.update(range(first, first + count))
        return np.arange(first, first + count)

    def lock(self, atoms: Atoms) -> None:
        self._locked.update(self._root(int(atom)) for atom in atoms)

    def join(self, a: Atoms, b: Atoms) -> None:
        for left, right in zip(a.tolist(), b.tolist(), strict=True):
            first, second = sorted((self._root(left), self._root(right)))
            self._parents[second] = first
            if second in self._locked:
                self._locked.add(first)

    def _root(self, atom: int) -> int:
        while self._parents[atom] != atom:
            self._parents[atom] = self._parents[self._parents[atom]]
            atom = self._parents[atom]
        return atom


def couple(graph: Graph) -> Coupling:
    """Walk the graph and find out which channels belong together."""
    coupling = Coupling()
    tensors: dict[int, Atoms] = {}
    for call in graph.calls:
        given = [tensors[tensor] for tensor in call.inputs]
        made = _through(coupling, call, given)
        for tensor, atoms in zip(call.outputs, made, strict=True):
            tensors[tensor] = atoms
    for tensor in graph.outputs:
        coupling.lock(tensors[tensor])
    return coupling


def _through(coupling: Coupling, call: Call, given: list[Atoms]) -> list[Atoms]:
    """The atoms of what comes out of a call."""
    layer, kind = call.layer, call.kind
    if not given:
        return [coupling.new(_width(shape), locked=True) for shape in call.output_shapes]
    if not _plain(call):
        return _block(coupling, call, given)
    name = layer.name
    if kind in MAKERS or kind in DEPTHWISE or kind in _PASSING or kind == "Reshape":
        (atoms,) = given
        if name in coupling.taken:
            # Called again: its weights are the same, and so are its channels.
            coupling.join(coupling.taken[name], atoms)
        coupling.taken.setdefault(name, atoms)
    if kind in MAKERS:
        if name not in coupling.made:
            coupling.made[name] = coupling.new(_width(call.output_shapes[0]))
        if _activation(layer) in ("softmax", "log_softmax"):
            coupling.lock(coupling.made[name])
        return [coupling.made[name]]
    if kind in DEPTHWISE:
        return [np.repeat(given[0], layer.depth_multiplier)]
    if kind in _PASSING:
        if kind == "BatchNormalization":
            coupling.scaled[name] = given[0]
        return [given[0]]
    if kind in _MERGING:
        return [_merged(coupling, given)]
    if kind == "Concatenate":
        if layer.axis in (-1, len(call.output_shapes[0]) - 1):
            return [np.concatenate(given)]
        for atoms in given[1:]:
            coupling.join(given[0], atoms)
        return [given[0]]
    # Flatten, Reshape: `_plain` let them through.
    return [np.tile(given[0], _width(call.output_shapes[0]) // len(given[0]))]


def _plain(call: Call) -> bool:
    """Whether the call does with channels what its kind of layer usually does."""
    layer, kind = call.layer, call.kind
    # An operation of Keras 3 that is no layer has no configuration to rebuild.
    if not hasattr(layer, "get_weights") or len(call.outputs) != 1:
        return False
    shapes = [*call.input_shapes, *call.output_shapes]
    if any(len(shape) < 2 or shape[-1] is None for shape in shapes):
        return False
    if getattr(layer, "data_format", None) == "channels_first" or getattr(layer, "groups", 1) != 1:
        return False
    if kind in ("Flatten", "Reshape"):
        return _keeps_order(call)
    if kind == "Activation":
        return _activation(layer) not in ("softmax", "log_softmax")
    if kind == "BatchNormalization":
        axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
        return axis in (-1, len(shapes[0]) - 1)
    if kind == "Rescaling":
        return np.ndim(layer.scale) == 0 and np.ndim(layer.offset) == 0
    if kind == "Concatenate":
        return True
    if kind in _MERGING:
        widths = {shape[-1] for shape in shapes}
        return len(widths) == 1 or widths == {1, max(w or 0 for w in widths)}
    return kind in MAKERS or kind in DEPTHWISE or kind in _PASSING


def _keeps_order(call: Call) -> bool:
    """Whether a reshaping leaves channels next to each other: all in one axis, or in their own."""
    (before,), (after,) = call.input_shapes, call.output_shapes
    if any(n is None for n in (*before[1:], *after[1:])):
        return False
    return len(after) == 2 or after[-1] == before[-1]


def _merged(coupling: Coupling, given: list[Atoms]) -> Atoms:
    widest = max(given, key=len)
    for atoms in given:
        if len(atoms) == len(widest):
            coupling.join(widest, atoms)
        else:
            # One channel that is added to all of the others.
            coupling.lock(atoms)
    return widest


def _block(coupling: Coupling, call: Call, given: list[Atoms]) -> list[Atoms]:
    for atoms in given:
        coupling.lock(atoms)
    coupling.blocking.append((call.layer.name, call.kind))
    return [coupling.new(_width(shape), locked=True) for shape in call.output_shapes]


def _width(shape: tuple[int | None, ...]) -> int:
    return (shape[-1] or 0) if len(shape) > 1 else 0


def _activation(layer: Any) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "")
