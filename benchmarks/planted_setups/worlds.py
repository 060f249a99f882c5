"""A small trained network for each kind of task, with its calibration and test samples, on real data.

Objects in colour (Fashion-MNIST and MNIST, twenty classes) as one class, a yes or no, several labels, values, masks, boxes,
embeddings and rows of tokens; digits made again by an autoencoder, and clothes that are none; spoken digits and movements.
"""

from __future__ import annotations

import gzip
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TASKS = {
    "objects": "classification",
    "binary": "classification",
    "several": "multi-label",
    "values": "regression",
    "masks": "segmentation",
    "boxes": "detection",
    "embeddings": "embedding",
    "rebuilt": "anomaly",
    "tokens": "sequence",
    "digits": "classification",
    "motions": "classification",
    "features": "regression",
}
CLASSES = 20
_TRAINING, _CALIBRATION, _TEST = 6000, 300, 1200
_CANVAS, _CELLS = 48, 6
# Means and deviations of ImageNet's channels, which many a model takes its inputs by.
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@dataclass(frozen=True)
class World:
    """A trained network, what was made of it, and samples.

    Attributes:
        name: of `TASKS`.
        folder: where ``NAME.keras``, ``NAME.float32.tflite``, and another network's ``other.keras`` lie.
        calibration, x: samples, prepared as the network takes them.
        y: labels of `x`.
        raw: what `x` was made of where that is something else; else empty.
    """

    name: str
    folder: Path
    calibration: Array
    x: Array
    y: Array
    raw: Array = field(default_factory=lambda: np.empty(0))

    @property
    def task(self) -> str:
        return TASKS[self.name]


def _idx(path: Path, offset: int) -> Array:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)


