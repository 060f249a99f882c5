"""Small networks trained on real data, each as a float TFLite file with calibration and test samples.

Fashion-MNIST as a classifier, as a segmentation (a U-Net), as a detector and as a regression, and the Free
Spoken Digit Dataset as a classifier of spectra.
"""

from __future__ import annotations

import gzip
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
CALIBRATION, TEST, TRAINING = 256, 300, 4000


def images(data: Path, split: str, count: int) -> tuple[Array, Array]:
    """Fashion-MNIST from 0 to 1, (count, 28, 28, 1), and classes."""

    def read(name: str, header: int) -> Array:
        raw = gzip.decompress((data / "fashion-mnist" / f"{split}-{name}-ubyte.gz").read_bytes())
        return np.frombuffer(raw, np.uint8, offset=header)

    x = read("images-idx3", 16).reshape(-1, 28, 28, 1)[:count].astype(np.float32) / 255
    return x, read("labels-idx1", 8)[:count].astype(np.int64)


def in_colour(x: Array, seed: int) -> Array:
    """Grey images tinted at random, (count, 28, 28, 3)."""
    tint = np.random.default_rng(seed).uniform(0.3, 1.0, (len(x), 1, 1, 3))
    return (x * tint * [1.0, 0.8, 0.5]).astype(np.float32)


def spectra(data: Path) -> tuple[Array, Array, Array, Array]:
    """Spoken digits as 30 frames of 32 bands, log power; training, test."""
    found: dict[bool, list[tuple[Array, int]]] = {True: [], False: []}
    for path in sorted((data / "fsdd" / "recordings").glob("*.wav")):
        digit, _, index = path.stem.split("_")
        with wave.open(str(path)) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        sound = np.resize(np.pad(sound, (0, max(0, 8000 - len(sound)))), 8000)
        frames = sound[:7936].reshape(31, 256)[:30]
        power = np.abs(np.fft.rfft(frames * np.hanning(256)))[:, 1:129] ** 2
        bands = np.log(power.reshape(30, 32, 4).mean(2) + 1e-6)
        found[int(index) < 5].append(((bands[..., None] + 6) / 4, int(digit)))
    train, test = (
        (np.stack([x for x, _ in rows]).astype(np.float32), np.array([y for _, y in rows]))
        for rows in (found[False], found[True])
    )
    order = np.random.default_rng(0).permutation(len(train[0]))
    return train[0][order], train[1][order], *test


def classifier(layers: Any, keras: Any, shape: tuple[int, ...]) -> Any:
    i = layers.Input(shape, name="x")
    h = _block(layers, layers.Conv2D(12, 3, 2, "same", use_bias=False)(i))
    for width in (16, 24):
        h = _block(layers, layers.DepthwiseConv2D(3, padding="same", use_bias=False)(h))
        h = _block(layers, layers.Conv2D(width, 1, use_bias=False)(h))
        r = h
        h = layers.Conv2D(width, 3, padding="same", activation="relu")(h)
        h = layers.MaxPooling2D()(layers.Add()([h, r]))
    h = layers.GlobalAveragePooling2D()(h)
    return keras.Model(i, layers.Dense(10, activation="softmax", name="scores")(h))


def unet(layers: Any, keras: Any) -> Any:
    i = layers.Input((28, 28, 3), name="x")
    a = layers.Conv2D(8, 3, padding="same", activation="relu")(i)
    b = layers.Conv2D(16, 3, 2, padding="same", activation="relu")(a)
    c = layers.Conv2D(24, 3, 2, padding="same", activation="relu")(b)
    up = layers.UpSampling2D(2)(c)
    d = layers.Concatenate()([layers.Conv2D(16, 1, activation="relu")(up), b])
    d = layers.Conv2D(16, 3, padding="same", activation="relu")(d)
    e = layers.Concatenate()([layers.UpSampling2D(2)(d), a])
    e = layers.Conv2D(8, 3, padding="same", activation="relu")(e)
    return keras.Model(i, layers.Conv2D(4, 1, name="mask")(e))


