"""Load a model file with the flavour of Keras that can read it. No code from a file runs unasked."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Set
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from edgekit.artifact import FORMATS, Artifact
from edgekit.errors import (
    ArtifactError,
    MissingDependencyError,
    TrustWarning,
    UntrustedCodeError,
    UsageError,
    one_line,
    require,
    wrong_ending,
)
from edgekit.files import existing
from edgekit.formats.metadata import Metadata
from edgekit.models.budget import bounded
from edgekit.models.float32 import (
    default_float32,
    float32_file,
    in_float32,
    settled,
    widen_bfloat16,
)
from edgekit.models.imports import own_objects
from edgekit.models.lambdas import know_libraries
from edgekit.models.metadata import read
from edgekit.models.objects import with_inputs
from edgekit.models.quantizers import QUANTIZING_LAYERS, keras_kept, quantizers_known
from edgekit.models.saved_trial import refuse
from edgekit.models.source import SourceModel, from_keras, from_saved_model
from edgekit.models.untrusted import KerasFile, Known, Names, trusted_parts
from edgekit.models.untrusted.operations import with_modules
from edgekit.models.untrusted.reader import Reader
from edgekit.scratch import scratch_folder

_PURPOSE = "Loading a Keras model"

_ENDINGS = (".keras", ".h5", ".hdf5")

# Layers that Keras' own networks (keras.applications) bring along, by module.
NETWORK_LAYERS = (
    ("convnext", "LayerScale"),
    ("convnext", "StochasticDepth"),
    ("inception_resnet_v2", "CustomScaleLayer"),
)

# tfmot's wrapper around a layer that is being pruned.
PRUNING_LAYERS = frozenset({"PruneLowMagnitude"})
# And around one whose weights are being clustered.
CLUSTERING_LAYERS = frozenset({"ClusterWeights"})

_Loader = Callable[[Path, bool], Any]


def load(
    path: str | os.PathLike[str], *, trust_code: bool = False, signature: str | None = None
) -> SourceModel:
    """Load a ``.keras`` or HDF5 file, or a SavedModel folder.

    Keras 3 is asked first; tf_keras takes the older files that Keras 3 cannot read. The result's
    `flavour` says which it was. What a file is, its content decides, not its ending. Unless it is
    trusted, a sandboxed child reads it, and Keras gets a file written anew, with an architecture of known
    parts alone (`edgekit.models.untrusted`).
    A model of another precision (``mixed_float16``, ``mixed_bfloat16``,
    ``float16``, ``float64``) is rebuilt in float32 with the same weights.

    Args:
        path: the file or folder.
        trust_code: let code that the file holds (Lambda layers, Python functions) run, weights come
            from other files, and sizes be any; a `TrustWarning` names that code.
        signature: of a SavedModel, the one to take; ``serving_default`` or the only one if None.

    Raises:
        UsageError: nothing is there, its ending is no Keras model's, or it has no such signature.
        UntrustedCodeError: `trust_code` is false, and the file holds code, takes weights from other
            files, or asks for more memory than its size allows.
        ArtifactError: no flavour can read it; says why.
        MissingDependencyError: TensorFlow is not installed.
    """
    artifact = keras_artifact(path)
    if artifact.format == "savedmodel":
        loaded = load_saved_model(artifact.path, trust_code)
        source = from_saved_model(artifact.path, loaded, signature)
        return replace(source, metadata=read(artifact.path) or Metadata())
    if signature is not None:
        raise UsageError(
            f"{path}: received the signature {signature!r}, which only SavedModels have. Leave it out."
        )
    if artifact.format not in ("keras", "hdf5"):
        raise UsageError(
            f"{path}: received a {artifact.format} file, expected a Keras model: {', '.join(_ENDINGS)} or a "
            "SavedModel folder."
        )
    if trust_code:
        file = KerasFile.read(artifact.path, trusted=True)
        _say_what_is_trusted(file)
        metadata = read(artifact.path)
        return _loaded(artifact.path, file, metadata, partial(_as_it_is, file))
    with Reader.opened(artifact.path) as reader:
        return _loaded(artifact.path, reader, reader.metadata, partial(_normalised, reader))


def _loaded(
    path: Path,
    file: KerasFile | Reader,
    metadata: Metadata | None,
    model_of: Callable[[str, _Loader], Any],
) -> SourceModel:
    """The model of a Keras file, loaded by the first flavour that can.

    Args:
        model_of: gives the model that a flavour and its loader make of the file.
    """
    if file.bridged:
        # Makes known what the bridge gives its twins.
        require("edgekit.models.bridge.foreign", "export", _PURPOSE)
    reasons = []
    for flavour, name, loader in _loaders(file):
        try:
            model = model_of(flavour, loader)
        # Whoever refuses for safety has the last word.
        except (MissingDependencyError, UntrustedCodeError):
            raise
        # Deserialisers of files raise whatever the file provokes.
        except Exception as error:
            reasons.append(f"{name}: {one_line(error)}")
        else:
            if not getattr(model, "inputs", None):
                # A subclassed model, whose class the program or a file of the user's has made known.
                model = with_inputs(model, flavour)
            return replace(from_keras(path, flavour, model), metadata=metadata or Metadata())
    raise ArtifactError(
        f"{path}: no flavour of Keras can load it. {' '.join(reasons)} {_advice(file)}"
    )


def keras_artifact(path: str | os.PathLike[str]) -> Artifact:
    """A model's file that is to be loaded, without opening it; what it is instead, `load` says.

    Raises:
        UsageError: no path, nothing is there, or its ending is no model's.
    """
    file = existing(path, "model file")
    if not file.is_dir() and file.suffix.lower() not in (*_ENDINGS, *FORMATS.values()):
        raise wrong_ending(file, file.suffix, _ENDINGS, " or a SavedModel folder")
    return Artifact.of(path)


def _loaders(file: KerasFile | Reader) -> tuple[tuple[str, str, _Loader], ...]:
    """Who is to load a file, in this order: its flavour, that in words, and how."""
    if _mentions(file, QUANTIZING_LAYERS):
        return (("tf_keras", "tf_keras with tfmot", _load_quantized),)
    if _mentions(file, PRUNING_LAYERS):
        return (("tf_keras", "tf_keras with tfmot", _load_pruned),)
    if _mentions(file, CLUSTERING_LAYERS):
        return (("tf_keras", "tf_keras with tfmot", _load_clustered),)
    keras: tuple[str, str, _Loader] = ("keras", "Keras 3", _load_with_keras)
    # No other can read what Keras 3 has written.
    if file.version.startswith("3."):
        return (keras,)
    return (keras, ("tf_keras", "tf_keras", _load_with_tf_keras))


def _advice(file: KerasFile | Reader) -> str:
    """What to do about a file that nothing loads."""
    tfmot = QUANTIZING_LAYERS | PRUNING_LAYERS | CLUSTERING_LAYERS
    if file.kind == "archive" and _mentions(file, tfmot):
        return (
            "tensorflow-model-optimization's wrappers are read back from HDF5: save the model as .h5, "
            "model.save('model.h5')."
        )
    return (
        "If it uses layers of your own, name the file that defines them: --import FILE.py; in Python, "
        "import it first."
    )


def _normalised(reader: Reader, flavour: str, loader: _Loader) -> Any:
    """The model in a file that is not trusted: Keras gets another, with all in it written anew.

    Raises:
        UntrustedCodeError: it holds code, weights from elsewhere, or more than its size allows.
        Exception: whatever it provokes.
    """
    keras = _prepared(flavour)
    config = reader.normalised(_names(flavour), flavour)
    wanted = in_float32(config)
    floats = nullcontext() if wanted == config else default_float32(keras)
    with scratch_folder() as (folder, _), floats:
        copy, numbers = reader.copied(folder, wanted)
        if wanted != config and reader.kind == "hdf5":
            widen_bfloat16(copy)
        with bounded(numbers):
            return settled(loader(copy, False), reader.path)


def _as_it_is(file: KerasFile, flavour: str, loader: _Loader) -> Any:
    """The model in a file whose author is trusted."""
    keras = _prepared(flavour)
    wanted = in_float32(file.config)
    if flavour == "keras":
        wanted = with_modules(wanted)
    if wanted == file.config:
        model = loader(file.path, True)
    else:
        with float32_file(file.path, wanted, keras) as copy:
            model = loader(copy, True)
    know_libraries(model, flavour)
    return settled(model, file.path)


def _say_what_is_trusted(file: KerasFile) -> None:
    _prepared("keras")
    parts = trusted_parts(file.config, _names("keras"))
    if parts:
        said = ", ".join(parts)
        warnings.warn(
            f"{file.path}: trusted, as requested: {said:.1000}", TrustWarning, stacklevel=3
        )


def _prepared(flavour: str) -> Any:
    """A flavour of Keras that knows what the user's files define, and what its own networks are made of."""
    keras = require(flavour, "export", _PURPOSE)
    keras.saving.get_custom_objects().update(own_objects(keras))
    for module, name in NETWORK_LAYERS:
        place = require(f"{keras.__name__}.src.applications.{module}", "export", _PURPOSE)
        if hasattr(place, name):
            keras.saving.get_custom_objects().setdefault(name, getattr(place, name))
    return keras


