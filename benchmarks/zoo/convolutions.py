"""Convolutions of one to three dimensions, and dense layers."""

from __future__ import annotations

from .entry import Entry, layer

LINE, PLANE, SPACE = (24, 3), (12, 10, 3), (6, 6, 5, 2)

ENTRIES: list[Entry] = [
    layer("dense/plain", lambda L: L.Dense(7), (12,)),
    layer("dense/no-bias", lambda L: L.Dense(7, use_bias=False), (12,)),
    layer("dense/relu", lambda L: L.Dense(7, activation="relu"), (12,)),
    layer("dense/softmax", lambda L: L.Dense(7, activation="softmax"), (12,)),
    layer("dense/on-a-sequence", lambda L: L.Dense(5), (6, 4)),
    layer("dense/on-an-image", lambda L: L.Dense(5, activation="relu"), (4, 4, 3)),
    layer("dense/einsum", lambda L: L.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d"), (6, 4)),
    layer(
        "dense/einsum-two-axes",
        lambda L: L.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de"),
        (6, 4),
    ),
    layer(
        "dense/einsum-contract",
        lambda L: L.EinsumDense("abcd,cde->abe", (None, 5), bias_axes="e"),
        (6, 2, 4),
    ),
    layer("conv1d/plain", lambda L: L.Conv1D(4, 3), LINE),
    layer("conv1d/same-strided", lambda L: L.Conv1D(4, 5, strides=2, padding="same"), LINE),
    layer("conv1d/causal", lambda L: L.Conv1D(4, 3, padding="causal"), LINE),
    layer(
        "conv1d/causal-dilated", lambda L: L.Conv1D(4, 3, padding="causal", dilation_rate=4), LINE
    ),
    layer("conv1d/dilated", lambda L: L.Conv1D(4, 3, dilation_rate=2), LINE),
    layer("conv1d/dilated-same", lambda L: L.Conv1D(4, 3, dilation_rate=2, padding="same"), LINE),
    layer("conv1d/groups", lambda L: L.Conv1D(6, 3, groups=3), LINE),
    layer("conv1d/transpose", lambda L: L.Conv1DTranspose(4, 3, strides=2), LINE),
    layer(
        "conv1d/transpose-same", lambda L: L.Conv1DTranspose(4, 4, strides=2, padding="same"), LINE
    ),
    layer("conv1d/depthwise", lambda L: L.DepthwiseConv1D(3), LINE),
    layer("conv1d/depthwise-multiplied", lambda L: L.DepthwiseConv1D(3, depth_multiplier=2), LINE),
    layer(
        "conv1d/depthwise-strided", lambda L: L.DepthwiseConv1D(3, strides=2, padding="same"), LINE
    ),
    layer("conv1d/separable", lambda L: L.SeparableConv1D(5, 3, padding="same"), LINE),
    layer("conv1d/separable-strided", lambda L: L.SeparableConv1D(5, 3, strides=2), LINE),
    layer("conv2d/plain", lambda L: L.Conv2D(4, 3), PLANE),
    layer("conv2d/same", lambda L: L.Conv2D(4, 3, padding="same", activation="relu"), PLANE),
    layer("conv2d/strided", lambda L: L.Conv2D(4, 3, strides=2), PLANE),
    layer("conv2d/same-strided", lambda L: L.Conv2D(4, 3, strides=2, padding="same"), PLANE),
    layer("conv2d/kernel-1x1", lambda L: L.Conv2D(5, 1), PLANE),
    layer("conv2d/kernel-1x5", lambda L: L.Conv2D(4, (1, 5), padding="same"), PLANE),
    layer("conv2d/even-kernel", lambda L: L.Conv2D(4, (2, 4), padding="same"), PLANE),
    layer("conv2d/uneven-strides", lambda L: L.Conv2D(4, 3, strides=(1, 1), use_bias=False), PLANE),
    layer("conv2d/dilated", lambda L: L.Conv2D(4, 3, dilation_rate=2), PLANE),
    layer(
        "conv2d/dilated-same", lambda L: L.Conv2D(4, 3, dilation_rate=(2, 3), padding="same"), PLANE
    ),
    layer("conv2d/groups", lambda L: L.Conv2D(6, 3, groups=3), PLANE),
    layer("conv2d/groups-strided", lambda L: L.Conv2D(6, 3, groups=3, strides=2), PLANE),
    layer(
        "conv2d/channels-first", lambda L: L.Conv2D(4, 3, data_format="channels_first"), (3, 10, 9)
    ),
    layer("conv2d/transpose", lambda L: L.Conv2DTranspose(4, 3, strides=2), (6, 5, 3)),
    layer(
        "conv2d/transpose-same",
        lambda L: L.Conv2DTranspose(4, 4, strides=2, padding="same"),
        (6, 5, 3),
    ),
    layer(
        "conv2d/transpose-stride-1", lambda L: L.Conv2DTranspose(4, 3, padding="same"), (6, 5, 3)
    ),
    layer(
        "conv2d/transpose-padded",
        lambda L: L.Conv2DTranspose(4, 3, strides=2, output_padding=1),
        (6, 5, 3),
    ),
    layer(
        "conv2d/transpose-dilated", lambda L: L.Conv2DTranspose(4, 3, dilation_rate=2), (6, 5, 3)
    ),
    layer("conv2d/depthwise", lambda L: L.DepthwiseConv2D(3), PLANE),
    layer("conv2d/depthwise-multiplied", lambda L: L.DepthwiseConv2D(3, depth_multiplier=2), PLANE),
    layer(
        "conv2d/depthwise-strided", lambda L: L.DepthwiseConv2D(3, strides=2, padding="same"), PLANE
    ),
    layer("conv2d/depthwise-dilated", lambda L: L.DepthwiseConv2D(3, dilation_rate=2), PLANE),
    layer("conv2d/separable", lambda L: L.SeparableConv2D(5, 3, padding="same"), PLANE),
    layer("conv2d/separable-dilated", lambda L: L.SeparableConv2D(5, 3, dilation_rate=2), PLANE),
    layer("conv3d/plain", lambda L: L.Conv3D(3, 3), SPACE),
    layer("conv3d/same-strided", lambda L: L.Conv3D(3, 3, strides=2, padding="same"), SPACE),
    layer("conv3d/dilated", lambda L: L.Conv3D(3, 2, dilation_rate=2), SPACE),
    layer("conv3d/groups", lambda L: L.Conv3D(4, 2, groups=2), SPACE),
    layer("conv3d/transpose", lambda L: L.Conv3DTranspose(3, 2, strides=2), (3, 3, 3, 2)),
    layer(
        "conv3d/transpose-same",
        lambda L: L.Conv3DTranspose(3, 3, strides=2, padding="same"),
        (3, 3, 3, 2),
    ),
]
