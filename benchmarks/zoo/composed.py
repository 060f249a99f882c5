"""Small models of the kinds that people deploy, and of the ways in which Keras lets them be built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .entry import Entry, Input

PICTURE = Input((16, 16, 3))
PIXELS = Input((16, 16, 3), low=0.0, high=255.0)
SIGNAL, SOUND = Input((12, 6)), Input((256, 1))
TOKENS = Input((8,), "int32", 0, 20)

ENTRIES: list[Entry] = []


def entry(**given: Input) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of keras.layers and the input tensors under its own name."""

    def register(make: Callable[..., Any]) -> Callable[..., Any]:
        def body(*tensors: Any) -> Any:
            import keras

            return make(keras.layers, *tensors)

        name = make.__name__.strip("_").replace("_", "-")
        ENTRIES.append(Entry(f"model/{name}", given, body))
        return make

    return register


def _conv(
    L: Any, x: Any, filters: int, kernel: int = 3, strides: int = 1, act: Any = "relu"
) -> Any:
    x = L.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = L.BatchNormalization()(x)
    return L.Activation(act)(x) if act else x


def _depthwise(L: Any, x: Any, strides: int = 1) -> Any:
    x = L.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
    return L.ReLU(6.0)(L.BatchNormalization()(x))


def _head(L: Any, x: Any, classes: int = 5) -> Any:
    return L.Dense(classes, activation="softmax", name="scores")(L.GlobalAveragePooling2D()(x))


@entry(image=PIXELS)
def lenet(L: Any, image: Any) -> Any:
    x = L.MaxPooling2D()(L.Conv2D(4, 5, activation="tanh")(L.Rescaling(1 / 255)(image)))
    x = L.AveragePooling2D(2)(L.Conv2D(6, 3, activation="tanh")(x))
    return L.Dense(5, name="scores")(L.Dense(10, activation="tanh")(L.Flatten()(x)))


@entry(image=PICTURE)
def vgg(L: Any, image: Any) -> Any:
    x = image
    for filters in (4, 6):
        x = _conv(L, _conv(L, x, filters), filters)
        x = L.MaxPooling2D()(x)
    return L.Dense(4, name="scores")(L.Dropout(0.5)(L.Dense(8, activation="relu")(L.Flatten()(x))))


@entry(image=PICTURE)
def resnet(L: Any, image: Any) -> Any:
    x = _conv(L, image, 4)
    for filters, strides in ((4, 1), (8, 2)):
        way = x if strides == 1 else _conv(L, x, filters, 1, strides, None)
        y = _conv(L, _conv(L, x, filters, 3, strides), filters, act=None)
        x = L.ReLU()(L.Add()([way, y]))
    return _head(L, x)


@entry(image=PICTURE)
def resnet_v2(L: Any, image: Any) -> Any:
    x = L.Conv2D(4, 3, padding="same")(image)
    y = L.Conv2D(4, 3, padding="same")(L.ReLU()(L.BatchNormalization()(x)))
    y = L.Conv2D(4, 3, padding="same")(L.ReLU()(L.BatchNormalization()(y)))
    return _head(L, L.Add()([x, y]))


@entry(image=PICTURE)
def mobilenet_v1(L: Any, image: Any) -> Any:
    x = L.ReLU(6.0)(_conv(L, image, 4, strides=2, act=None))
    for filters, strides in ((6, 1), (8, 2)):
        x = _conv(L, _depthwise(L, x, strides), filters, 1, act="relu6")
    return _head(L, x)


@entry(image=PICTURE)
def mobilenet_v2(L: Any, image: Any) -> Any:
    x = _conv(L, image, 4, strides=2, act="relu6")
    for filters, strides in ((4, 1), (6, 2)):
        y = _depthwise(L, _conv(L, x, 12, 1, act="relu6"), strides)
        y = _conv(L, y, filters, 1, act=None)
        x = L.Add()([x, y]) if strides == 1 else y
    return _head(L, x)


