"""Activations, normalisations, layers that merge several inputs, and nodes of keras.ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from .entry import Entry, Input, layer

FLAT, LINE, PLANE = (10,), (7, 5), (6, 5, 4)
WIDE = Input(FLAT, low=-6.0, high=6.0)
POSITIVE = Input(FLAT, low=0.1, high=4.0)

_ACTIVATIONS: str = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear "
    "log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign "
    "sparse_plus sparse_sigmoid sparsemax squareplus tanh tanh_shrink"
)


def _activation(name: str) -> Entry:
    return layer(f"activation/{name.replace('_', '-')}", lambda L: L.Activation(name), WIDE)


def _op(name: str, make: Any, *shapes: Any) -> Entry:
    """A node of keras.ops: `make` gets the module and the tensors."""
    given = [shape if isinstance(shape, Input) else Input(shape) for shape in shapes]
    names = ["x"] if len(given) == 1 else [chr(ord("a") + number) for number in range(len(given))]

    def body(*tensors: Any) -> Any:
        import keras

        result = make(keras.ops, *tensors)
        # Operators have no name of their own to be known by.
        return result if isinstance(result, dict) else {"y": result}

    return Entry(f"ops/{name}", dict(zip(names, given, strict=True)), body)


INTEGERS, MASK = Input(FLAT, "int32", 0, 9), Input(FLAT, "bool")

ENTRIES: list[Entry] = [
    *map(_activation, _ACTIVATIONS.split()),
    layer("activation/layer-relu-bounded", lambda L: L.ReLU(6.0, 0.1, 0.5), WIDE),
    layer("activation/layer-leaky-relu", lambda L: L.LeakyReLU(0.2), WIDE),
    layer("activation/layer-prelu", lambda L: L.PReLU(shared_axes=[1, 2]), PLANE),
    layer("activation/layer-prelu-each", lambda L: L.PReLU(), WIDE),
    layer("activation/layer-elu", lambda L: L.ELU(0.7), WIDE),
    layer("activation/layer-softmax-axis", lambda L: L.Softmax(axis=1), LINE),
    layer("norm/batch", lambda L: L.BatchNormalization(), PLANE),
    layer("norm/batch-unscaled", lambda L: L.BatchNormalization(scale=False, center=False), PLANE),
    layer("norm/batch-dense", lambda L: L.BatchNormalization(), FLAT),
    layer("norm/batch-axis-1", lambda L: L.BatchNormalization(axis=1), PLANE),
    layer("norm/layer", lambda L: L.LayerNormalization(), LINE),
    layer("norm/layer-two-axes", lambda L: L.LayerNormalization(axis=[1, 2]), LINE),
    layer("norm/layer-unscaled", lambda L: L.LayerNormalization(scale=False), LINE),
    layer("norm/group", lambda L: L.GroupNormalization(2), PLANE),
    layer("norm/instance", lambda L: L.GroupNormalization(-1), PLANE),
    layer("norm/rms", lambda L: L.RMSNormalization(), LINE),
    layer("norm/unit", lambda L: L.UnitNormalization(), LINE),
    layer("norm/spectral", lambda L: L.SpectralNormalization(L.Conv2D(3, 3)), PLANE),
    layer("merge/add", lambda L: L.Add(), PLANE, PLANE),
    layer("merge/add-three", lambda L: L.Add(), FLAT, FLAT, FLAT),
    layer("merge/add-broadcast", lambda L: L.Add(), PLANE, (1, 1, 4)),
    layer("merge/subtract", lambda L: L.Subtract(), FLAT, FLAT),
    layer("merge/multiply", lambda L: L.Multiply(), PLANE, PLANE),
    layer("merge/multiply-broadcast", lambda L: L.Multiply(), PLANE, (6, 5, 1)),
    layer("merge/average", lambda L: L.Average(), FLAT, FLAT),
    layer("merge/maximum", lambda L: L.Maximum(), FLAT, FLAT),
    layer("merge/minimum", lambda L: L.Minimum(), FLAT, FLAT),
    layer("merge/concatenate", lambda L: L.Concatenate(), PLANE, (6, 5, 2)),
    layer("merge/concatenate-axis-1", lambda L: L.Concatenate(axis=1), LINE, (3, 5)),
    layer("merge/dot", lambda L: L.Dot(axes=1), FLAT, FLAT),
    layer("merge/dot-matrices", lambda L: L.Dot(axes=(2, 2)), LINE, (3, 5)),
    layer("merge/dot-normalized", lambda L: L.Dot(axes=1, normalize=True), FLAT, FLAT),
    layer("quiet/dropout", lambda L: L.Dropout(0.5), FLAT),
    layer("quiet/spatial-dropout", lambda L: L.SpatialDropout2D(0.5), PLANE),
    layer("quiet/gaussian-noise", lambda L: L.GaussianNoise(0.5), FLAT),
    layer("quiet/identity", lambda L: L.Identity(), FLAT),
    layer("quiet/activity-regularization", lambda L: L.ActivityRegularization(0.1), FLAT),
    layer("lambda/square", lambda L: L.Lambda(lambda x: x * x + 1.0), FLAT, code=True),
    _op("operators", lambda _, a, b: (2.0 * a - b / 3.0) ** 2 + 1.0, FLAT, FLAT),
    _op("slice", lambda _, x: x[:, 1:4, ::2], PLANE),
    _op("exp-log-sqrt", lambda o, x: o.exp(-x) + o.log(x) * o.sqrt(x) + o.rsqrt(x), POSITIVE),
    _op("log1p-expm1", lambda o, x: o.log1p(x) + o.expm1(x), POSITIVE),
    _op("sin-cos-atan", lambda o, x: o.sin(x) + o.cos(x) * o.arctan(x), WIDE),
    _op("tan-sinh-cosh", lambda o, x: o.tan(x) + o.sinh(x) - o.cosh(x), FLAT),
    _op("erf", lambda o, x: o.erf(x), WIDE),
    _op("abs-sign", lambda o, x: o.abs(x) + o.sign(x), WIDE),
    _op("floor-ceil-round", lambda o, x: o.floor(x) + 2 * o.ceil(x) + 3 * o.round(x), WIDE),
    _op("power", lambda o, x: o.power(x, 1.7), POSITIVE),
    _op("clip", lambda o, x: o.clip(x, -2.0, 3.0), WIDE),
    _op("mod", lambda o, x: o.mod(x, 1.5), WIDE),
    _op("cumsum", lambda o, x: o.cumsum(x, axis=1), LINE),
    _op(
        "sum-mean-max-min",
        lambda o, x: o.sum(x, 1) + o.mean(x, 1) + o.max(x, 1) - o.min(x, 1),
        LINE,
    ),
    _op("prod", lambda o, x: o.prod(x, axis=1), LINE),
    _op("std-var", lambda o, x: o.std(x, axis=1) + o.var(x, axis=1), LINE),
    _op("logsumexp", lambda o, x: o.logsumexp(x, axis=1), LINE),
    _op("norm", lambda o, x: o.norm(x, axis=-1), LINE),
    _op("argmax", lambda o, x: o.argmax(x, axis=-1), LINE),
    _op("argmin", lambda o, x: o.argmin(x, axis=1), LINE),
    _op("top-k", lambda o, x: dict(zip(("value", "index"), o.top_k(x, 3), strict=True)), FLAT),
    _op("sort", lambda o, x: o.sort(x, axis=-1), LINE),
    _op("argsort", lambda o, x: o.argsort(x, axis=-1), FLAT),
    _op("matmul", lambda o, a, b: o.matmul(a, b), LINE, (5, 3)),
    _op("einsum", lambda o, a, b: o.einsum("bij,bkj->bik", a, b), LINE, (4, 5)),
    _op("transpose", lambda o, x: o.transpose(x, (0, 3, 1, 2)), PLANE),
    _op("swap-flip-roll", lambda o, x: o.roll(o.flip(o.swapaxes(x, 1, 2), 1), 2, 2), PLANE),
    _op("stack", lambda o, a, b: o.stack([a, b], axis=1), FLAT, FLAT),
    _op("split", lambda o, x: dict(zip("abc", o.split(x, [2, 3], axis=1), strict=True)), LINE),
    _op("tile-repeat", lambda o, x: o.repeat(o.tile(x, (1, 2, 1)), 2, axis=2), LINE),
    _op("pad-reflect", lambda o, x: o.pad(x, ((0, 0), (1, 2), (0, 0)), "reflect"), LINE),
    _op("pad-constant", lambda o, x: o.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=0.5), LINE),
    _op("expand-squeeze", lambda o, x: o.squeeze(o.expand_dims(x, 1) * 2.0, 1), LINE),
    _op("take", lambda o, x: o.take(x, np.array([3, 0, 2]), axis=1), LINE),
    _op("take-along-axis", lambda o, x, i: o.take_along_axis(x, i, axis=1), FLAT, INTEGERS),
    _op("where", lambda o, a, b: o.where(a > b, a, -b), FLAT, FLAT),
    _op("where-mask", lambda o, m, a: o.where(m, a, 0.0), MASK, FLAT),
    _op(
        "compare",
        lambda o, a, b: {"less": a < b, "equal": o.equal(o.round(a), o.round(b))},
        FLAT,
        FLAT,
    ),
    _op("logical", lambda o, a, b: o.logical_or(o.logical_and(a, b), o.logical_not(a)), MASK, MASK),
    _op("any-all", lambda o, m: {"any": o.any(m, axis=1), "all": o.all(m, axis=1)}, MASK),
    _op("cast", lambda o, i: o.cast(i, "float32") * 0.5, INTEGERS),
    _op("integers", lambda o, i: i * 3 - o.floor_divide(i, 2), INTEGERS),
    _op("one-hot", lambda o, i: o.one_hot(i, 9), INTEGERS),
    _op("tril", lambda o, x: o.tril(x), LINE),
    _op("unfold", lambda o, x: o.image.extract_patches(x, (2, 2)), PLANE),
    _op("fft", lambda o, x: dict(zip(("real", "imag"), o.rfft(x, 16), strict=True)), (16,)),
    _op("fft-inverse", lambda o, x: o.irfft((x, o.flip(x, -1)), 12), (9,)),
    _op("fft-2d", lambda o, x: o.fft2((x, o.zeros_like(x)))[0], (4, 6)),
    _op("fft-filter", lambda o, x: o.irfft([part * 0.5 for part in o.rfft(x, 16)], 16), (16,)),
    _op("one-hot-whole", lambda o, i: o.one_hot(i, 9, dtype="int64"), INTEGERS),
    _op("scatter", lambda o, x: o.slice_update(o.zeros_like(x), (0, 2), x[:, :3]), FLAT),
]
