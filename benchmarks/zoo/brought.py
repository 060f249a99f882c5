"""What people bring beside plain float32 networks: other precisions, ids, mixed units, smooth curves, states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .entry import Entry, Input

IMAGE, LINE = Input((10, 10, 3)), Input((6, 4))
LONG = Input((40, 3))
IDS = Input((8,), "float32", 0, 3000, whole=True)
# Zeros stand for what is not there.
PADDED = Input((9,), "int32", 0, 4)
PIXELS = Input((10, 10, 3), "float32", 0, 255)


def _entry(name: str, make: Callable[..., Any], **given: Input) -> Entry:
    """`make` gets keras and the input tensors."""

    def body(*tensors: Any) -> Any:
        import keras

        return make(keras, *tensors)

    return Entry(name, given, body)


def _wide(keras: Any, size: float = 0.4) -> Any:
    return keras.initializers.RandomNormal(stddev=size)


def _network(keras: Any, x: Any) -> Any:
    L = keras.layers
    y = L.BatchNormalization()(
        L.Conv2D(6, 3, activation="relu", kernel_initializer=_wide(keras))(x)
    )
    y = L.DepthwiseConv2D(3, activation="relu", depthwise_initializer=_wide(keras))(y)
    return L.Dense(4, activation="softmax", dtype="float32", name="y")(
        L.GlobalAveragePooling2D()(y)
    )


def _dense(keras: Any, x: Any) -> Any:
    L = keras.layers
    return L.Dense(3, name="y")(L.LayerNormalization()(L.Dense(12, activation="gelu")(x)))


def _sequence(keras: Any, x: Any) -> Any:
    L = keras.layers
    return L.Dense(3, name="y")(L.GRU(6)(x))


_BODIES = {"image": (_network, IMAGE), "dense": (_dense, Input((9,))), "gru": (_sequence, LINE)}
_POLICIES = ("mixed_float16", "mixed_bfloat16", "float16", "float64")
PRECISIONS = [
    replace(_entry(f"precision/{policy}-{kind}", make, x=given), policy=policy)
    for policy in _POLICIES
    for kind, (make, given) in _BODIES.items()
    # Keras itself does not run a normalisation of float16 means beside the rest, nor a loop.
    if (policy, kind) != ("float16", "gru")
]


def _embedded(keras: Any, ids: Any, size: int = 3000) -> Any:
    return keras.layers.Embedding(size, 6, embeddings_initializer=_wide(keras, 1.0))(ids)


def _bucket(steps: int) -> Callable[..., Any]:
    def make(keras: Any, x: Any) -> Any:
        place = keras.ops.cast(keras.ops.floor(x * float(steps)), "int32")
        return keras.layers.Flatten(name="y")(_embedded(keras, place, steps + 1))

    return make


def _slice(start: int, step: int = 1) -> Callable[..., Any]:
    return lambda keras, x: keras.layers.Activation("linear", name="y")(x[:, start::step][:, :7])


NUMBERS = [
    _entry(
        "ids/pooled", lambda K, i: K.layers.GlobalAveragePooling1D(name="y")(_embedded(K, i)), i=IDS
    ),
    _entry(
        "ids/convolved",
        lambda K, i: K.layers.Conv1D(3, 3, name="y")(_embedded(K, i)),
        i=IDS,
    ),
    _entry(
        "ids/reshaped",
        lambda K, i: K.layers.Flatten(name="y")(_embedded(K, K.layers.Reshape((2, 4))(i))),
        i=IDS,
    ),
    _entry(
        "ids/beside-reals",
        lambda K, i, x: K.layers.Dense(3, name="y")(
            K.layers.Concatenate()([K.layers.Flatten()(_embedded(K, i)), x])
        ),
        i=IDS,
        x=Input((5,)),
    ),
    _entry(
        "ids/positions",
        lambda K, i: _embedded(K, i) + _embedded(K, K.ops.arange(8), 8),
        i=IDS,
    ),
    _entry("ids/lstm", lambda K, i: K.layers.LSTM(4, name="y")(_embedded(K, i)), i=IDS),
    *(_entry(f"bucket/{n}", _bucket(n), x=Input((2,), "float32", 0, 1)) for n in (16, 300, 4096)),
    _entry("slice/far", _slice(2500), x=Input((3000,))),
    _entry("slice/far-strided", _slice(2101, 3), x=Input((3000,))),
    _entry("slice/last", _slice(-7), x=Input((3000,))),
    _entry(
        "take/computed",
        lambda K, x: K.ops.take_along_axis(x, K.ops.argsort(x, axis=1)[:, :3], axis=1),
        x=Input((9,)),
    ),
    _entry(
        "one-hot/ids", lambda K, i: K.ops.one_hot(K.ops.cast(i, "int32"), 3000)[:, :, :5], i=IDS
    ),
    _entry("count/tokens", lambda K, i: K.ops.sum(K.ops.cast(i > 0, "float32"), axis=-1), i=PADDED),
]

_CURVES = (
    *("mish", "softplus", "selu", "log_sigmoid", "exponential", "gelu", "silu", "hard_silu"),
    *("hard_sigmoid", "elu", "celu", "tanh", "softsign", "relu6"),
)


def _curve(activation: str) -> Callable[..., Any]:
    def make(keras: Any, x: Any) -> Any:
        convolution = keras.layers.Conv2D(6, 3, kernel_initializer=_wide(keras))
        return keras.layers.Activation(activation, name="y")(convolution(x))

    return make


def _attention(keras: Any, x: Any) -> Any:
    return keras.layers.MultiHeadAttention(2, 4, name="y")(x, x)


SMOOTH = [
    *(_entry(f"curve/{name}", _curve(name), x=IMAGE) for name in _CURVES),
    _entry(
        "curve/softmax-of-300", lambda K, x: K.layers.Softmax(name="y")(x), x=Input((300,), high=4)
    ),
    _entry("curve/attention-of-200", _attention, x=Input((200, 8))),
    _entry(
        "curve/prelu-network",
        lambda K, x: K.layers.Conv2D(3, 3, name="y")(K.layers.PReLU()(K.layers.Conv2D(4, 3)(x))),
        x=IMAGE,
    ),
    *(
        _entry(
            f"no-bias/{name}",
            lambda K, x, name=name: K.layers.Dense(4, activation=name, use_bias=False, name="y")(x),
            x=Input((8,)),
        )
        for name in ("hard_sigmoid", "relu", "relu6", "softplus")
    ),
]


def _detector(keras: Any, x: Any, size: float = 640.0) -> Any:
    L = keras.layers
    y = L.Conv2D(8, 3, 2, activation="silu", kernel_initializer=_wide(keras))(x)
    boxes = L.Rescaling(size)(L.Activation("sigmoid")(L.Reshape((16, 4))(L.Conv2D(4, 1)(y))))
    scores = L.Reshape((16, 3))(L.Conv2D(3, 1, activation="sigmoid")(y))
    return L.Concatenate(name="y")([boxes, scores])


UNITS = [
    _entry("units/detector", _detector, x=IMAGE),
    _entry("units/detector-small", lambda K, x: _detector(K, x, 4.0), x=IMAGE),
    _entry(
        "units/price-and-share",
        lambda K, x: K.layers.Rescaling([12000.0, 1.0], [50000.0, 0.0], name="y")(
            K.layers.Dense(2)(K.layers.Dense(16, activation="relu")(x))
        ),
        x=Input((10,)),
    ),
    _entry(
        "units/town",
        lambda K, x: K.layers.Rescaling([0.01, 0.02], [52.3, 4.9], name="y")(
            K.layers.Dense(2)(K.layers.Dense(16, activation="relu")(x))
        ),
        x=Input((10,)),
    ),
    _entry(
        "units/two-heads",
        lambda K, x: {
            "far": K.layers.Rescaling(1000.0)(K.layers.Dense(2)(x)),
            "near": K.layers.Dense(3, activation="softmax")(x),
        },
        x=Input((10,)),
    ),
    _entry(
        "units/inside",
        lambda K, x: K.layers.Dense(3, name="y")(
            K.layers.Concatenate()([x * 0.01, K.layers.Rescaling(300.0)(K.layers.Dense(4)(x))])
        ),
        x=Input((10,)),
    ),
    _entry(
        "units/inputs",
        lambda K, a, b: K.layers.Dense(3, name="y")(K.layers.Concatenate()([a * 0.001, b])),
        a=Input((4,), "float32", 0, 3000),
        b=Input((4,)),
    ),
    _entry("units/pixels", lambda K, x: _network(K, K.layers.Rescaling(1 / 255)(x)), x=PIXELS),
]


def _masked(merge: str, kind: str) -> Callable[..., Any]:
    def make(keras: Any, ids: Any) -> Any:
        L = keras.layers
        inner = getattr(L, kind)(5, return_sequences=True)
        embedded = L.Embedding(4, 6, mask_zero=True)(ids)
        return L.Bidirectional(inner, merge_mode=merge, name="y")(embedded)

    return make


def _step(kind: str) -> Callable[..., Any]:
    def make(keras: Any, x: Any, *states: Any) -> Any:
        layer = getattr(keras.layers, kind)(5, return_sequences=True, return_state=True)
        y, *after = layer(x, initial_state=list(states) if len(states) > 1 else states[0])
        return {"y": y, **{f"out_{i}": state for i, state in enumerate(after)}}

    return make


def _translation(keras: Any, x: Any, z: Any) -> Any:
    L = keras.layers
    _, *states = L.LSTM(5, return_state=True)(x)
    return L.Dense(3, name="y")(L.LSTM(5, return_sequences=True)(z, initial_state=states))


_ONE, _STATE = Input((1, 4)), Input((5,))
STATES = [
    *(
        _entry(
            f"recurrent/{kind.lower()}-{what}",
            lambda K, x, kind=kind, kw=kw: getattr(K.layers, kind)(5, name="y", **kw)(x),
            x=LINE,
        )
        for kind in ("LSTM", "GRU", "SimpleRNN")
        for what, kw in (
            ("dropout", {"dropout": 0.2}),
            ("recurrent-dropout", {"recurrent_dropout": 0.2}),
        )
    ),
    *(
        _entry(f"recurrent/masked-{kind.lower()}-{merge}", _masked(merge, kind), ids=PADDED)
        for kind in ("LSTM", "GRU")
        for merge in ("concat", "sum", "ave", "mul")
    ),
    *(
        _entry(
            f"recurrent/padding-of-minus-one-{k.lower()}",
            lambda K, x, k=k: getattr(K.layers, k)(5, name="y")(K.layers.Masking(-1.0)(x)),
            x=Input((6, 1), "float32", -1, 3, whole=True),
        )
        for k in ("SimpleRNN", "GRU")
    ),
    _entry("recurrent/lstm-one-step", _step("LSTM"), x=_ONE, h=_STATE, c=_STATE),
    _entry("recurrent/gru-one-step", _step("GRU"), x=_ONE, h=_STATE),
    _entry("recurrent/lstm-states", _step("LSTM"), x=LINE, h=_STATE, c=_STATE),
    _entry("recurrent/translation", _translation, x=LINE, z=Input((5, 3))),
    _entry(
        "recurrent/conv-lstm-sequence",
        lambda K, x: K.layers.ConvLSTM2D(3, 3, return_sequences=True, name="y")(x),
        x=Input((4, 6, 6, 2)),
    ),
    *(
        _entry(
            f"recurrent/long-{k.lower()}",
            lambda K, x, k=k: getattr(K.layers, k)(8, name="y")(x),
            x=LONG,
        )
        for k in ("LSTM", "GRU", "SimpleRNN")
    ),
]

ENTRIES: list[Entry] = [*PRECISIONS, *NUMBERS, *SMOOTH, *UNITS, *STATES]