@entry(image=PICTURE)
def mobilenet_v2_padded(L: Any, image: Any) -> Any:
    """Pads by hand before strided convolutions, as keras.applications does."""
    x = L.ZeroPadding2D(((0, 1), (0, 1)))(image)
    x = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(6, 3, strides=2, use_bias=False)(x)))
    x = L.DepthwiseConv2D(3, strides=2)(L.ZeroPadding2D(((0, 1), (0, 1)))(x))
    return _head(L, x)


def _squeeze(L: Any, x: Any, gate: str) -> Any:
    channels = x.shape[-1]
    y = L.GlobalAveragePooling2D(keepdims=True)(x)
    y = L.Conv2D(channels, 1, activation=gate)(L.Conv2D(2, 1, activation="relu")(y))
    return L.Multiply()([x, y])


@entry(image=PICTURE)
def mobilenet_v3(L: Any, image: Any) -> Any:
    x = _conv(L, image, 4, strides=2, act="hard_silu")
    y = L.DepthwiseConv2D(5, padding="same")(_conv(L, x, 8, 1, act="hard_silu"))
    y = _squeeze(L, L.Activation("hard_silu")(L.BatchNormalization()(y)), "hard_sigmoid")
    return _head(L, L.Add()([x, _conv(L, y, 4, 1, act=None)]))


@entry(image=PICTURE)
def efficientnet(L: Any, image: Any) -> Any:
    x = _conv(L, image, 4, strides=2, act="swish")
    y = L.DepthwiseConv2D(3, padding="same", use_bias=False)(_conv(L, x, 8, 1, act="swish"))
    y = _squeeze(L, L.Activation("swish")(L.BatchNormalization()(y)), "sigmoid")
    return _head(L, L.Add()([x, L.Dropout(0.2)(_conv(L, y, 4, 1, act=None))]))


@entry(image=PICTURE)
def squeeze_excite(L: Any, image: Any) -> Any:
    x = _conv(L, image, 6)
    y = L.Reshape((1, 1, 6))(L.GlobalAveragePooling2D()(x))
    y = L.Dense(6, activation="sigmoid")(L.Dense(3, activation="relu")(y))
    return _head(L, L.Multiply()([x, y]))


@entry(image=PICTURE)
def squeezenet(L: Any, image: Any) -> Any:
    x = L.MaxPooling2D(3, strides=2)(L.Conv2D(6, 3, strides=1, activation="relu")(image))
    small = L.Conv2D(3, 1, activation="relu")(x)
    both = [L.Conv2D(4, k, padding="same", activation="relu")(small) for k in (1, 3)]
    x = L.Conv2D(5, 1, activation="relu")(L.Concatenate()(both))
    return L.Softmax(name="scores")(L.GlobalAveragePooling2D()(x))


@entry(image=PICTURE)
def inception(L: Any, image: Any) -> Any:
    ways = [
        _conv(L, image, 3, 1),
        _conv(L, _conv(L, image, 2, 1), 3),
        _conv(L, _conv(L, image, 2, 1), 3, 5),
        _conv(L, L.MaxPooling2D(3, strides=1, padding="same")(image), 3, 1),
    ]
    return _head(L, L.Concatenate()(ways))


@entry(image=PICTURE)
def densenet(L: Any, image: Any) -> Any:
    x = L.Conv2D(4, 3, padding="same")(image)
    for _ in range(3):
        y = L.Conv2D(3, 3, padding="same")(L.ReLU()(L.BatchNormalization()(x)))
        x = L.Concatenate()([x, y])
    return _head(L, L.AveragePooling2D(2)(L.Conv2D(4, 1)(x)))


@entry(image=PICTURE)
def xception(L: Any, image: Any) -> Any:
    x = _conv(L, image, 4)
    y = L.SeparableConv2D(6, 3, padding="same")(x)
    y = L.MaxPooling2D(3, strides=2, padding="same")(L.BatchNormalization()(y))
    return _head(L, L.Add()([y, L.Conv2D(6, 1, strides=2)(x)]))


