"""Shapes: sizes for the dynamic dimensions of a model, as sequences of any length and images of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgekit.errors import ExportError, UsageError, nearest
from edgekit.models.source import SourceModel
from edgekit.recipe.export import DYNAMIC
from edgekit.tensor import TensorSpec

Shape = Sequence[int | str]


def shaped(source: SourceModel, shapes: Mapping[str, Shape]) -> SourceModel:
    """The same model with inputs of these shapes.

    Args:
        source: the model.
        shapes: for inputs by name, a size for each axis, the batch first; `DYNAMIC` for one that stays
            open.

    Raises:
        UsageError: the model has no such input, or one that takes no such shape.
        ExportError: an axis other than the batch is open, and `shapes` does not say what it is to be.
    """
    known = [spec.name for spec in source.inputs]
    for name in shapes:
        if name not in known:
            raise UsageError(
                f"shape: received one for {name!r}, expected the input {' or '.join(map(repr, known))}."
                f"{nearest(name, known)}"
            )
    return replace(
        source, inputs=tuple(_shaped(spec, shapes.get(spec.name)) for spec in source.inputs)
    )


def _shaped(spec: TensorSpec, shape: Shape | None) -> TensorSpec:
    if shape is None:
        if None in spec.shape[1:]:
            raise ExportError(
                f"input {spec.name!r}: has dynamic dimensions: {list(spec.shape)}, expected a size for each "
                f"axis other than the batch. Give them: {_option(spec)}; '{DYNAMIC}' for a size keeps a "
                "dimension dynamic, where the format can."
            )
        return spec
    sizes = tuple(None if size == DYNAMIC else int(size) for size in shape)
    fits = len(sizes) == len(spec.shape) and all(
        own in (None, size) for own, size in zip(spec.shape, sizes, strict=True)
    )
    if not fits:
        raise UsageError(
            f"shape: received {list(shape)} for input {spec.name!r}, expected one that fits "
            f"{list(spec.shape)}, where None takes any size."
        )
    return replace(spec, shape=sizes)


def _option(spec: TensorSpec) -> str:
    """How to say it, with sizes that are common."""
    common = (1, 224, 224) if len(spec.shape) == 4 else (1, *(128 for _ in spec.shape[1:]))
    sizes = [
        own if own is not None else common[min(axis, len(common) - 1)]
        for axis, own in enumerate(spec.shape)
    ]
    return (
        f"--shape {spec.name}={','.join(map(str, sizes))} (shape={{{spec.name!r}: {tuple(sizes)}}})"
    )
