"""Layers: which of a model's layers an operator of a converted file comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Names:
    """The names by which a user knows the parts of a model.

    Attributes:
        layers: of a Keras model, those of models inside it included; none of a SavedModel.
        outputs: sorted, the order in which the converter has them.
    """

    layers: frozenset[str] = frozenset()
    outputs: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Any, outputs: Sequence[str]) -> Names:
        return cls(frozenset(_walk(model)), tuple(sorted(outputs)))

    def layer_of(self, path: str) -> str | None:
        """The layer that a tensor's or node's name tells, the innermost where it tells several.

        Args:
            path: such as ``"functional_1/conv2d_1/Relu;functional_1/conv2d_1/convolution1"``.
        """
        for part in reversed(path.split(";")[0].split("/")):
            # Keras adds a number to each name when it calls a model anew.
            for name in (re.sub(r"_\d+$", "", part), part):
                if name in self.layers:
                    return name
        return None

    def place(self, path: str) -> str:
        """``"layer 'conv2d'"``, or what else is known of where an operator stands."""
        layer = self.layer_of(path)
        if layer:
            return f"layer {layer!r}"
        # The converter names what a model gives after its own call. Where outputs have no names of
        # their own, they have their layers'.
        given = re.fullmatch(r"(?:Stateful)?PartitionedCall(?:_\d+)?:(\d+)", path)
        if given and int(given[1]) < len(self.outputs):
            return f"the layer that gives {self.outputs[int(given[1])]!r}"
        return f"the operator at {path!r}" if path else "an operator"


def _walk(model: Any) -> Iterator[str]:
    layers = getattr(model, "layers", ())
    for layer in layers if isinstance(layers, (list, tuple)) else ():
        yield layer.name
        # Wrappers such as TimeDistributed and Bidirectional hold one layer.
        inner = getattr(layer, "layer", None)
        if inner is not None:
            yield inner.name
        yield from _walk(layer)