@entry(image=PICTURE)
def convnext(L: Any, image: Any) -> Any:
    x = L.LayerNormalization()(L.Conv2D(6, 4, strides=4)(image))
    y = L.LayerNormalization()(L.DepthwiseConv2D(7, padding="same")(x))
    y = L.Dense(6)(L.Dense(12, activation="gelu")(y))
    return _head(L, L.Add()([x, y]))


@entry(image=PICTURE)
def shufflenet(L: Any, image: Any) -> Any:
    x = L.Conv2D(6, 3, strides=2, padding="same")(image)
    x = L.Conv2D(6, 1, groups=2, activation="relu")(x)
    x = L.Reshape((8, 8, 2, 3))(x)
    x = L.Reshape((8, 8, 6))(L.Permute((1, 2, 4, 3))(x))
    return _head(L, L.DepthwiseConv2D(3, padding="same")(x))


@entry(image=PICTURE)
def unet(L: Any, image: Any) -> Any:
    one = L.Conv2D(4, 3, padding="same", activation="relu")(image)
    two = L.Conv2D(6, 3, padding="same", activation="relu")(L.MaxPooling2D()(one))
    x = L.Conv2D(8, 3, padding="same", activation="relu")(L.MaxPooling2D()(two))
    x = L.Concatenate()([L.Conv2DTranspose(6, 2, strides=2)(x), two])
    x = L.Concatenate()([L.UpSampling2D(interpolation="bilinear")(x), one])
    return L.Conv2D(2, 1, activation="sigmoid", name="mask")(x)


@entry(image=PICTURE)
def deeplab(L: Any, image: Any) -> Any:
    x = _conv(L, image, 4, strides=2)
    ways = [L.Conv2D(3, 3, dilation_rate=rate, padding="same")(x) for rate in (1, 2, 3)]
    pooled = L.UpSampling2D(8, interpolation="bilinear")(L.GlobalAveragePooling2D(keepdims=True)(x))
    x = L.Conv2D(3, 1)(L.Concatenate()([*ways, pooled]))
    return L.Softmax(name="mask")(L.Resizing(16, 16)(x))


@entry(image=PICTURE)
def super_resolution(L: Any, image: Any) -> Any:
    """Depth to space by reshaping and transposing."""
    x = L.Conv2D(12, 3, padding="same")(image)
    x = L.Permute((1, 3, 2, 4, 5))(L.Reshape((16, 16, 2, 2, 3))(x))
    return L.Reshape((32, 32, 3), name="image_2x")(x)


@entry(image=PICTURE)
def detector(L: Any, image: Any) -> Any:
    """Boxes and scores from maps of two sizes, as single-shot detectors give them."""
    x = _conv(L, image, 4, strides=2)
    maps = [x, _conv(L, x, 6, strides=2)]
    boxes = [L.Reshape((-1, 4))(L.Conv2D(8, 3, padding="same")(each)) for each in maps]
    scores = [L.Reshape((-1, 3))(L.Conv2D(6, 3, padding="same")(each)) for each in maps]
    return {
        "boxes": L.Concatenate(axis=1)(boxes),
        "scores": L.Activation("sigmoid")(L.Concatenate(axis=1)(scores)),
    }


@entry(image=PICTURE)
def heat_maps(L: Any, image: Any) -> Any:
    import keras

    x = L.Conv2D(3, 3, strides=2, padding="same", name="maps")(image)
    return {"maps": x, "place": keras.ops.argmax(L.Reshape((64, 3))(x), axis=1)}


@entry(image=PICTURE)
def autoencoder(L: Any, image: Any) -> Any:
    x = L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    code = L.Dense(6, name="code")(L.Flatten()(x))
    x = L.Reshape((8, 8, 4))(L.Dense(256, activation="relu")(code))
    x = L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="sigmoid", name="copy")(x)
    return [code, x]


@entry(image=PICTURE)
def generator_patch(L: Any, image: Any) -> Any:
    x = L.LeakyReLU(0.2)(L.Conv2D(4, 4, strides=2, padding="same")(image))
    x = L.LeakyReLU(0.2)(L.GroupNormalization(-1)(L.Conv2D(6, 4, strides=2, padding="same")(x)))
    return L.Conv2D(1, 4, padding="same", name="real")(x)


