"""SourceModel: a TensorFlow model of any flavour, called by name with named tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError, EdgekitError, UsageError, nearest, one_line, require
from edgekit.formats.metadata import Metadata
from edgekit.models.kernels import kernels_asked_of
from edgekit.models.plain_graph import plain
from edgekit.models.quantizers import is_quantized, quantizers_known
from edgekit.tensor import TensorSpec, name_in_files

Tensors = Mapping[str, Any]

# Longest sequence for which a recurrent layer is written out step by step (docs/explanation/quantisation.md).
UNROLLED_STEPS = 32


@dataclass(frozen=True)
class SourceModel:
    """A model to export, optimise or compare against.

    Attributes:
        path: the file or folder it was read from; the name of a model that is an object.
        flavour: ``"keras"`` (Keras 3), ``"tf_keras"`` or ``"savedmodel"``.
        model: the Keras model, or the loaded SavedModel.
        inputs, outputs: names, dtypes and shapes; None for dynamic dimensions, the batch first.
        call: TensorFlow tensors by input name to tensors by output name, in inference mode;
            works eagerly and inside a `tf.function`.
        variables: the `tf.Variable` objects that `call` reads.
        states: those that stateful recurrent layers keep from one call to the next; no `variables`.
        rounds: whether the model itself rounds, as in quantisation-aware training.
        metadata: what the file says about itself; empty where it does not.
        origin: what `artifact` is where that is no file.
    """

    path: Path
    flavour: str
    model: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    call: Callable[[Tensors], dict[str, Any]]
    variables: tuple[Any, ...]
    states: tuple[Any, ...] = ()
    rounds: bool = False
    metadata: Metadata = field(default_factory=Metadata)
    origin: Artifact | None = None

    @property
    def artifact(self) -> Artifact:
        """What it was made of, with its name and SHA-256."""
        return self.origin or Artifact.of(self.path)

    def reset(self) -> None:
        """Set the states to zeros, as the model began with."""
        for state in self.states:
            state.assign(np.zeros(state.shape, state.dtype.as_numpy_dtype))

    @contextmanager
    def from_zero(self) -> Iterator[None]:
        """Let the states begin as zeros, and be afterwards what they were."""
        before = [state.numpy() for state in self.states]
        self.reset()
        try:
            yield
        finally:
            for state, value in zip(self.states, before, strict=True):
                state.assign(value)

    @property
    def classes(self) -> int | None:
        """How many classes the only output tells apart, if it looks like a classifier's."""
        if len(self.outputs) != 1 or len(self.outputs[0].shape) != 2:
            return None
        return self.outputs[0].shape[1]


def from_keras(path: Path, flavour: str, model: Any) -> SourceModel:
    """Wrap a Keras 3 or tf_keras model.

    Raises:
        ArtifactError: its inputs are not known, as in a subclassed model that was never called.
    """
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise ArtifactError(
            f"{path}: the model's inputs are not known. Expected a Sequential or Functional model, "
            "or one that was called before it was saved."
        )
    free = _takes_any_batch(model)
    input_names = _unique(name_in_files(tensor.name) for tensor in model.inputs)
    output_names = _unique(_output_names(model))
    structure = _structure(model, "input")

    cells = [each for each in layers_of(model) if hasattr(each, "reset_dropout_mask")]

    def call(tensors: Tensors) -> dict[str, Any]:
        for cell in cells:
            # tf_keras' convolutional cells keep the masks of the last call, which had another batch.
            cell.reset_dropout_mask()
            cell.reset_recurrent_dropout_mask()
        flat = [tensors[name] for name in input_names]
        with kernels_asked_of(path):
            results = model(_like(structure, flat), training=False)
        return dict(zip(output_names, _flatten(results), strict=True))

    return SourceModel(
        path=path,
        flavour=flavour,
        model=model,
        inputs=_specs(input_names, model.inputs, free),
        outputs=_specs(output_names, model.outputs, free),
        call=call,
        # Keras 3 wraps TensorFlow's variables, tf_keras uses them as they are.
        variables=tuple(getattr(variable, "value", variable) for variable in model.variables)
        if flavour == "keras"
        else tuple(model.variables),
        states=_states(model),
        rounds=is_quantized(model),
    )


def layers_of(model: Any) -> list[Any]:
    """A Keras model's layers, those inside of layers too."""
    # No public way leads to the layers inside of layers, such as a Bidirectional's.
    return list(model._flatten_layers(include_self=False, recursive=True))


def _states(model: Any) -> tuple[Any, ...]:
    """What stateful recurrent layers keep; neither flavour counts it among a model's variables."""
    kept: list[Any] = []
    for layer in layers_of(model):
        if getattr(layer, "stateful", False) and hasattr(layer, "cell"):
            kept += _flatten(list(layer.states or ()))
    return tuple(
        getattr(state, "value", state) if hasattr(state, "path") else state for state in kept
    )


