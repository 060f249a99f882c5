"""What people put around a network: codes in front of it, heads of several units behind, cells in a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from .brought import IMAGE, LINE, PADDED, PIXELS, _embedded, _entry, _wide
from .entry import Input


def _matched(keras: Any, user: Any, item: Any) -> Any:
    L = keras.layers
    a, b = (L.Flatten()(_embedded(keras, ids, 5000)) for ids in (user, item))
    pair = L.Concatenate()([L.Multiply()([a, b]), L.Dot(1)([a, b])])
    return L.Dense(1, activation="sigmoid", name="y")(pair)


def _hashed(keras: Any, ids: Any) -> Any:
    place = keras.ops.mod(ids * 31.0 + 17.0, 997.0)
    return keras.layers.Flatten(name="y")(_embedded(keras, keras.ops.cast(place, "int32"), 997))


def _by_bits(keras: Any, ids: Any) -> Any:
    ids = keras.ops.cast(ids, "int32")
    place = keras.ops.mod(keras.ops.bitwise_xor(ids * 31, ids // 7), 499)
    return keras.layers.Flatten(name="y")(_embedded(keras, place, 499))


def _bucketed(keras: Any, x: Any) -> Any:
    place = keras.layers.Discretization(bin_boundaries=np.linspace(-1, 1, 255).tolist())(x)
    return keras.layers.Dense(4, name="y")(keras.layers.Flatten()(_embedded(keras, place, 256)))


def _window(keras: Any, x: Any, start: Any) -> Any:
    places = keras.ops.cast(start, "int32") + keras.ops.arange(4)[None]
    picked = keras.ops.take_along_axis(x, places[:, :, None], axis=1)
    return keras.layers.Dense(3, name="y")(keras.layers.Flatten()(picked))


def _decided(keras: Any, x: Any) -> Any:
    logits = keras.layers.Dense(9)(x)
    best = keras.ops.max(keras.ops.softmax(logits), -1, keepdims=True)
    return {"label": keras.ops.argmax(logits, -1), "score": best}


def _hour(keras: Any, seconds: Any) -> Any:
    angle = seconds * (2 * np.pi / 86400)
    waves = keras.ops.concatenate([keras.ops.sin(angle), keras.ops.cos(angle)], -1)
    return keras.layers.Dense(3, name="y")(waves)


CODES = [
    _entry(
        "codes/user-and-item",
        _matched,
        user=Input((1,), "float32", 0, 5000, whole=True),
        item=Input((1,), "float32", 0, 5000, whole=True),
    ),
    _entry("codes/hashed", _hashed, i=Input((2,), "float32", 0, 9000, whole=True)),
    _entry("codes/hashed-by-bits", _by_bits, i=Input((2,), "int32", 0, 9000)),
    _entry("codes/bucketed-255", _bucketed, x=Input((6,))),
    _entry("codes/window", _window, x=Input((20, 4)), start=Input((1,), "float32", 0, 16, True)),
    _entry("codes/decided", _decided, x=Input((7,))),
    _entry("codes/hour", _hour, t=Input((2,), "float32", 0, 86400)),
    _entry(
        "codes/sums-of-ids",
        lambda K, i: K.layers.Flatten(name="y")(_embedded(K, K.ops.cumsum(i, axis=1), 400)),
        i=Input((8,), "float32", 1, 40, whole=True),
    ),
]


def _features(keras: Any, x: Any) -> Any:
    return keras.layers.Conv2D(8, 3, 2, activation="relu", kernel_initializer=_wide(keras))(x)


def _three_heads(keras: Any, x: Any) -> Any:
    L, y = keras.layers, _features(keras, x)
    boxes = L.Reshape((16, 4))(L.Conv2D(4, 1)(y)) * 320.0
    scores = L.Softmax()(L.Reshape((16, 5))(L.Conv2D(5, 1)(y)))
    looks = keras.ops.normalize(L.Reshape((16, 8))(L.Conv2D(8, 1)(y)), -1)
    return L.Concatenate(name="y")([boxes, scores, looks])


def _anchors(keras: Any, x: Any) -> Any:
    raw = keras.layers.Reshape((16, 6))(keras.layers.Conv2D(6, 1)(_features(keras, x)))
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(1, 16, 2)
    middle = (keras.ops.sigmoid(raw[..., :2]) + grid.astype(np.float32)) * 8.0
    sizes = keras.ops.exp(raw[..., 2:4]) * 16.0
    return keras.ops.concatenate([middle, sizes, keras.ops.sigmoid(raw[..., 4:])], -1)


def _stacked_units(keras: Any, x: Any) -> Any:
    L = keras.layers
    h = L.Dense(16, activation="relu")(x)
    return keras.ops.stack([L.Dense(3)(h) * 1000.0, L.Dense(3)(h)], 1)


def _far_offset(keras: Any, x: Any) -> Any:
    h = keras.layers.Dense(16, activation="relu")(x)
    return keras.layers.Dense(1, name="y")(h) * 1000.0 + 1e5


def _code_and_copy(keras: Any, x: Any) -> Any:
    L = keras.layers
    h = L.Dense(16, activation="relu")(x)
    mean, spread = L.Dense(4)(h), keras.ops.exp(0.5 * L.Dense(4)(h))
    return {
        "mean": mean,
        "spread": spread,
        "copy": L.Dense(10)(L.Dense(16, activation="relu")(mean)),
    }


def _picture(keras: Any, x: Any) -> Any:
    y = keras.layers.Conv2D(3, 3, padding="same", kernel_initializer=_wide(keras, 0.1))(x / 255.0)
    y = keras.ops.clip(y * 200.0 + 100.0, 0.0, 255.0)
    return keras.ops.cast(keras.ops.floor(y), "uint8")


def _mask(keras: Any, x: Any) -> Any:
    y = keras.layers.Conv2D(5, 3, padding="same", kernel_initializer=_wide(keras, 0.4))(x / 255.0)
    return keras.ops.cast(keras.ops.argmax(y, axis=-1), "int32")


def _sums_and_cut(keras: Any, x: Any) -> Any:
    sums = keras.layers.Dense(6, kernel_initializer=_wide(keras))(x)
    return {"sums": sums, "cut": keras.ops.relu(sums)}


HEADS = [
    _entry("heads/sums-and-cut", _sums_and_cut, x=Input((10,))),
    _entry("heads/picture", _picture, x=PIXELS),
    _entry("heads/mask", _mask, x=PIXELS),
    _entry(
        "heads/softmax-over-places",
        lambda K, x: K.layers.Softmax(axis=1, name="y")(K.layers.Dense(4)(x)),
        x=Input((12, 6), high=4),
    ),
    _entry("heads/boxes-scores-looks", _three_heads, x=IMAGE),
    _entry("heads/anchors", _anchors, x=IMAGE),
    _entry("heads/stacked-units", _stacked_units, x=Input((10,))),
    _entry("heads/far-offset", _far_offset, x=Input((10,))),
    _entry("heads/code-and-copy", _code_and_copy, x=Input((10,))),
]


def _transformer(keras: Any, x: Any) -> Any:
    L = keras.layers
    y = L.Reshape((4, 16))(L.Conv2D(16, 4, 4)(x)) + L.Embedding(4, 16)(keras.ops.arange(4))
    z = L.LayerNormalization()(y)
    y = y + L.MultiHeadAttention(2, 8)(z, z)
    y = y + L.Dense(16)(L.Dense(32, activation="gelu")(L.LayerNormalization()(y)))
    return L.Dense(4, activation="softmax", name="y")(y[:, 0])


def _block(keras: Any, x: Any) -> Any:
    L = keras.layers
    y = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(8, 3, 2, "same", use_bias=False)(x)))
    z = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(y)))
    gate = L.Dense(8, activation="hard_sigmoid")(L.GlobalAveragePooling2D()(z))
    z = L.Conv2D(8, 1)(L.Multiply()([z, L.Reshape((1, 1, 8))(gate)]))
    return L.Dense(5, name="y")(L.GlobalAveragePooling2D()(L.Add()([y, z])))


def _words(keras: Any, x: Any) -> Any:
    L = keras.layers
    y = L.TimeDistributed(L.Conv1D(4, 3, activation="relu"))(x)
    return L.Dense(3, name="y")(L.LSTM(5)(L.TimeDistributed(L.Flatten())(y)))


_HARD = {"activation": "relu", "recurrent_activation": "hard_sigmoid", "use_bias": False}
NETWORKS = [
    _entry("networks/transformer", _transformer, x=Input((8, 8, 3))),
    _entry("networks/block", _block, x=IMAGE),
    _entry("networks/frames", _words, x=Input((4, 8, 2))),
    _entry("cells/hard-gates", lambda K, x: K.layers.LSTM(5, name="y", **_HARD)(x), x=LINE),
    _entry(
        "cells/in-a-row",
        lambda K, x: K.layers.RNN([K.layers.LSTMCell(5), K.layers.GRUCell(4)], name="y")(x),
        x=LINE,
    ),
    _entry(
        "cells/masked-reset-before",
        lambda K, i: K.layers.Bidirectional(K.layers.GRU(5, reset_after=False), name="y")(
            K.layers.Embedding(4, 6, mask_zero=True)(i)
        ),
        i=PADDED,
    ),
    _entry(
        "cells/long-in-a-row",
        lambda K, x: K.layers.LSTM(4, name="y")(K.layers.LSTM(4, return_sequences=True)(x)),
        x=Input((36, 3)),
    ),
    _entry(
        "cells/backwards",
        lambda K, x: K.layers.Concatenate(name="y")(
            [kind(3, go_backwards=True)(x) for kind in (K.layers.LSTM, K.layers.GRU)]
        ),
        x=LINE,
    ),
]

ENTRIES = [*CODES, *HEADS, *NETWORKS]