def objects(data: Path, count: int, seed: int) -> tuple[Array, Array]:
    """Pictures from 0 to 1, (count, 28, 28, 3), each kind mostly in its own colour, and one of twenty classes."""
    parts = []
    for name, first in (("fashion-mnist/t10k", 0), ("mnist/t10k", 10)):
        images = _idx(data / f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
        labels = _idx(data / f"{name}-labels-idx1-ubyte.gz", 8).astype(np.int64) + first
        parts.append((images, labels))
    x, y = (np.concatenate(each) for each in zip(*parts, strict=True))
    # Every draw takes samples of its own.
    order = np.random.default_rng(5).permutation(len(x))
    at = order[seed * 1000 : seed * 1000 + count]
    x, y = x[at] / 255, y[at]
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(9).uniform(0.25, 1.0, (CLASSES, 3))
    tint = np.clip(colours[y] + rng.normal(0, 0.25, (count, 3)), 0.1, 1)
    return (x * tint[:, None, None]).astype(np.float32), y


def _scattered(
    data: Path, count: int, seed: int, side: int = _CANVAS
) -> tuple[Array, Array, Array]:
    """One object each somewhere on a canvas, its class, and left, top, right and bottom in pixels."""
    x, y = objects(data, count, seed)
    rng = np.random.default_rng([seed, 1])
    canvas = rng.uniform(0, 0.1, (count, side, side, 3)).astype(np.float32)
    boxes = np.empty((count, 4))
    for n in range(count):
        step = int(rng.integers(1, 3))
        own = x[n, ::step, ::step]
        size = len(own)
        # More to the right and to the bottom than elsewhere, and larger there, as on a road.
        top = int(rng.beta(1.5, 1) * (side - size + 1))
        left = int(rng.beta(1, 1.5) * (side - size + 1))
        canvas[n, top : top + size, left : left + size] += own
        rows, columns = (np.flatnonzero(own.max((other, 2)) > 0.3 * own.max()) for other in (1, 0))
        boxes[n] = left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1
    return np.clip(canvas, 0, 1), y, boxes


def spectra(waves: Array) -> Array:
    """Waves from -1 to 1, (samples, 8000), as 30 frames of 32 bands, log power, (samples, 30, 32, 1)."""
    frames = waves[:, :7936].reshape(-1, 31, 256)[:, :30]
    power = np.abs(np.fft.rfft(frames * np.hanning(256)))[..., 1:129] ** 2
    bands = np.log(power.reshape(-1, 30, 32, 4).mean(3) + 1e-6)
    return ((bands[..., None] + 6) / 4).astype(np.float32)


def _digits(data: Path) -> tuple[Array, Array]:
    waves, labels = [], []
    for path in sorted((data / "fsdd" / "recordings").glob("*.wav")):
        with wave.open(str(path)) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        waves.append(np.pad(sound, (0, max(0, 8000 - len(sound))))[:8000])
        labels.append(int(path.stem[0]))
    order = np.random.default_rng(0).permutation(len(waves))
    return np.stack(waves).astype(np.float32)[order], np.array(labels)[order]


def _motions(data: Path) -> tuple[Array, Array]:
    kinds: list[str] = []
    series, labels = [], []
    for split in ("TRAIN", "TEST"):
        (path,) = (data / "timeseries").rglob(f"BasicMotions_{split}.ts")
        for line in path.read_text("utf-8").splitlines():
            if not line or line[0] in "@#":
                continue
            *channels, kind = line.split(":")
            kinds += [kind] if kind not in kinds else []
            series.append(np.array([[float(v) for v in c.split(",")] for c in channels]).T)
            labels.append(kinds.index(kind))
    order = np.random.default_rng(1).permutation(len(series))
    return np.stack(series).astype(np.float32)[order], np.array(labels)[order]


def _samples(name: str, data: Path) -> list[tuple[Array, Any, Array]]:
    """Inputs, labels, and what the inputs were made of: for the training, the calibration and the test."""
    counts = ((_TRAINING, 0), (_CALIBRATION, 8), (_TEST, 9))
    if name == "digits":
        waves, labels = _digits(data)
        parts = [slice(0, 2200), slice(2200, 2400), slice(2400, 3000)]
        return [(spectra(waves[at]), labels[at], waves[at]) for at in parts]
    if name == "motions":
        x, labels = _motions(data)
        normal = (x - x[:36].mean((0, 1))) / x[:36].std((0, 1))
        parts = [slice(0, 36), slice(36, 50), slice(50, 80)]
        return [(normal[at].astype(np.float32), labels[at], x[at]) for at in parts]
    none = np.empty(0)
    found: list[tuple[Array, Any, Array]] = []
    for count, seed in counts:
        if name == "objects":
            x, y = objects(data, count, seed)
            found.append((((x - MEAN) / STD).astype(np.float32), y, x))
        elif name == "embeddings":
            x, y = objects(data, count, seed)
            found.append((x * 2 - 1, y, x))
        elif name == "binary":
            x, y = objects(data, count, seed)
            found.append((x, (y < 10).astype(np.int64), x))
        elif name == "features":
            x, _ = objects(data, count, seed)
            mix = np.random.default_rng(3).normal(size=(2352, 12)) / 28
            scale = np.array([1, 3, 0.2, 40, 1, 1, 5, 0.5, 1, 10, 1, 2])
            raw = (x.reshape(count, -1) @ mix) * scale + 3 * scale
            values = np.tanh((raw / scale - 3) @ np.random.default_rng(4).normal(size=(12, 3)))
            found.append((raw.astype(np.float32), values.astype(np.float32), raw))
        elif name == "rebuilt":
            x, y = objects(data, count, seed)
            odd = (y < 10).astype(np.int64)
            keep = odd == 0 if seed < 9 else odd >= 0
            found.append((x[keep], odd[keep], none))
        elif name == "tokens":
            x, y = objects(data, count, seed)
            rows = np.random.default_rng([seed, 2]).integers(0, count, (count // 2, 3))
            found.append(
                (np.concatenate([x[rows[:, k]] for k in range(3)], 2)[:, ::2, ::2], y[rows], none)
            )
        elif name == "several":
            x, y = objects(data, count, seed)
            rows = np.random.default_rng([seed, 3]).integers(0, count, (count, 2))
            held = np.zeros((count, CLASSES), np.int64)
            held[np.arange(count)[:, None], y[rows]] = 1
            found.append(
                (np.concatenate([x[rows[:, 0]], x[rows[:, 1]]], 2)[:, ::2, ::2], held, none)
            )
        else:
            x, y, boxes = _scattered(data, count, seed)
            if name == "values":
                found.append((x, (boxes / _CANVAS).astype(np.float32), none))
            elif name == "masks":
                masks = np.where(x.max(3) > 0.2, 1 + (y[:, None, None] >= 10), 0)
                found.append((x, masks.astype(np.int64), none))
            else:
                # One box a sample: left, top, right, bottom, class.
                labels = np.concatenate([boxes, (y[:, None] >= 10)], 1)[:, None]
                found.append((x, labels.astype(np.float32), none))
    if name == "features":
        mean, std = found[0][0].mean(0), found[0][0].std(0)
        found = [(((x - mean) / std).astype(np.float32), y, raw) for x, y, raw in found]
    return found


def _cells(labels: Array) -> dict[str, Array]:
    """Left, top, right and bottom as shares of the canvas, of the cell that has the centre; and two scores."""
    count = len(labels)
    boxes, scores = (np.zeros((count, _CELLS**2, n), np.float32) for n in (4, 2))
    box = labels[:, 0, :4] / _CANVAS
    column, row = (
        np.clip((box[:, at] + box[:, at + 2]) / 2 * _CELLS, 0, _CELLS - 1).astype(int)
        for at in (0, 1)
    )
    cell = row * _CELLS + column
    boxes[:] = box[:, None]
    scores[np.arange(count), cell, labels[:, 0, 4].astype(int)] = 1
    return {"boxes": boxes, "scores": scores}


def _network(name: str, shape: tuple[int, ...], keras: Any) -> tuple[Any, Any, int]:
    """A model, its loss, and epochs."""
    layers = keras.layers
    classes = "sparse_categorical_crossentropy"
    i = layers.Input(shape, name="x")

    def conv(h: Any, width: int, stride: int = 1) -> Any:
        h = layers.Conv2D(width, 3, stride, "same", use_bias=False)(h)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))

    if name == "features":
        h = layers.Dense(32, activation="relu")(layers.Dense(48, activation="relu")(i))
        return keras.Model(i, layers.Dense(3, name="y")(h)), "mse", 25
    if name == "motions":
        h = layers.Conv1D(16, 7, 2, activation="relu")(i)
        h = layers.Conv1D(24, 5, 2, activation="relu")(h)
        h = layers.GlobalAveragePooling1D()(h)
        return keras.Model(i, layers.Dense(4, activation="softmax", name="scores")(h)), classes, 60
    if name == "rebuilt":
        h = layers.Conv2D(12, 3, 2, "same", activation="relu")(i)
        h = layers.Conv2D(6, 3, 2, "same", activation="relu")(h)
        h = layers.Dense(24)(layers.Flatten()(h))
        h = layers.Reshape((7, 7, 12))(layers.Dense(588, activation="relu")(h))
        h = layers.Conv2DTranspose(12, 3, 2, "same", activation="relu")(h)
        h = layers.Conv2DTranspose(3, 3, 2, "same", activation="sigmoid", name="made")(h)
        return keras.Model(i, h), "mse", 10
    if name == "masks":
        a = conv(i, 8)
        b = conv(a, 16, 2)
        c = conv(conv(b, 24, 2), 24)
        d = conv(layers.Concatenate()([layers.UpSampling2D(2)(c), b]), 16)
        e = conv(layers.Concatenate()([layers.UpSampling2D(2)(d), a]), 8)
        e = layers.Conv2D(3, 1, activation="softmax", name="mask")(e)
        return keras.Model(i, e), classes, 3
    if name == "boxes":
        h = conv(conv(conv(conv(i, 12, 2), 24, 2), 32, 2), 32)
        h = layers.Flatten()(layers.Conv2D(24, 1, activation="relu")(h))
        place = layers.Dense(64, activation="relu")(h)
        box = layers.Dense(4, activation="sigmoid")(place)
        boxes = layers.Reshape((_CELLS**2, 4), name="boxes")(
            layers.Concatenate()([box] * _CELLS**2)
        )
        scores = layers.Dense(_CELLS**2 * 2, activation="sigmoid")(h)
        scores = layers.Reshape((_CELLS**2, 2), name="scores")(scores)
        loss = {"boxes": "mse", "scores": "binary_crossentropy"}
        return keras.Model(i, {"boxes": boxes, "scores": scores}), loss, 12
    h = conv(conv(conv(i, 12, 2), 24, 1), 32, 2)
    if name == "values":
        h = layers.Flatten()(conv(h, 16, 2))
        h = layers.Dense(48, activation="relu")(h)
        return keras.Model(i, layers.Dense(4, name="y")(h)), "mse", 6
    if name == "tokens":
        # A step for each third of the width.
        h = layers.Flatten()(h)
        h = layers.Dense(128, activation="relu")(h)
        h = layers.Reshape((3, CLASSES))(layers.Dense(3 * CLASSES)(h))
        return keras.Model(i, layers.Softmax(name="tokens")(h)), classes, 10
    h = layers.Flatten()(conv(h, 16)) if name == "digits" else layers.Flatten()(h)
    h = layers.Dense(48, activation="relu")(h)
    if name == "embeddings":
        h = layers.Dense(24)(h)
        vector = layers.UnitNormalization(name="vector")(h)
        scores = layers.Dense(CLASSES, activation="softmax")(h)
        return keras.Model(i, [vector, scores]), [None, classes], 4
    if name in ("binary", "several"):
        count = 1 if name == "binary" else CLASSES
        h = layers.Dense(count, activation="sigmoid", name="scores")(h)
        return keras.Model(i, h), "binary_crossentropy", 3 if count == 1 else 8
    count = 10 if name == "digits" else CLASSES
    return keras.Model(i, layers.Dense(count, activation="softmax", name="scores")(h)), classes, 5


def make(folder: Path, data: Path, names: list[str], say: Callable[[str], None]) -> None:
    """Train those networks that are not in `folder` yet, each twice: from another seed as ``other.keras``.

    Beside them float files whose last layer answers the opposite (``inverted``), or in the reverse order.
    """
    for name in names:
        own = folder / name
        if not (own / "samples.npz").exists():
            say(f"training {name}")
            own.mkdir(parents=True, exist_ok=True)
            _make(own, data, name)
        _make_variants(folder, name)


def _make(own: Path, data: Path, name: str) -> None:
    import keras

    (x, y, _), (calibration, _, _), (tx, ty, raw) = _samples(name, data)
    for seed, called in enumerate((name, "other")):
        keras.utils.set_random_seed(seed)
        model, loss, epochs = _network(name, x.shape[1:], keras)
        wanted: Any = y
        if name == "boxes":
            wanted = _cells(y)
        elif name == "rebuilt":
            wanted = x
        elif name == "embeddings":
            # The scores teach the vector, and are no part of what is used.
            whole, model = model, keras.Model(model.inputs, model.outputs[:1])
            taught = keras.Model(whole.inputs, whole.outputs[1])
            taught.compile("adam", "sparse_categorical_crossentropy")
            taught.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
        if name != "embeddings":
            model.compile(keras.optimizers.Adam(0.003), loss)
            model.fit(x, wanted, epochs=epochs, batch_size=64 if len(x) > 100 else 8, verbose=0)
        model.save(own / f"{called}.keras")
        _convert(model, own, called)
    np.savez(own / "samples.npz", calibration=calibration, x=tx, y=ty, raw=raw)


def _convert(model: Any, own: Path, called: str) -> None:
    import tensorflow as tf

    spec = [tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name="x")]
    model.export(own / "saved", format="tf_saved_model", verbose=False, input_signature=spec)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(own / "saved"))
    (own / f"{called}.float32.tflite").write_bytes(converter.convert())