def copied(source: SourceModel) -> SourceModel:
    """The same model with variables of its own, so that one stays as it is while the other learns.

    Raises:
        ArtifactError: it is a SavedModel, or a subclassed model, whose graph is not known.
    """
    model = source.model
    if source.flavour == "savedmodel" or not (
        hasattr(model, "_nodes_by_depth") or hasattr(model, "_functional")
    ):
        raise ArtifactError(
            f"{source.path}: expected a Sequential or Functional model, which can be copied layer by "
            "layer."
        )
    keras = require(source.flavour, "export", "Copying a model")
    with quantizers_known() if is_quantized(model) else nullcontext():
        copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return from_keras(source.path, source.flavour, copy)


def from_saved_model(path: Path, loaded: Any, signature: str | None = None) -> SourceModel:
    """Wrap a SavedModel's signature: the one named, else ``serving_default``, else the only one.

    Raises:
        UsageError: it has no signature of that name; names those it has.
        ArtifactError: it has no signature, or several of which none is the default; or the one taken is
            no function, or not of tensors.
    """
    try:
        return _from_saved_model(path, loaded, signature)
    except EdgekitError:
        raise
    # TensorFlow loads objects of other kinds in a signature's place, and functions that cannot be read.
    except Exception as error:
        raise ArtifactError(
            f"{path}: its signatures cannot be used: {type(error).__name__}: {one_line(error)}"
        ) from error


def _from_saved_model(path: Path, loaded: Any, signature: str | None) -> SourceModel:
    signatures = dict(loaded.signatures)
    if signature is not None and signature not in signatures:
        raise UsageError(
            f"{path}: signature {signature!r} is not in the model, expected one of "
            f"{', '.join(sorted(signatures)) or 'none: it has no signatures'}."
            f"{nearest(signature, signatures)}"
        )
    only = next(iter(signatures)) if len(signatures) == 1 else "serving_default"
    function = signatures.get(signature or only)
    if function is None:
        raise ArtifactError(
            f"{path}: received the signatures {sorted(signatures) or 'none'}, expected "
            "'serving_default' or a single one. Name one: --signature (signature=)."
        )
    computed = plain(function)

    def call(tensors: Tensors) -> dict[str, Any]:
        with kernels_asked_of(path):
            return dict(computed.call(**tensors))

    return SourceModel(
        path=path,
        flavour="savedmodel",
        model=loaded,
        inputs=_specs(list(computed.inputs), computed.inputs.values()),
        outputs=_specs(list(computed.outputs), computed.outputs.values()),
        call=call,
        variables=computed.variables,
        rounds=computed.rounds,
    )


def _takes_any_batch(model: Any) -> bool:
    """Whether the batch that a model was built with is a batch among others.

    A Sequential model without an input of its own remembers the size of the first batch it saw; Keras
    gives it any. One that keeps a state keeps it for as many samples as it was built for.
    """
    layers = layers_of(model)
    sequential = any(cls.__name__ == "Sequential" for cls in type(model).__mro__)
    return sequential and not any(getattr(layer, "stateful", False) for layer in layers)


def _specs(names: Sequence[str], tensors: Any, any_batch: bool = False) -> tuple[TensorSpec, ...]:
    specs = []
    for name, tensor in zip(names, tensors, strict=True):
        dtype = tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.name
        if tensor.shape is None or getattr(tensor.shape, "rank", 0) is None:
            raise ArtifactError(f"tensor {name!r}: its number of axes is not known.")
        shape = tuple(None if n is None else int(n) for n in tensor.shape)
        if any_batch:
            shape = (None, *shape[1:])
        known = dtype if dtype in ("bfloat16", "string") else np.dtype(dtype).name
        specs.append(TensorSpec(name, known, shape))
    return tuple(specs)


def _output_names(model: Any) -> list[str]:
    """Names by which a user knows the outputs: dictionary keys, else the layers that make them."""
    structure = _structure(model, "output")
    if isinstance(structure, dict):
        # Both flavours flatten dictionaries by sorted key.
        return [name_in_files(key) for key in sorted(structure)]
    names = getattr(model, "output_names", None) or [model.layers[-1].name]
    return [name_in_files(name) for name in names]


def _structure(model: Any, side: str) -> Any:
    """How a model nests its inputs or outputs: one tensor, a list or a dictionary."""
    if type(model).__name__ == "Sequential":
        return getattr(model, f"{side}s")[0]
    # Keras 3 keeps it under this name only; tf_keras under the plain one.
    name = f"_{side}s_struct"
    return getattr(model, name) if hasattr(model, name) else getattr(model, side)


def _unique(names: Any) -> list[str]:
    unique: list[str] = []
    for name in names:
        copy, number = name, 1
        while copy in unique:
            copy, number = f"{name}_{number}", number + 1
        unique.append(copy)
    return unique


def _like(structure: Any, flat: list[Any]) -> Any:
    """`flat` in the structure (one tensor, list or dictionary) that the model's inputs have."""
    if isinstance(structure, dict):
        return dict(zip(sorted(structure), flat, strict=True))
    if isinstance(structure, (list, tuple)):
        return list(flat)
    return flat[0]


def _flatten(results: Any) -> list[Any]:
    if isinstance(results, dict):
        return [results[key] for key in sorted(results)]
    if isinstance(results, (list, tuple)):
        return [item for result in results for item in _flatten(result)]
    return [results]
