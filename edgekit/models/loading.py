"""Load a model file with the flavour of Keras that can read it. No code from a file runs unasked."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact
from edgekit.errors import (
    ArtifactError,
    MissingDependencyError,
    UsageError,
    one_line,
    require,
)
from edgekit.formats.metadata import Metadata
from edgekit.models.float32 import float32_file, in_float32, settled
from edgekit.models.imports import own_objects
from edgekit.models.links import refuse_links
from edgekit.models.metadata import read
from edgekit.models.objects import with_inputs
from edgekit.models.quantizers import QUANTIZING_LAYERS, keras_kept, quantizers_known
from edgekit.models.saved_model import refuse_reaching
from edgekit.models.source import SourceModel, from_keras, from_saved_model
from edgekit.models.trust import NETWORK_LAYERS, refuse_code, refuse_strangers

_PURPOSE = "Loading a Keras model"

# tfmot's wrapper around a layer that is being pruned.
PRUNING_LAYERS = frozenset({"PruneLowMagnitude"})
# And around one whose weights are being clustered.
CLUSTERING_LAYERS = frozenset({"ClusterWeights"})

# A config stays far below this; an archive that unpacks to more is not a model.
_CONFIG_LIMIT_BYTES = 256 << 20


def load(
    path: str | os.PathLike[str], *, trust_code: bool = False, signature: str | None = None
) -> SourceModel:
    """Load a ``.keras`` or HDF5 file, or a SavedModel folder.

    Keras 3 is asked first; tf_keras takes the older files that Keras 3 refuses. The result's
    `flavour` says which it was. A model of another precision (``mixed_float16``, ``mixed_bfloat16``,
    ``float16``, ``float64``) is rebuilt in float32 with the same weights.

    Args:
        path: the file or folder.
        trust_code: let code that the file holds (Lambda layers, Python functions) run.
        signature: of a SavedModel, the one to take; ``serving_default`` or the only one if None.

    Raises:
        UsageError: nothing is there, its ending is no Keras model's, or it has no such signature.
        UntrustedCodeError: the file holds code, or takes weights from other files, and `trust_code` is
            false.
        ArtifactError: no flavour can read it; says why.
        MissingDependencyError: TensorFlow is not installed.
    """
    artifact = Artifact.of(path)
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
            f"{path}: received a {artifact.format} file, expected a Keras model: .keras, .h5 or a "
            "SavedModel folder."
        )
    metadata = read(artifact.path) or Metadata()
    config = _read_config(artifact)
    if "edgekit>" in json.dumps(config):
        # Makes known what the bridge gives its twins.
        require("edgekit.models.bridge.foreign", "export", _PURPOSE)
    if not trust_code:
        refuse_code(artifact.path, config)
        refuse_links(artifact.path)
    reasons = []
    loaders: tuple[tuple[str, str, Callable[..., Any]], ...] = (
        ("keras", "Keras 3", _load_with_keras),
        ("tf_keras", "tf_keras", _load_with_tf_keras),
    )
    if _mentions(config, QUANTIZING_LAYERS):
        loaders = (("tf_keras", "tf_keras with tfmot", _load_quantized),)
    elif _mentions(config, PRUNING_LAYERS):
        loaders = (("tf_keras", "tf_keras with tfmot", _load_pruned),)
    elif _mentions(config, CLUSTERING_LAYERS):
        loaders = (("tf_keras", "tf_keras with tfmot", _load_clustered),)
    for flavour, name, loader in loaders:
        try:
            model = _in_float32(artifact.path, config, flavour, loader, trust_code)
        except MissingDependencyError:
            raise
        # Deserialisers of untrusted files raise whatever the file provokes.
        except Exception as error:
            reasons.append(f"{name}: {one_line(error)}")
        else:
            if not getattr(model, "inputs", None):
                # A subclassed model, whose class the program or a file of the user's has made known.
                model = with_inputs(model, flavour)
            return replace(from_keras(artifact.path, flavour, model), metadata=metadata)
    raise ArtifactError(
        f"{path}: no flavour of Keras can load it. {' '.join(reasons)} {_advice(artifact.path, config)}"
    )


def _advice(path: Path, config: Any) -> str:
    """What to do about a file that nothing loads."""
    wrappers = QUANTIZING_LAYERS | PRUNING_LAYERS | CLUSTERING_LAYERS
    if path.suffix == ".keras" and _mentions(config, wrappers):
        return (
            "tensorflow-model-optimization's wrappers are read back from HDF5: save the model as .h5, "
            "model.save('model.h5')."
        )
    return (
        "If it uses layers of your own, name the file that defines them: --import FILE.py; in Python, "
        "import it first."
    )


def _in_float32(
    path: Path, config: Any, flavour: str, loader: Callable[..., Any], trust_code: bool
) -> Any:
    """The model in the file, rebuilt where it computes in other floats than float32."""
    keras = require(flavour, "export", _PURPOSE)
    normal = in_float32(config)
    if normal == config:
        model = loader(path, config, trust_code)
    else:
        with float32_file(path, normal, keras) as copy:
            model = loader(copy, normal, trust_code)
    return settled(model, path)


def _load_with_keras(path: Path, config: Any, trust_code: bool) -> Any:
    keras = require("keras", "export", _PURPOSE)
    _make_known(keras)
    if not trust_code:
        refuse_strangers(config, keras)
    return keras.saving.load_model(path, compile=False, safe_mode=not trust_code)


def _load_with_tf_keras(path: Path, config: Any, trust_code: bool) -> Any:
    tf_keras = require("tf_keras", "export", _PURPOSE)
    _make_known(tf_keras)
    if not trust_code:
        refuse_strangers(config, tf_keras)
    return tf_keras.models.load_model(path, compile=False, safe_mode=not trust_code)


def _make_known(keras: Any) -> None:
    """Let Keras find by name what the user's files define, and what its own networks are made of."""
    keras.saving.get_custom_objects().update(own_objects(keras))
    for module, name in NETWORK_LAYERS:
        place = require(f"{keras.__name__}.src.applications.{module}", "export", _PURPOSE)
        if hasattr(place, name):
            keras.saving.get_custom_objects().setdefault(name, getattr(place, name))


