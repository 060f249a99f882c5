"""Objects: a Keras model of the program itself, with no file to it, as a model to export or to run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from edgekit.artifact import OBJECT, Artifact
from edgekit.errors import ArtifactError, UsageError, one_line, require
from edgekit.models.float32 import float32_object
from edgekit.models.source import SourceModel, from_keras


@dataclass(frozen=True)
class ModelObject(Artifact):
    """A model object where else a file stands; its name is the model's.

    Attributes:
        model: the Keras 3 or tf_keras model.
    """

    model: Any

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the model's classes, its config and its weights, when first asked for.

        Two processes that build the same model with the same weights have the same. A subclassed
        model's own code is not part of it.
        """
        digest = hashlib.sha256(json.dumps(_description(self.model), sort_keys=True).encode())
        for variable in self.model.weights:
            name, value = _name(variable), np.ascontiguousarray(variable)
            digest.update(json.dumps([name, value.dtype.name, value.shape]).encode())
            digest.update(value.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()

    @cached_property
    def size_bytes(self) -> int:
        """What its weights take."""
        return sum(np.asarray(variable).nbytes for variable in self.model.weights)


def artifact_of(model: Any) -> ModelObject:
    """Describe a model object.

    Raises:
        UsageError: it is no Keras model.
    """
    if _flavour_of(model) is None:
        raise UsageError(
            f"model: received a {type(model).__module__}.{type(model).__qualname__}, expected a "
            "Keras 3 or tf_keras model, or the path of a model file."
        )
    name = re.sub(r"[^\w.-]", "_", model.name).lstrip(".") or "model"
    return ModelObject(name, OBJECT, "float32", model)


def from_object(model: Any) -> SourceModel:
    """Take a Keras 3 or tf_keras model as it is in memory: Functional, Sequential or subclassed.

    A Sequential or subclassed model without an input of its own has the inputs that it was last
    built or called with, named ``input``, or by their keys. Keras 3 does not remember their dtypes:
    they are taken as floats. Around a model that takes integers, or several arguments, build a
    Functional model with `keras.Input`.

    Of a model of another precision (``mixed_float16``, ``mixed_bfloat16``, ``float16``, ``float64``) a copy
    in float32 is taken, with the weights that it has now.

    Raises:
        UsageError: it is no Keras model.
        ArtifactError: its inputs are not known: it was never called; or it has another precision and
            cannot be rebuilt in float32.
    """
    artifact, flavour = artifact_of(model), _flavour_of(model)
    assert flavour is not None, "artifact_of() refuses what has none"
    model = float32_object(model, flavour)
    if not getattr(model, "inputs", None):
        model = with_inputs(model, flavour)
    return replace(from_keras(artifact.path, flavour, model), origin=artifact)


@contextmanager
def unchanged(source: SourceModel) -> Iterator[None]:
    """Give the weights of a model object back as they were, whatever is done to them meanwhile."""
    if not isinstance(source.origin, ModelObject):
        yield
        return
    weights = source.origin.model.get_weights()
    try:
        yield
    finally:
        source.origin.model.set_weights(weights)


def _flavour_of(model: Any) -> str | None:
    """``"keras"`` or ``"tf_keras"``; told without importing either."""
    for cls in type(model).__mro__:
        package = cls.__module__.partition(".")[0]
        if cls.__name__ == "Model" and package in ("keras", "tf_keras"):
            return package
    return None


def with_inputs(model: Any, flavour: str) -> Any:
    """A Functional model around one that only remembers what it was called with.

    Raises:
        ArtifactError: it was never called, was called with several arguments, or cannot be called so.
    """
    keras = require(flavour, "export", "Exporting a Keras model")
    if flavour == "keras":
        remembered = getattr(model, "_build_shapes_dict", None) if model.built else None
        given = list((remembered or {}).values())
        dtype = getattr(model, "input_dtype", "float32")
    else:
        # Arguments by position, and by name.
        positional, named = model.save_spec() or ((), {})
        given, dtype = [*positional, *named.values()], None
    if len(given) != 1:
        raise ArtifactError(
            f"{model.name}: received a model that was "
            f"{'never called' if not given else 'called with several arguments'}, expected one "
            "whose inputs are known. Call it once on one array, list or dictionary of arrays, or "
            "build a Functional model around it with keras.Input."
        )
    inputs = _inputs(keras, given[0], dtype)
    try:
        return keras.Model(inputs, model(inputs), name=model.name)
    # The model's own code raises whatever it likes.
    except Exception as error:
        raise ArtifactError(
            f"{model.name}: cannot be called on the inputs it was built for: {one_line(error)} "
            "Build a Functional model around it with keras.Input."
        ) from error


def _inputs(keras: Any, structure: Any, dtype: str | None) -> Any:
    """A `keras.Input` for each shape or TensorSpec in `structure`, the batch left open."""

    def one(leaf: Any, name: str) -> Any:
        shape = getattr(leaf, "shape", leaf)
        kind = dtype or leaf.dtype.name
        return keras.Input(tuple(shape[1:]), dtype=kind, name=name)

    if isinstance(structure, dict):
        return {key: one(leaf, key) for key, leaf in structure.items()}
    if isinstance(structure, (list, tuple)) and not all(
        axis is None or isinstance(axis, int) for axis in structure
    ):
        return [one(leaf, f"input_{i}") for i, leaf in enumerate(structure, start=1)]
    return one(structure, "input")


def _description(model: Any) -> dict[str, Any]:
    """What the model says of itself, without how it is trained and who wrote it down."""
    kind = {"class": f"{type(model).__module__}.{type(model).__qualname__}"}
    try:
        config = json.loads(model.to_json())["config"]
    # A subclassed model with arguments that Keras cannot write down.
    except (NotImplementedError, TypeError, ValueError):
        return kind
    return {**kind, "config": config}


def _name(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name))
