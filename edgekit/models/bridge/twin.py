"""Twin: a model in the other flavour, and which of its layers was made from which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgekit.models.source import SourceModel, from_keras

# Largest difference that counts as equal, as a share of the output's range.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Twin:
    """A model and the layers of the other flavour that it was made from.

    Attributes:
        source: the twin, callable by name.
        pairs: (layer of the original, layer of the twin) wherever there are weights, in graph
            order; a shared layer stands there once.
    """

    source: SourceModel
    pairs: list[tuple[Any, Any]]


def wrapped(source: SourceModel, flavour: str, model: Any) -> SourceModel:
    """`model`, rebuilt from `source`, with the names by which the original is known.

    Both have the same tensors in the same order. Names of outputs differ where the last layer of a
    nested model became a layer of its own, and dtypes where the original computed in 16 bits.
    """
    own = from_keras(source.path, flavour, model)
    ins = [spec.name for spec in own.inputs]
    outs = [spec.name for spec in own.outputs]

    def call(tensors: Mapping[str, Any]) -> dict[str, Any]:
        named = (spec.name for spec in source.inputs)
        given = {mine: tensors[name] for mine, name in zip(ins, named, strict=True)}
        results = own.call(given)
        return {spec.name: results[mine] for spec, mine in zip(source.outputs, outs, strict=True)}

    outputs = tuple(
        replace(mine, name=spec.name)
        for mine, spec in zip(own.outputs, source.outputs, strict=True)
    )
    return replace(
        own,
        inputs=source.inputs,
        outputs=outputs,
        call=call,
        metadata=source.metadata,
        origin=source.origin,
    )


def unique(names: Iterable[str] = ()) -> Callable[[str], str]:
    """A function that gives each layer a name no other has, its own where that is free.

    Layers of nested models become neighbours, and tf_keras makes variable scopes of names, which
    take fewer characters than names may hold; Keras 3 refuses a slash.
    """
    taken = set(names)

    def of(name: str) -> str:
        name = candidate = name.replace("/", "_")
        number = 1
        while candidate in taken:
            candidate, number = f"{name}_{number}", number + 1
        taken.add(candidate)
        return candidate

    return of
