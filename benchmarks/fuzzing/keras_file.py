"""Mutations of Keras files: architectures, and the structure of HDF5."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.draw import Rng, pick


def _config(data: bytes, rng: Rng) -> bytes:
    """Another configuration in an architecture's JSON."""
    from support.keras_mutants import mutant as changed

    seed = random.Random(int(rng.integers(2**62)))
    return json.dumps(changed(json.loads(data), seed)).encode()


def config(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "model.weights.h5" and rng.random() < 0.2:
                content = structure_h5(content, rng, [])
            new.writestr(name, _config(content, rng) if name == "config.json" else content)
    return target.getvalue()


def _changed_h5(data: bytes, change: Callable[[Any], None]) -> bytes:
    import h5py

    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        change(file)
    return stream.getvalue()


def config_h5(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(file: Any) -> None:
        text = file.attrs["model_config"]
        text = text.encode() if isinstance(text, str) else text
        del file.attrs["model_config"]
        file.attrs["model_config"] = _config(text, rng).decode()

    return _changed_h5(data, change)


def structure_h5(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Links to elsewhere, circles, absurd sizes, other types."""
    import h5py

    def change(file: Any) -> None:
        names: list[str] = []
        file.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        name = pick(rng, names)
        what = int(rng.integers(6))
        del file[name]
        if what == 0:
            file[name] = h5py.ExternalLink("/etc/hostname", "/x")
        elif what == 1:
            file[name] = h5py.SoftLink(f"/{pick(rng, names)}")
        elif what == 2:
            file[name] = file["/"]
        elif what == 3:
            file.create_dataset(name, (2**31, 2**20), "float32")
        elif what == 4:
            file[name] = "text"
        else:
            shape = [int(n) for n in rng.integers(0, 5, int(rng.integers(5)))]
            file[name] = np.zeros(shape, pick(rng, ["f4", "i8", "?", "c16"]))

    return _changed_h5(data, change)


def make(folder: Path) -> None:
    """Small models of both flavours, as their own savers write them."""
    import keras
    import tf_keras

    for library in (keras, tf_keras):
        layers = library.layers
        given = library.Input((8, 8, 2), name="x")
        y = layers.Conv2D(3, 3, activation="relu", kernel_regularizer="l2")(given)
        y = layers.Reshape((12, 9))(layers.BatchNormalization()(y))
        y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(y)
        inner = library.Sequential([library.Input((12, 6)), layers.Flatten(), layers.Dense(4)])
        y = layers.Dropout(0.1)(inner(layers.TimeDistributed(layers.Dense(6))(y)))
        model = library.Model(given, layers.Dense(2, kernel_initializer="he_normal")(y))
        for ending in (".keras", ".h5"):
            model.save(folder / f"{library.__name__}{ending}")