def _names(flavour: str) -> dict[str, Names]:
    """What the flavours know. The other's is requested only by what edgekit's bridge has made."""
    imported = [each for each in ("keras", "tf_keras") if each in sys.modules or each == flavour]
    return {
        "keras": Names("keras"),
        "tf_keras": Names("tf_keras"),
        **{
            each: Names(each, Known(require(each, "export", _PURPOSE).saving.get_registered_object))
            for each in imported
        },
    }


def _load_with_keras(path: Path, trust_code: bool) -> Any:
    keras = require("keras", "export", _PURPOSE)
    return keras.saving.load_model(path, compile=False, safe_mode=not trust_code)


def _load_with_tf_keras(path: Path, trust_code: bool) -> Any:
    tf_keras = require("tf_keras", "export", _PURPOSE)
    return tf_keras.models.load_model(path, compile=False, safe_mode=not trust_code)


def _load_quantized(path: Path, trust_code: bool) -> Any:
    """A model with the wrappers of quantisation-aware training, which tf_keras alone does not know."""
    with quantizers_known():
        return _load_with_tf_keras(path, trust_code)


def _load_pruned(path: Path, trust_code: bool) -> Any:
    """A model as it is in the middle of pruning, without the wrappers that tf_keras alone does not know."""
    with keras_kept():
        prune = require(
            "tensorflow_model_optimization.python.core.sparsity.keras.prune", "export", _PURPOSE
        )
    with prune.prune_scope():
        return prune.strip_pruning(_load_with_tf_keras(path, trust_code))


