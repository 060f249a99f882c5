"""Configurations as both flavours of Keras write them, without either."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Config = dict[str, Any]


@pytest.fixture(scope="session")
def models() -> dict[str, Any]:
    """Small models of many kinds of layers, by the names of their files."""
    import keras
    import tensorflow as tf
    import tf_keras

    given = keras.Input((6, 8), name="x")
    y = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))(given)
    y = keras.layers.TimeDistributed(keras.layers.Dense(4, activation="relu"))(y)
    # Keras cannot read operations back from HDF5.
    plain = keras.Model(given, keras.layers.Dense(2, name="scores")(keras.layers.Flatten()(y)))
    y = keras.ops.concatenate([y, keras.ops.mean(y[:, ::2], axis=1, keepdims=True)], axis=1) * 2.0
    inner = keras.Sequential([keras.Input((7, 4)), keras.layers.Flatten(), keras.layers.Dense(5)])
    y = keras.layers.BatchNormalization()(inner(y))
    again = inner(keras.layers.RepeatVector(7)(y[:, :4]))
    new = keras.Model(given, {"scores": keras.layers.Softmax()(y), "again": again})

    given = tf_keras.Input((8, 8, 2), name="x")
    y = tf_keras.layers.Conv2D(3, 3, kernel_regularizer="l2")(given)
    y = tf.nn.relu6(tf_keras.layers.DepthwiseConv2D(3, activation="swish")(y) + 3.0) / 6.0
    y = tf_keras.layers.GRU(4)(tf_keras.layers.Reshape((16, 3))(y))
    old = tf_keras.Model(given, tf_keras.layers.Dense(2, kernel_initializer="he_normal")(y))
    return {"keras.keras": new, "keras.h5": plain, "tf_keras.keras": old, "tf_keras.h5": old}


@pytest.fixture(scope="session")
def files(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """These models' files."""
    folder = tmp_path_factory.mktemp("untrusted")
    for name, model in models.items():
        model.save(folder / name)
    return {name: folder / name for name in models}


@pytest.fixture(scope="session")
def configs(files: dict[str, Path]) -> dict[str, Config]:
    """Their architectures, by the same names."""
    from edgekit.models.untrusted import KerasFile

    return {name: KerasFile.read(path).config for name, path in files.items()}


@pytest.fixture
def with_config(tmp_path: Path) -> Callable[[Path, Any], Path]:
    """A copy of a Keras file with another architecture, as an author would write it."""
    import h5py

    def changed(path: Path, config: Any) -> Path:
        target = tmp_path / f"changed{path.suffix}"
        text = json.dumps(copy.deepcopy(config))
        if path.suffix == ".h5":
            target.write_bytes(path.read_bytes())
            with h5py.File(target, "r+") as file:
                del file.attrs["model_config"]
                file.attrs["model_config"] = text
            return target
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                new.writestr(name, text if name == "config.json" else old.read(name))
        return target

    return changed
