"""Layers that pool, pad, crop, repeat and rearrange."""

from __future__ import annotations

from .entry import Entry, layer

LINE, PLANE, SPACE = (13, 3), (11, 9, 3), (6, 5, 6, 2)

ENTRIES: list[Entry] = [
    layer("pool1d/max", lambda L: L.MaxPooling1D(2), LINE),
    layer("pool1d/max-same", lambda L: L.MaxPooling1D(3, strides=2, padding="same"), LINE),
    layer("pool1d/average", lambda L: L.AveragePooling1D(2), LINE),
    layer("pool1d/average-same", lambda L: L.AveragePooling1D(3, strides=2, padding="same"), LINE),
    layer("pool1d/global-max", lambda L: L.GlobalMaxPooling1D(), LINE),
    layer("pool1d/global-average", lambda L: L.GlobalAveragePooling1D(), LINE),
    layer("pool1d/adaptive-average", lambda L: L.AdaptiveAveragePooling1D(4), LINE),
    layer("pool1d/adaptive-max", lambda L: L.AdaptiveMaxPooling1D(4), LINE),
    layer("pool2d/max", lambda L: L.MaxPooling2D(2), PLANE),
    layer("pool2d/max-same", lambda L: L.MaxPooling2D(3, strides=2, padding="same"), PLANE),
    layer("pool2d/max-overlapping", lambda L: L.MaxPooling2D((3, 2), strides=1), PLANE),
    layer("pool2d/average", lambda L: L.AveragePooling2D(2), PLANE),
    layer("pool2d/average-same", lambda L: L.AveragePooling2D(3, strides=2, padding="same"), PLANE),
    layer(
        "pool2d/channels-first",
        lambda L: L.MaxPooling2D(2, data_format="channels_first"),
        (3, 8, 8),
    ),
    layer("pool2d/global-max", lambda L: L.GlobalMaxPooling2D(), PLANE),
    layer("pool2d/global-average", lambda L: L.GlobalAveragePooling2D(), PLANE),
    layer("pool2d/global-average-kept", lambda L: L.GlobalAveragePooling2D(keepdims=True), PLANE),
    layer("pool2d/adaptive-average", lambda L: L.AdaptiveAveragePooling2D((3, 4)), PLANE),
    layer("pool2d/adaptive-max", lambda L: L.AdaptiveMaxPooling2D(3), PLANE),
    layer("pool3d/max", lambda L: L.MaxPooling3D(2), SPACE),
    layer("pool3d/average", lambda L: L.AveragePooling3D(2), SPACE),
    layer("pool3d/average-same", lambda L: L.AveragePooling3D(3, strides=2, padding="same"), SPACE),
    layer("pool3d/global-max", lambda L: L.GlobalMaxPooling3D(), SPACE),
    layer("pool3d/global-average", lambda L: L.GlobalAveragePooling3D(), SPACE),
    layer("pool3d/adaptive-average", lambda L: L.AdaptiveAveragePooling3D(2), SPACE),
    layer("shape/flatten", lambda L: L.Flatten(), PLANE),
    layer(
        "shape/flatten-channels-first", lambda L: L.Flatten(data_format="channels_first"), (3, 5, 4)
    ),
    layer("shape/reshape", lambda L: L.Reshape((9, -1)), PLANE),
    layer("shape/permute", lambda L: L.Permute((3, 1, 2)), PLANE),
    layer("shape/permute-5d", lambda L: L.Permute((4, 2, 1, 3)), SPACE),
    layer("shape/repeat-vector", lambda L: L.RepeatVector(4), (7,)),
    layer("pad/1d", lambda L: L.ZeroPadding1D((1, 2)), LINE),
    layer("pad/2d", lambda L: L.ZeroPadding2D(((1, 2), (0, 3))), PLANE),
    layer("pad/3d", lambda L: L.ZeroPadding3D(((1, 0), (2, 1), (0, 1))), SPACE),
    layer("crop/1d", lambda L: L.Cropping1D((1, 2)), LINE),
    layer("crop/2d", lambda L: L.Cropping2D(((1, 2), (0, 3))), PLANE),
    layer("crop/3d", lambda L: L.Cropping3D(((1, 0), (2, 1), (0, 1))), SPACE),
    layer("up/1d", lambda L: L.UpSampling1D(3), LINE),
    layer("up/2d-nearest", lambda L: L.UpSampling2D((2, 3)), (5, 4, 3)),
    layer("up/2d-bilinear", lambda L: L.UpSampling2D(2, interpolation="bilinear"), (5, 4, 3)),
    layer("up/2d-bicubic", lambda L: L.UpSampling2D(2, interpolation="bicubic"), (5, 4, 3)),
    layer("up/3d", lambda L: L.UpSampling3D(2), (3, 2, 3, 2)),
]