@entry(image=PICTURE)
def vision_transformer(L: Any, image: Any) -> Any:
    import keras

    x = L.Reshape((16, 8))(L.Conv2D(8, 4, strides=4)(image))
    x = x + L.Embedding(16, 8)(keras.ops.arange(16))
    y = L.LayerNormalization()(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 4)(y, y)])
    y = L.Dense(8)(L.Dense(12, activation="gelu")(L.LayerNormalization()(x)))
    return L.Dense(5, name="scores")(L.GlobalAveragePooling1D()(L.Add()([x, y])))


@entry(image=PICTURE)
def mixer(L: Any, image: Any) -> Any:
    x = L.Reshape((16, 6))(L.Conv2D(6, 4, strides=4)(image))
    y = L.Permute((2, 1))(
        L.Dense(16, activation="gelu")(L.Permute((2, 1))(L.LayerNormalization()(x)))
    )
    return L.Dense(5, name="scores")(L.GlobalAveragePooling1D()(L.Add()([x, y])))


@entry(ids=TOKENS)
def text_convolution(L: Any, ids: Any) -> Any:
    x = L.Conv1D(6, 3, activation="relu")(L.Embedding(20, 5)(ids))
    return L.Dense(2, activation="softmax", name="label")(L.GlobalMaxPooling1D()(x))


@entry(ids=TOKENS)
def text_lstm(L: Any, ids: Any) -> Any:
    return L.Dense(1, activation="sigmoid", name="label")(L.LSTM(4)(L.Embedding(20, 5)(ids)))


@entry(ids=TOKENS)
def text_average_masked(L: Any, ids: Any) -> Any:
    x = L.GlobalAveragePooling1D()(L.Embedding(20, 5, mask_zero=True)(ids))
    return L.Dense(2, name="label")(x)


@entry(ids=TOKENS)
def text_transformer(L: Any, ids: Any) -> Any:
    import keras

    x = L.Embedding(20, 8)(ids) + L.Embedding(8, 8)(keras.ops.arange(8))
    x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    x = L.LayerNormalization()(x + L.Dense(8)(L.Dense(16, activation="relu")(x)))
    return L.Dense(20, name="next")(x)


@entry(signal=SIGNAL)
def activity_lstm(L: Any, signal: Any) -> Any:
    return L.Dense(4, activation="softmax", name="scores")(
        L.LSTM(5)(L.LSTM(6, return_sequences=True)(signal))
    )


@entry(signal=SIGNAL)
def activity_gru_dense(L: Any, signal: Any) -> Any:
    x = L.Dropout(0.3)(L.GRU(6, return_sequences=True)(L.BatchNormalization()(signal)))
    return L.Dense(4, name="scores")(L.Flatten()(x))


@entry(signal=SIGNAL)
def activity_convolution(L: Any, signal: Any) -> Any:
    x = L.MaxPooling1D()(L.Conv1D(6, 3, activation="relu")(signal))
    return L.Dense(4, activation="softmax", name="scores")(L.Flatten()(x))


@entry(signal=SIGNAL)
def temporal_convolution(L: Any, signal: Any) -> Any:
    x = signal
    for rate in (1, 2, 4):
        y = L.Conv1D(6, 3, padding="causal", dilation_rate=rate, activation="relu")(x)
        x = L.Add()([x, L.SpatialDropout1D(0.1)(y)])
    return L.Dense(2, name="scores")(x[:, -1])


@entry(signal=SIGNAL)
def sequence_autoencoder(L: Any, signal: Any) -> Any:
    x = L.RepeatVector(12)(L.LSTM(4)(signal))
    return L.TimeDistributed(L.Dense(6), name="copy")(L.LSTM(5, return_sequences=True)(x))


@entry(image=PICTURE)
def crnn(L: Any, image: Any) -> Any:
    x = L.MaxPooling2D((2, 1))(L.Conv2D(4, 3, padding="same", activation="relu")(image))
    x = L.Reshape((16, 32))(L.Permute((2, 1, 3))(x))
    x = L.Bidirectional(L.LSTM(5, return_sequences=True))(x)
    return L.Dense(7, activation="softmax", name="letters")(x)