def _load_clustered(path: Path, trust_code: bool) -> Any:
    """A model as it is in the middle of clustering, each weight its cluster's, without the wrappers."""
    with keras_kept():
        cluster = require(
            "tensorflow_model_optimization.python.core.clustering.keras.cluster", "export", _PURPOSE
        )
    with cluster.cluster_scope():
        return cluster.strip_clustering(_load_with_tf_keras(path, trust_code))


def load_saved_model(path: Path, trust_code: bool) -> Any:
    """What TensorFlow loads of a SavedModel folder, with all its signatures.

    Raises:
        ArtifactError: it is no SavedModel.
        UntrustedCodeError: `trust_code` is false, and its graph reaches beyond the model, or ends the process of
            a trial.
    """
    tf = require("tensorflow", "export", _PURPOSE)
    if not (path / "saved_model.pb").is_file():
        raise ArtifactError(f"{path}: a folder without saved_model.pb, expected a SavedModel.")
    if not trust_code:
        refuse(path)
    try:
        loaded = tf.saved_model.load(str(path))
        # What has none is no model of TensorFlow's own making.
        dict(loaded.signatures)
        return loaded
    except Exception as error:
        raise ArtifactError(
            f"{path}: cannot be loaded as a SavedModel: {one_line(error)}"
        ) from error


def _mentions(file: KerasFile | Reader, layers: Set[str]) -> bool:
    """Whether an architecture holds one of these layers, by the name of its class."""
    return any(name.split(">")[-1] in layers for name in file.classes)