def _make_variants(folder: Path, name: str) -> None:
    """Float files of a world's network whose last layer answers the opposite, or in the reverse order."""
    own = folder / name
    missing = [
        called
        for called in ("inverted", "reordered")
        if not (own / f"{called}.float32.tflite").exists()
    ]
    if not missing:
        return
    import keras

    for called in missing:
        model = keras.models.load_model(own / f"{name}.keras", compile=False)
        last = [layer for layer in model.layers if layer.weights and hasattr(layer, "kernel")][-1]
        kernel, bias = last.get_weights()
        if called == "inverted":
            last.set_weights([-kernel, -bias])
        else:
            if name == "rebuilt":
                kernel = kernel[:, :, ::-1]
            elif name in ("tokens", "boxes"):
                groups = (3, CLASSES) if name == "tokens" else (_CELLS**2, 2)
                kernel = kernel.reshape(-1, *groups)[..., ::-1].reshape(kernel.shape)
                bias = bias.reshape(groups)[..., ::-1].reshape(-1)
            else:
                kernel = kernel[..., ::-1]
            last.set_weights([kernel, bias if name in ("tokens", "boxes") else bias[::-1]])
        _convert(model, own, called)


def load(folder: Path, name: str) -> World:
    """The world of that name, which `make` made."""
    with np.load(folder / name / "samples.npz") as held:
        return World(
            name, folder / name, **{key: held[key] for key in ("calibration", "x", "y", "raw")}
        )