@entry(sound=SOUND)
def keyword_ds_cnn(L: Any, sound: Any) -> Any:
    x = L.Reshape((16, 16, 1))(sound)
    x = L.Conv2D(4, (10, 4), strides=2, padding="same", activation="relu")(x)
    x = L.Conv2D(4, 1, activation="relu")(L.DepthwiseConv2D(3, padding="same")(x))
    return _head(L, x)


@entry(sound=SOUND)
def sound_convolution(L: Any, sound: Any) -> Any:
    x = L.MaxPooling1D(4)(L.Conv1D(4, 16, strides=4, activation="relu")(sound))
    x = L.Conv1D(6, 3, activation="relu")(x)
    return L.Dense(3, name="scores")(L.GlobalAveragePooling1D()(x))


@entry(sound=Input((512,)))
def sound_mel(L: Any, sound: Any) -> Any:
    x = L.MelSpectrogram(
        num_mel_bins=8, sampling_rate=8000, sequence_stride=64, fft_length=128, max_freq=4000
    )(sound)
    x = L.Conv2D(4, 3, activation="relu")(L.Reshape((*x.shape[1:], 1))(x))
    return _head(L, x)


@entry(sound=SOUND)
def wavenet_gate(L: Any, sound: Any) -> Any:
    x = L.Conv1D(4, 1)(sound)
    for rate in (1, 2):
        tanh = L.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="tanh")(x)
        gate = L.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="sigmoid")(x)
        x = L.Add()([x, L.Conv1D(4, 1)(L.Multiply()([tanh, gate]))])
    return L.Dense(3, name="scores")(L.GlobalAveragePooling1D()(x))


@entry(film=Input((4, 8, 8, 3)))
def film_3d(L: Any, film: Any) -> Any:
    x = L.MaxPooling3D((1, 2, 2))(L.Conv3D(4, 3, padding="same", activation="relu")(film))
    return L.Dense(3, name="scores")(L.GlobalAveragePooling3D()(x))


@entry(film=Input((4, 8, 8, 3)))
def film_lstm(L: Any, film: Any) -> Any:
    x = L.TimeDistributed(L.Conv2D(4, 3, strides=2, activation="relu"))(film)
    x = L.TimeDistributed(L.GlobalAveragePooling2D())(x)
    return L.Dense(3, name="scores")(L.LSTM(4)(x))


@entry(row=Input((8,)))
def table(L: Any, row: Any) -> Any:
    x = L.BatchNormalization()(L.Dense(12, activation="relu")(row))
    return L.Dense(1, name="price")(L.Dropout(0.2)(L.Dense(6, activation="selu")(x)))


@entry(row=Input((6,)), kind=Input((1,), "int32", 0, 9), weekend=Input((1,), "bool"))
def table_of_three_kinds(L: Any, row: Any, kind: Any, weekend: Any) -> Any:
    """Float values, a category and a boolean."""
    import keras

    parts = [row, L.Flatten()(L.Embedding(9, 3)(kind)), keras.ops.cast(weekend, "float32")]
    return L.Dense(2, name="scores")(L.Dense(8, activation="relu")(L.Concatenate()(parts)))


@entry(image=PICTURE, row=Input((5,)))
def picture_and_table(L: Any, image: Any, row: Any) -> Any:
    x = L.Concatenate()([L.Flatten()(_conv(L, image, 3, strides=4)), row])
    return {"score": L.Dense(1, activation="sigmoid")(x), "classes": L.Dense(4)(x)}


@entry(left=Input((8, 8, 2)), right=Input((8, 8, 2)))
def siamese(L: Any, left: Any, right: Any) -> Any:
    """Two inputs through the same layers."""
    import keras

    conv, dense = L.Conv2D(4, 3, activation="relu"), L.Dense(5)
    a, b = (dense(L.GlobalAveragePooling2D()(conv(x))) for x in (left, right))
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(a - b), -1, keepdims=True) + 1e-3)


