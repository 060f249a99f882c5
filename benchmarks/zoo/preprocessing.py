"""Layers that prepare data inside the model: scaling, resizing, categories, sound."""

from __future__ import annotations

from .entry import Entry, Input, layer

PLANE = (8, 6, 3)
PIXELS = Input(PLANE, low=0.0, high=255.0)
BYTES = Input(PLANE, "uint8", 0, 256)
CATEGORIES = Input((5,), "int32", 0, 6)
SOUND = Input((512,))

ENTRIES: list[Entry] = [
    layer("prepare/rescaling", lambda L: L.Rescaling(1 / 127.5, -1.0), PIXELS),
    layer("prepare/rescaling-bytes", lambda L: L.Rescaling(1 / 255), BYTES),
    layer(
        "prepare/normalization",
        lambda L: L.Normalization(mean=[0.4, 0.5, 0.3], variance=[0.1, 0.2, 0.3]),
        PLANE,
    ),
    layer(
        "prepare/normalization-inverse",
        lambda L: L.Normalization(mean=0.4, variance=0.1, invert=True),
        PLANE,
    ),
    layer("prepare/resizing", lambda L: L.Resizing(12, 9), PLANE),
    layer("prepare/resizing-down", lambda L: L.Resizing(4, 3), PLANE),
    layer("prepare/resizing-nearest", lambda L: L.Resizing(12, 9, "nearest"), PLANE),
    layer("prepare/resizing-bicubic", lambda L: L.Resizing(12, 9, "bicubic"), PLANE),
    layer("prepare/resizing-area", lambda L: L.Resizing(4, 3, "area"), PLANE),
    layer("prepare/resizing-lanczos", lambda L: L.Resizing(12, 9, "lanczos3"), PLANE),
    layer("prepare/resizing-cropped", lambda L: L.Resizing(4, 4, crop_to_aspect_ratio=True), PLANE),
    layer("prepare/resizing-padded", lambda L: L.Resizing(8, 8, pad_to_aspect_ratio=True), PLANE),
    layer("prepare/center-crop", lambda L: L.CenterCrop(4, 4), PLANE),
    layer("prepare/discretization", lambda L: L.Discretization([-0.5, 0.0, 0.4]), (6,)),
    layer(
        "prepare/discretization-one-hot",
        lambda L: L.Discretization([-0.5, 0.0, 0.4], output_mode="one_hot"),
        (1,),
    ),
    layer(
        "prepare/category-one-hot",
        lambda L: L.CategoryEncoding(6, "one_hot"),
        Input((1,), "int32", 0, 6),
    ),
    layer("prepare/category-multi-hot", lambda L: L.CategoryEncoding(6, "multi_hot"), CATEGORIES),
    layer("prepare/category-count", lambda L: L.CategoryEncoding(6, "count"), CATEGORIES),
    layer("prepare/hashing", lambda L: L.Hashing(5), CATEGORIES),
    layer(
        "prepare/hashed-crossing",
        lambda L: L.HashedCrossing(7),
        Input((1,), "int32", 0, 6),
        Input((1,), "int32", 0, 6),
    ),
    layer("prepare/integer-lookup", lambda L: L.IntegerLookup(vocabulary=[3, 1, 4, 5]), CATEGORIES),
    layer("prepare/random-flip", lambda L: L.RandomFlip(), PLANE),
    layer("prepare/random-contrast", lambda L: L.RandomContrast(0.2), PLANE),
    layer("prepare/solarization", lambda L: L.Solarization(0.2, value_range=(-1, 1)), PLANE),
    layer("prepare/grayscale", lambda L: L.RandomGrayscale(1.0), PLANE),
    layer(
        "prepare/mel-spectrogram",
        lambda L: L.MelSpectrogram(
            num_mel_bins=8, sampling_rate=8000, sequence_stride=64, fft_length=128, max_freq=4000
        ),
        SOUND,
    ),
    layer(
        "prepare/stft-spectrogram",
        lambda L: L.STFTSpectrogram(frame_length=64, frame_step=32, fft_length=64),
        Input((512, 1)),
    ),
]
