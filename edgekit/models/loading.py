"""Load a model file with the flavour of Keras that can read it. No code from a file runs unasked."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact
from edgekit.errors import (
    ArtifactError,
    MissingDependencyError,
    UntrustedCodeError,
    UsageError,
    one_line,
    require,
)
from edgekit.metadata import Metadata
from edgekit.models.metadata import read
from edgekit.models.quantizers import QUANTIZING_LAYERS, quantizers_known
from edgekit.models.source import SourceModel, from_keras, from_saved_model

_PURPOSE = "Loading a Keras model"

# A config stays far below this; an archive that unpacks to more is not a model.
_CONFIG_LIMIT_BYTES = 256 << 20

# Operators through which a SavedModel's graph reaches beyond its own tensors.
_UNSAFE_OPS = {"PyFunc", "EagerPyFunc", "PyFuncStateless", "ReadFile", "WriteFile", "SaveV2"}


# Functions of TensorFlow that a tf_keras file may name in place of layers: those that compute with
# tensors alone. Others read and write files or run Python.
_SAFE_SYMBOLS = re.compile(
    r"(__operators__|math|nn|linalg|image|signal|bitwise|random|strings|compat\.v1\.(math|nn|linalg))\.\w+(\.\w+)?"
    r"|abs|add|argmax|argmin|argsort|boolean_mask|broadcast_to|cast|clip_by_value|concat|cos|cumsum"
    r"|divide|einsum|equal|exp|expand_dims|fill|floor|gather|gather_nd|greater|greater_equal|identity"
    r"|less|less_equal|logical_and|logical_not|logical_or|matmul|maximum|minimum|multiply|negative"
    r"|norm|not_equal|one_hot|ones_like|pad|pow|range|rank|reduce_\w+|repeat|reshape|reverse|roll"
    r"|round|scalar_mul|shape|sigmoid|sign|sin|slice|sort|split|sqrt|square|squeeze|stack"
    r"|strided_slice|subtract|tan|tanh|tensordot|tile|transpose|truediv|unstack|where|zeros_like"
    r"|compat\.v1\.(transpose|gather|squeeze|expand_dims|where)"
)


def load(path: str | os.PathLike[str], *, trust_code: bool = False) -> SourceModel:
    """Load a ``.keras`` or HDF5 file, or a SavedModel folder.

    Keras 3 is asked first; tf_keras takes the older files that Keras 3 refuses. The result's
    `flavour` says which it was.

    Args:
        path: the file or folder.
        trust_code: let code that the file holds (Lambda layers, Python functions) run.

    Raises:
        UsageError: nothing is there, or its ending is no Keras model's.
        UntrustedCodeError: the file holds code and `trust_code` is false.
        ArtifactError: no flavour can read it; says why.
        MissingDependencyError: TensorFlow is not installed.
    """
    artifact = Artifact.of(path)
    if artifact.format == "savedmodel":
        return _load_saved_model(artifact.path, trust_code)
    if artifact.format not in ("keras", "hdf5"):
        raise UsageError(
            f"{path}: received a {artifact.format} file, expected a Keras model: .keras, .h5 or a "
            "SavedModel folder."
        )
    metadata = read(artifact.path) or Metadata()
    config = _read_config(artifact)
    if not trust_code:
        _refuse_code(artifact.path, config)
    if "edgekit>" in json.dumps(config):
        # Makes known what the bridge gives its twins.
        require("edgekit.models.bridge.foreign", "export", _PURPOSE)
    reasons = []
    loaders: tuple[tuple[str, str, Callable[..., Any]], ...] = (
        ("keras", "Keras 3", _load_with_keras),
        ("tf_keras", "tf_keras", _load_with_tf_keras),
    )
    if _mentions_quantizers(config):
        loaders = (("tf_keras", "tf_keras with tfmot", _load_quantized),)
    for flavour, name, loader in loaders:
        try:
            model = loader(artifact.path, trust_code)
        except MissingDependencyError:
            raise
        # Deserialisers of untrusted files raise whatever the file provokes.
        except Exception as error:
            reasons.append(f"{name}: {one_line(error)}")
        else:
            return replace(from_keras(artifact.path, flavour, model), metadata=metadata)
    raise ArtifactError(
        f"{path}: no flavour of Keras can load it. {' '.join(reasons)} If it uses layers of your "
        "own, export a SavedModel from the program that defines them."
    )


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


def _load_saved_model(path: Path, trust_code: bool) -> SourceModel:
    tf = require("tensorflow", "export", _PURPOSE)
    proto = path / "saved_model.pb"
    if not proto.is_file():
        raise ArtifactError(f"{path}: a folder without saved_model.pb, expected a SavedModel.")
    if not trust_code:
        unsafe = sorted(_ops_of(proto) & _UNSAFE_OPS)
        if unsafe:
            raise UntrustedCodeError(
                f"{path}: its graph holds {', '.join(unsafe)}, which reach beyond the model. If you "
                "trust its author, give --trust-code (trust_code=True)."
            )
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        raise ArtifactError(
            f"{path}: cannot be loaded as a SavedModel: {one_line(error)}"
        ) from error
    return replace(from_saved_model(path, loaded), metadata=read(path) or Metadata())


def _ops_of(proto: Path) -> set[str]:
    message = require("google.protobuf.message", "export", _PURPOSE)
    saved_model_pb2 = require("tensorflow.core.protobuf.saved_model_pb2", "export", _PURPOSE)
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(proto.read_bytes())
    except message.DecodeError as error:
        raise ArtifactError(f"{proto}: not a SavedModel ({error}).") from error
    graphs = [meta.graph_def for meta in saved.meta_graphs]
    # SaveV2 in the saver's own top-level graph is how every SavedModel is saved.
    ops = {node.op for graph in graphs for node in graph.node} - {"SaveV2"}
    functions = [f for graph in graphs for f in graph.library.function]
    return ops | {node.op for function in functions for node in function.node_def} - {"SaveV2"}


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


def _mentions_quantizers(config: Any) -> bool:
    """Whether a config holds layers of quantisation-aware training, tfmot's or edgekit's."""
    if isinstance(config, dict):
        name = config.get("class_name")
        if isinstance(name, str) and name.split(">")[-1] in QUANTIZING_LAYERS:
            return True
        return any(_mentions_quantizers(value) for value in config.values())
    return isinstance(config, list) and any(_mentions_quantizers(value) for value in config)


def _refuse_code(path: Path, config: Any) -> None:
    for name in _code_in(config):
        raise UntrustedCodeError(
            f"{path}: layer {name!r} holds Python code (a Lambda), or a call of TensorFlow beyond its "
            "arithmetic, which would run with the model. If you trust its author, give --trust-code "
            "(trust_code=True); better, replace it with a layer."
        )


def _code_in(config: Any, owner: str = "") -> Iterator[str]:
    """Names of the layers in a config that carry code."""
    if isinstance(config, dict):
        inner = config.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            owner = inner["name"]
        if config.get("class_name") in ("Lambda", "__lambda__") or "__lambda__" in config:
            yield owner or "?"
        called = inner if "OpLambda" in str(config.get("class_name")) else None
        if isinstance(called, dict) and not _SAFE_SYMBOLS.fullmatch(str(called.get("function"))):
            yield owner or "?"
        for value in config.values():
            yield from _code_in(value, owner)
    elif isinstance(config, list):
        for value in config:
            yield from _code_in(value, owner)
