"""Freeze: one trace of a model with the shapes the files will have, which both converters read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgekit.convert.layers import Names
from edgekit.errors import ExportError, one_line, require
from edgekit.models.source import SourceModel
from edgekit.tensor import TensorSpec


@dataclass(frozen=True)
class Frozen:
    """A traced model.

    Attributes:
        function: the concrete function, by input name.
        saved_model: a folder with the same as its ``serving_default`` signature. Keras 3's
            variables reach the TFLite converter only this way.
        inputs, outputs: with the batch that was fixed, or None for an open one.
        names: of its layers and outputs, for messages.
    """

    function: Any
    saved_model: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    names: Names


@contextmanager
def freeze(source: SourceModel, batch: int | None) -> Iterator[Frozen]:
    """Trace `source` with `batch` samples an inference; None leaves it open.

    A fixed batch keeps shape arithmetic out of the file: one delegate partition instead of several.

    Raises:
        ExportError: the model cannot be traced with that batch, or an axis other than the batch is open.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    inputs = tuple(_with_batch(spec, batch) for spec in source.inputs)
    signature = {
        spec.name: tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs
    }

    def serve(**tensors: Any) -> dict[str, Any]:
        # identity gives each output a tensor of its own, which carries its name into the file.
        return {
            name: tf.identity(tensor, name=name) for name, tensor in source.call(tensors).items()
        }

    try:
        function = tf.function(serve).get_concrete_function(**signature)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise ExportError(
            f"{source.path}: cannot be traced with inputs "
            f"{ {spec.name: list(spec.shape) for spec in inputs} }: {one_line(error)}"
        ) from error
    outputs = tuple(
        TensorSpec(name, tensor.dtype.name, tuple(tensor.shape))
        for name, tensor in function.structured_outputs.items()
    )
    module = tf.Module()
    module.tracked = (list(source.variables), source.model)
    with TemporaryDirectory(prefix="edgekit-") as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": function})
        names = Names.of(source.model, [spec.name for spec in outputs])
        yield Frozen(function, Path(folder), inputs, outputs, names)


def _with_batch(spec: TensorSpec, batch: int | None) -> TensorSpec:
    fixed = spec.shape[0] if spec.shape else None
    if fixed is not None and batch not in (None, fixed):
        raise ExportError(
            f"input {spec.name!r}: the model itself fixes the batch at {fixed}, received {batch}. "
            f"Export with --batch {fixed}."
        )
    if None in spec.shape[1:]:
        raise ExportError(
            f"input {spec.name!r}: has shape {list(spec.shape)}; axes other than the batch must have "
            "a size. Save the model with a fixed input shape."
        )
    return replace(spec, shape=(fixed or batch, *spec.shape[1:]))
