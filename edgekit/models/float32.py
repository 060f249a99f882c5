"""Float32: models of other precisions rebuilt with the same weights, every float in 32 bits.

A network trained in ``mixed_float16``, ``mixed_bfloat16``, ``float16`` or ``float64`` answers in float32
up to rounding as it did, and float32 is what the converters, their kernels and every scheme begin with.
The precision stands in the configuration of each layer: that is where it is changed, before Keras reads it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import ArtifactError, one_line, require
from edgekit.models.archive import copy_with_member, save_keras
from edgekit.models.untrusted import kind_of
from edgekit.scratch import scratch_folder

_PURPOSE = "Rebuilding a model in float32"

# Dtypes and policies of other floats, by both flavours' names; behind a mode where weights are integers.
_OTHER = re.compile(r"(.+_from_)?(mixed_)?(float16|bfloat16|float64|half|double)")
# Classes whose configuration names a precision outright.
_POLICY = re.compile(r"(.*>)?(\w*DTypePolicy|DTypePolicyMap|Policy|PolicyV1)")


def in_float32(config: Any) -> Any:
    """An architecture with every other floating dtype and policy in it turned into float32.

    Args:
        config: as JSON; it stays as it is.
    """
    if isinstance(config, list):
        return [in_float32(item) for item in config]
    if not isinstance(config, dict):
        return config
    name, inner = config.get("class_name"), config.get("config")
    if isinstance(name, str) and _POLICY.fullmatch(name) and isinstance(inner, dict):
        return {**config, "config": _renamed(inner)}
    return {
        key: _renamed(value) if key.split("_")[-1] == "dtype" else in_float32(value)
        for key, value in config.items()
    }


def _renamed(value: Any) -> Any:
    """`value` with every text in it that names another precision turned into ``float32``."""
    if isinstance(value, dict):
        return {key: _renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    found = _OTHER.fullmatch(value) if isinstance(value, str) else None
    return f"{found[1] or ''}float32" if found else value


@contextmanager
def float32_file(path: Path, config: Any, keras: Any) -> Iterator[Path]:
    """A copy of the model file at `path` with `config` for its architecture, while the block runs.

    Args:
        path: a ``.keras`` or HDF5 file.
        config: what `in_float32` gives.
        keras: the flavour that is to read it; layers without a precision of their own get float32.

    Raises:
        OSError: the copy cannot be written.
    """
    text = json.dumps(config)
    with scratch_folder() as (folder, _), default_float32(keras):
        copy = folder / path.name
        if kind_of(path) == "archive":
            copy_with_member(path, copy, "config.json", text.encode())
        else:
            shutil.copyfile(path, copy)
            h5py = require("h5py", "export", _PURPOSE)
            with h5py.File(copy, "r+") as file:
                file.attrs["model_config"] = text
            widen_bfloat16(copy)
        yield copy


def widen_bfloat16(path: Path) -> None:
    """Store as float32 what HDF5 has no type for: Keras writes it as two bytes of no kind.

    Args:
        path: an HDF5 file, which is changed.
    """
    h5py = require("h5py", "export", _PURPOSE)
    found: list[Any] = []
    with h5py.File(path, "r+") as file:
        file.visititems(
            lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None
        )
        for item in found:
            if item.dtype.kind == "V" and item.dtype.itemsize == 2:
                name, upper = item.name, np.asarray(item[()]).view(np.uint16).astype(np.uint32)
                del file[name]
                file[name] = (upper << 16).view(np.float32)


def float32_object(model: Any, flavour: str) -> Any:
    """`model` itself where all of it is float32, else a copy that is.

    Args:
        model: of Keras 3 or tf_keras; it stays as it is.
        flavour: ``"keras"`` or ``"tf_keras"``.

    Raises:
        ArtifactError: it has another precision and cannot be rebuilt.
    """
    if not _is_other(model):
        return model
    keras = require(flavour, "export", _PURPOSE)
    try:
        with scratch_folder() as (folder, _), keras.saving.custom_object_scope(_classes(model)):
            path = folder / "model.keras"
            save_keras(model, path)
            # What it holds is of this process: nothing in it is run that was not loaded before.
            config = in_float32(json.loads(_architecture(path)))
            with float32_file(path, config, keras) as copy:
                rebuilt = keras.models.load_model(copy, compile=False, safe_mode=False)
        return settled(rebuilt, model.name)
    except ArtifactError:
        raise
    # Layers of one's own raise whatever they like.
    except Exception as error:
        raise ArtifactError(
            f"{model.name}: computes in other floats than float32 and cannot be rebuilt in float32: "
            f"{one_line(error)} {_ADVICE}"
        ) from error


_ADVICE = (
    "Build it once more under the policy 'float32' and give it the weights: "
    "new.set_weights(model.get_weights())."
)


def settled(model: Any, name: str | Path) -> Any:
    """`model`, every layer of which computes in float32, and every float of which has 32 bits.

    Layers that are made inside of a layer of one's own may have a precision that no configuration says.

    Raises:
        ArtifactError: a layer that cannot be changed any more.
    """
    for layer in _layers(model):
        if _OTHER.fullmatch(str(layer.compute_dtype)):
            if getattr(getattr(type(layer), "dtype_policy", None), "fset", None) is None:
                raise _fixed(name, f"layer {layer.name!r} computes in {layer.compute_dtype}")
            layer.dtype_policy = "float32"
    for variable in model.weights:
        if _OTHER.fullmatch(_dtype(variable)):
            where = getattr(variable, "path", variable.name)
            raise _fixed(name, f"weight {where!r} is stored as {_dtype(variable)}")
    return model


def _fixed(name: str | Path, what: str) -> ArtifactError:
    return ArtifactError(f"{name}: {what} by a layer's own code, expected float32. {_ADVICE}")


def _is_other(model: Any) -> bool:
    """Whether anything in a model is a float of another size."""
    try:
        config = json.loads(model.to_json())["config"]
    # A subclassed model with arguments that Keras cannot write down.
    except (NotImplementedError, TypeError, ValueError):
        config = None
    if config is not None and in_float32(config) != config:
        return True
    dtypes = {str(layer.compute_dtype) for layer in _layers(model)}
    dtypes |= {_dtype(variable) for variable in model.weights}
    return any(_OTHER.fullmatch(dtype) for dtype in dtypes)


def _layers(model: Any) -> list[Any]:
    """All layers, those inside of layers too, and the model itself."""
    return list(model._flatten_layers(include_self=True, recursive=True))


def _dtype(variable: Any) -> str:
    dtype = variable.dtype
    return dtype if isinstance(dtype, str) else str(dtype.name)


def _classes(model: Any) -> dict[str, type]:
    """The classes of a model's layers by name, so that those of the user's own are found again."""
    return {
        cls.__name__: cls
        for cls in map(type, _layers(model))
        if cls.__module__.partition(".")[0] not in ("keras", "tf_keras")
    }


def _architecture(path: Path) -> bytes:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return archive.read("config.json")


@contextmanager
def default_float32(keras: Any) -> Iterator[None]:
    """Let layers that say no precision have float32, whatever the program has chosen for new ones."""
    if hasattr(keras, "config"):
        get, put = keras.config.dtype_policy, keras.config.set_dtype_policy
    else:
        get, put = keras.mixed_precision.global_policy, keras.mixed_precision.set_global_policy
    floats = keras.backend
    policy, floatx = get(), floats.floatx()
    floats.set_floatx("float32")
    put("float32")
    try:
        yield
    finally:
        floats.set_floatx(floatx)
        put(policy)