def _load_quantized(path: Path, config: Any, trust_code: bool) -> Any:
    """A model with the wrappers of quantisation-aware training, which tf_keras alone does not know."""
    with quantizers_known():
        return _load_with_tf_keras(path, config, trust_code)


def _load_pruned(path: Path, config: Any, trust_code: bool) -> Any:
    """A model as it is in the middle of pruning, without the wrappers that tf_keras alone does not know."""
    with keras_kept():
        prune = require(
            "tensorflow_model_optimization.python.core.sparsity.keras.prune", "export", _PURPOSE
        )
    with prune.prune_scope():
        return prune.strip_pruning(_load_with_tf_keras(path, config, trust_code))


def _load_clustered(path: Path, config: Any, trust_code: bool) -> Any:
    """A model as it is in the middle of clustering, each weight its cluster's, without the wrappers."""
    with keras_kept():
        cluster = require(
            "tensorflow_model_optimization.python.core.clustering.keras.cluster", "export", _PURPOSE
        )
    with cluster.cluster_scope():
        return cluster.strip_clustering(_load_with_tf_keras(path, config, trust_code))


def load_saved_model(path: Path, trust_code: bool) -> Any:
    """What TensorFlow loads of a SavedModel folder, with all its signatures.

    Raises:
        ArtifactError: it is no SavedModel.
        UntrustedCodeError: its graph reaches beyond the model and `trust_code` is false.
    """
    tf = require("tensorflow", "export", _PURPOSE)
    if not (path / "saved_model.pb").is_file():
        raise ArtifactError(f"{path}: a folder without saved_model.pb, expected a SavedModel.")
    if not trust_code:
        refuse_reaching(path)
    try:
        return tf.saved_model.load(str(path))
    except Exception as error:
        raise ArtifactError(
            f"{path}: cannot be loaded as a SavedModel: {one_line(error)}"
        ) from error


def _read_config(artifact: Artifact) -> Any:
    """The architecture as the file describes it, read without running any of it."""
    path = artifact.path
    try:
        if artifact.format == "keras":
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo("config.json").file_size > _CONFIG_LIMIT_BYTES:
                    raise ArtifactError(f"{path}: its config.json unpacks to an absurd size.")
                return json.loads(archive.read("config.json"))
        h5py = require("h5py", "export", _PURPOSE)
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise ArtifactError(
                    f"{path}: holds weights without an architecture. Save the whole model: "
                    "model.save(...)."
                )
            return json.loads(file.attrs["model_config"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, RecursionError) as error:
        raise ArtifactError(
            f"{path}: not a whole {path.suffix} file ({error}). Save the model again, or copy it anew."
        ) from error


def _mentions(config: Any, layers: Set[str]) -> bool:
    """Whether a config holds one of these layers, by the name of its class."""
    if isinstance(config, dict):
        name = config.get("class_name")
        if isinstance(name, str) and name.split(">")[-1] in layers:
            return True
        return any(_mentions(value, layers) for value in config.values())
    return isinstance(config, list) and any(_mentions(value, layers) for value in config)
