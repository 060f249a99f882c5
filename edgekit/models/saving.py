"""Save a Keras model of either flavour: the ending of the name says as what."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.errors import ArtifactError, UsageError, require
from edgekit.files import atomic, atomic_folder
from edgekit.formats.metadata import Metadata
from edgekit.models.archive import save_keras
from edgekit.models.metadata import write
from edgekit.models.source import SourceModel, from_keras
from edgekit.outputs import refuse_existing

_PURPOSE = "Saving a Keras model"
_FILES = (".keras", ".h5", ".hdf5")


def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    metadata: Metadata | None = None,
    overwrite: bool = False,
) -> None:
    """Save a model so that `edgekit.models.load` can read it again.

    A name that ends in ``.keras`` or ``.h5`` gives a file with layers and weights. One without an
    ending gives a SavedModel folder, which holds the computation alone: loading it needs no code of
    one's own, but it has no layers to train or prune.

    Args:
        model: of Keras 3 or tf_keras, or what `edgekit.models.load` gave.
        path: where to. It appears whole or not at all.
        metadata: what the file is to say about itself; None for what a loaded model's file said.
        overwrite: replace what is there.

    Raises:
        UsageError: as `check_saving`; or a folder that is no SavedModel would be replaced.
        OutputExistsError: `path` exists and `overwrite` is false.
        ArtifactError: a SavedModel of a model whose inputs are not known.
    """
    path = Path(path)
    source = model if isinstance(model, SourceModel) else None
    keras_model = source.model if source else model
    if source is None or source.flavour != "savedmodel":
        check_saving(keras_model, path)
    refuse_saving(path, overwrite)
    if path.suffix in _FILES:
        if source and source.flavour == "savedmodel":
            raise UsageError(
                f"{path}: the model is a SavedModel, which has no layers to write to a file. Expected "
                "a name without an ending, for a folder."
            )
        with atomic(path) as temporary:
            with _without_advice():
                save_keras(keras_model, temporary)
            _describe(temporary, metadata, source)
        return
    source = source or from_keras(path, _flavour(keras_model), keras_model)
    with atomic_folder(path) as folder:
        _write_saved_model(source, folder)
        _describe(folder, metadata, source)


def _describe(path: Path, metadata: Metadata | None, source: SourceModel | None) -> None:
    if metadata is None and source is not None:
        metadata = source.metadata
    if metadata not in (None, Metadata()):
        write(path, metadata)


def check_path(path: str | os.PathLike[str]) -> Path:
    """Ask this before the work.

    Raises:
        UsageError: the name's ending is none that a model can be saved as.
    """
    path = Path(path)
    if path.suffix not in ("", *_FILES):
        raise UsageError(
            f"{path}: received a name that ends in {path.suffix}, expected .keras, .h5, or none for a "
            "SavedModel folder."
        )
    return path


def check_saving(model: Any, path: str | os.PathLike[str]) -> None:
    """Ask this before a model is trained in vain.

    Raises:
        UsageError: as `check_path`; or the file could not be loaded again, because it names classes
            of one's own in place of holding them.
    """
    path = check_path(path)
    own = next(_own_classes(model), None)
    if path.suffix and own is not None:
        raise UsageError(
            f"{path}: {own} is code of your own, which a {path.suffix} file names but does not hold: "
            "no other program could load it. Save a SavedModel folder: a name without an ending, such "
            f"as {path.with_suffix('')}."
        )


def refuse_saving(path: Path, overwrite: bool) -> None:
    """Ask this before the work.

    Raises:
        OutputExistsError: `path` exists and `overwrite` is false.
        UsageError: what stands there is none that a model would replace.
    """
    if path.suffix or not path.is_dir():
        refuse_existing([path], overwrite)
        if not path.suffix and path.exists():
            raise UsageError(f"{path}: is a file, expected a SavedModel folder or nothing.")
        return
    refuse_existing([path], overwrite, folder=True)
    if not (path / "saved_model.pb").is_file() and any(path.iterdir()):
        raise UsageError(
            f"{path}: is a folder of something else, which would be lost. Choose another output."
        )


def _write_saved_model(source: SourceModel, folder: Path) -> None:
    tf = require("tensorflow", "export", _PURPOSE)
    specs = {
        spec.name: tf.TensorSpec(spec.shape, tf.dtypes.as_dtype(spec.dtype), spec.name)
        for spec in source.inputs
    }
    module = tf.Module()
    # Variables are saved with what holds them; tables are found through the model alone.
    module.tracked = (list(source.variables), source.model)
    serve = tf.function(lambda **tensors: source.call(tensors))
    tf.saved_model.save(
        module, str(folder), signatures={"serving_default": serve.get_concrete_function(**specs)}
    )


def _flavour(model: Any) -> str:
    keras = require("keras", "export", _PURPOSE)
    if isinstance(model, keras.Model):
        return "keras"
    tf_keras = require("tf_keras", "export", _PURPOSE)
    if isinstance(model, tf_keras.Model):
        return "tf_keras"
    raise ArtifactError(
        f"received {type(model).__module__}.{type(model).__qualname__}, expected a Keras model."
    )


def _own_classes(model: Any) -> Iterator[str]:
    """Models and layers of classes that are not Keras' own, in words."""
    _flavour(model)
    for layer in model._flatten_layers(include_self=True, recursive=True):
        cls = type(layer)
        if cls.__module__.partition(".")[0] not in ("keras", "tf_keras"):
            what = "the model" if layer is model else f"layer {layer.name!r}"
            yield f"{what} ({cls.__module__}.{cls.__qualname__})"


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keras advises against HDF5, which was requested."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")
            yield
    finally:
        logger.setLevel(level)