def detector(layers: Any, keras: Any) -> Any:
    i = layers.Input((28, 28, 3), name="x")
    h = layers.Conv2D(12, 3, 2, padding="same", activation="relu")(i)
    h = layers.Conv2D(24, 3, 2, padding="same", activation="relu")(h)
    h = layers.Conv2D(24, 3, padding="same", activation="relu")(h)
    boxes = layers.Conv2D(4, 1, name="boxes")(h)
    scores = layers.Conv2D(4, 1, activation="sigmoid", name="score")(h)
    return keras.Model(i, {"boxes": boxes, "score": scores})


def regression(layers: Any, keras: Any) -> Any:
    i = layers.Input((12,), name="x")
    h = layers.Dense(32, activation="relu")(i)
    h = layers.Dense(24, activation="relu")(h)
    h = layers.Dense(16, activation="relu")(h)
    return keras.Model(i, layers.Dense(3, name="y")(h))


def _block(layers: Any, h: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.8)(h))


def make(folder: Path, data: Path, names: list[str], say: Callable[[str], None]) -> None:
    """Train those networks that are not in `folder` yet, each as ``NAME.tflite`` and ``NAME.npz``."""
    for name in names:
        if (folder / f"{name}.npz").exists():
            continue
        say(f"training {name}")
        _make(folder, data, name)


def _make(folder: Path, data: Path, name: str) -> None:
    import keras
    import tensorflow as tf
    from keras import layers

    keras.utils.set_random_seed(len(name))
    x, y = images(data, "train", TRAINING)
    tx, ty = images(data, "t10k", CALIBRATION + TEST)
    classes = "sparse_categorical_crossentropy"
    if name == "fashion":
        model, loss, epochs = classifier(layers, keras, (28, 28, 1)), classes, 4
    elif name == "fsdd":
        x, y, tx, ty = spectra(data)
        tx, ty = np.concatenate([x[:CALIBRATION], tx]), np.concatenate([y[:CALIBRATION], ty])
        x, y = x[CALIBRATION:], y[CALIBRATION:]
        model, loss, epochs = classifier(layers, keras, (30, 32, 1)), classes, 8
    elif name == "unet":
        masks = [
            np.where(a[..., 0] > 0.2, 1 + b[:, None, None] % 3, 0) for a, b in ((x, y), (tx, ty))
        ]
        x, tx, (y, ty) = in_colour(x, 1), in_colour(tx, 2), masks
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model, epochs = unet(layers, keras), 4
    elif name == "detector":
        model, epochs = detector(layers, keras), 4
        targets = [_cells(a, b) for a, b in ((x, y), (tx, ty))]
        x, tx = in_colour(x, 1), in_colour(tx, 2)
        (y, ty), loss = targets, {"boxes": "mse", "score": "binary_crossentropy"}
    else:
        rng = np.random.default_rng(3)
        mix = rng.normal(size=(784, 12)) / 28
        shape = rng.normal(size=(12, 3))
        x, tx = (a.reshape(len(a), -1) @ mix for a in (x, tx))
        y, ty = (np.tanh(a @ shape) + 0.3 * a[:, :3] for a in (x, tx))
        x, tx = x.astype(np.float32), tx.astype(np.float32)
        model, loss, epochs = regression(layers, keras), "mse", 20
    model.compile("adam", loss)
    model.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
    model.export(
        folder / name,
        format="tf_saved_model",
        verbose=False,
        input_signature=[tf.TensorSpec((1, *x.shape[1:]), tf.float32, name="x")],
    )
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / name))
    (folder / f"{name}.tflite").write_bytes(converter.convert())
    np.savez(folder / f"{name}.npz", calibration=tx[:CALIBRATION], test=tx[CALIBRATION:])


def _cells(x: Array, y: Array) -> dict[str, Array]:
    """A box a cell of 7 x 7, centre and size, and four scores."""
    cover = x[..., 0].reshape(-1, 7, 4, 7, 4).mean((2, 4))
    rows = np.linspace(0, 1, 7)[None, :, None] * np.ones_like(cover)
    boxes = np.stack([rows, rows.transpose(0, 2, 1), cover, cover**2], -1)
    groups = np.stack([(y % 4 == k)[:, None, None] & (cover > 0.2) for k in range(4)], -1)
    return {"boxes": boxes.astype(np.float32), "score": groups.astype(np.float32)}