@entry(user=Input((1,), "int32", 0, 11), item=Input((1,), "int32", 0, 13))
def recommender(L: Any, user: Any, item: Any) -> Any:
    import keras

    # Keras starts embeddings at 0.05, which no output would show.
    start = keras.initializers.RandomNormal(stddev=1.0)
    user, item = L.Embedding(11, 4, start)(user), L.Embedding(13, 4, start)(item)
    a, b = L.Flatten()(user), L.Flatten()(item)
    return L.Dense(1, activation="sigmoid", name="likes")(L.Dot(axes=1)([a, b]))


@entry(wide=Input((7,)), deep=Input((5,)))
def wide_and_deep(L: Any, wide: Any, deep: Any) -> Any:
    x = L.Dense(6, activation="relu")(L.Dense(8, activation="relu")(deep))
    return [L.Dense(1, name="main")(L.Concatenate()([wide, x])), L.Dense(1, name="deep_only")(x)]


@entry(zebra=Input((6, 6, 2)), ape=Input((6, 6, 2)))
def same_shapes(L: Any, zebra: Any, ape: Any) -> Any:
    """Inputs share a shape, outputs too: names alone tell them apart."""
    a, b = L.Conv2D(3, 3)(zebra), L.Conv2D(3, 3)(ape)
    return {"z": L.Subtract()([a, b]), "a": L.Add()([a, b]), "m": L.Multiply()([a, b])}


@entry(x=Input((8,)))
def one_tensor_twice(L: Any, x: Any) -> Any:
    y = L.Dense(4, activation="relu")(x)
    return {"first": y, "second": y, "third": L.Dense(2)(y)}


@entry(x=Input((8,)))
def input_handed_through(L: Any, x: Any) -> Any:
    return {"given": x, "made": L.Dense(3)(x)}


@entry(image=PICTURE)
def nested(L: Any, image: Any) -> Any:
    """A Functional and a Sequential model as layers."""
    import keras

    inner = keras.Input((16, 16, 3))
    trunk = keras.Model(inner, _conv(L, _conv(L, inner, 4), 4, strides=2), name="trunk")
    head = keras.Sequential([L.GlobalAveragePooling2D(), L.Dense(4)], name="head")
    return head(trunk(image))


@entry(image=PICTURE)
def nested_twice(L: Any, image: Any) -> Any:
    """A shared model inside a model inside a model."""
    import keras

    block = keras.Sequential([L.Conv2D(3, 3, padding="same"), L.BatchNormalization()], name="block")
    inner = keras.Input((16, 16, 3))
    middle = keras.Model(inner, block(L.ReLU()(block(inner))), name="middle")
    return _head(L, middle(image))


@entry(x=Input((6, 4)))
def layer_of_ones_own(_: Any, x: Any) -> Any:
    return own_layers().Gated(5, name="y")(x)


@entry(x=Input((6, 4)))
def model_of_ones_own(_: Any, x: Any) -> Any:
    """A subclassed model as a layer."""
    return own_layers().Encoder(5, name="y")(x)


_own: Any = None


def own_layers() -> Any:
    """A registered layer and a registered subclassed model, defined when Keras is there."""
    global _own
    if _own is not None:
        return _own
    import keras

    register = keras.saving.register_keras_serializable("zoo")

    @register
    class Gated(keras.layers.Layer):
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.value, self.gate = keras.layers.Dense(units), keras.layers.Dense(units, "sigmoid")

        def build(self, shape: Any) -> None:
            self.value.build(shape)
            self.gate.build(shape)

        def call(self, x: Any) -> Any:
            return self.value(x) * self.gate(x)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    @register
    class Encoder(keras.Model):
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.gated, self.norm = Gated(units), keras.layers.LayerNormalization()

        def build(self, shape: Any) -> None:
            self.gated.build(shape)
            self.norm.build((*shape[:-1], self.units))

        def call(self, x: Any) -> Any:
            return keras.ops.mean(self.norm(self.gated(x)), axis=1)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Own:
        pass

    _own = Own()
    _own.Gated, _own.Encoder = Gated, Encoder
    return _own
