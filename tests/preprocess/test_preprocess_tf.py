"""Each step against its twin in Keras or tf.signal, within 1e-5 of the twin's range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.preprocess import CenterCrop, LogMel, Mfcc, Rescale, Resize, Standardize
from edgekit.preprocess.audio import _hann_window, _mel_weights


@pytest.fixture(scope="module")
def keras() -> Any:
    return needs.package("keras")


@pytest.fixture(scope="module")
def tf() -> Any:
    return needs.package("tensorflow")


def assert_twins(ours: np.ndarray, theirs: Any, share: float = 1e-5) -> None:
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float32
    assert np.abs(ours - theirs).max() <= share * np.ptp(theirs)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 17, 23, 3)).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_rescale(keras, images, dtype: str) -> None:
    x = images.astype(dtype)
    assert_twins(Rescale(1 / 127.5, -1.0).apply(x), keras.layers.Rescaling(1 / 127.5, -1.0)(x))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_standardize(keras, images, dtype: str) -> None:
    x = images.astype(dtype)
    mean, variance = (120.0, 100.0, 80.5), (3000.0, 5000.0, 1.0)
    twin = keras.layers.Normalization(mean=list(mean), variance=list(variance))
    assert_twins(Standardize(mean, variance).apply(x), twin(x))
    alone = keras.layers.Normalization(axis=None, mean=120.0, variance=3000.0)
    assert_twins(Standardize((120.0,), (3000.0,)).apply(x), alone(x))
    still = keras.layers.Normalization(mean=[0.0] * 3, variance=[0.0, 1e-20, 1.0])
    assert_twins(Standardize((0.0,) * 3, (0.0, 1e-20, 1.0)).apply(x), still(x))


def test_standardize_with_what_adapting_found(keras) -> None:
    x = np.random.default_rng(0).normal(3, 7, (500, 6)).astype(np.float32)
    twin = keras.layers.Normalization()
    twin.adapt(x)
    mean, variance = (tuple(np.ravel(v).tolist()) for v in (twin.mean, twin.variance))
    assert_twins(Standardize(mean, variance).apply(x), twin(x))
    ours = Standardize().fit([x[:123], x[123:]])
    np.testing.assert_allclose(ours.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(ours.variance, variance, rtol=1e-5)


@pytest.mark.parametrize(("bins", "coefficients"), [(40, 13), (64, 64), (1, 1), (7, 3)])
def test_mfcc(tf, bins: int, coefficients: int) -> None:
    spectrum = np.random.default_rng(0).normal(-4, 3, (2, 9, bins)).astype(np.float32)
    twin = tf.signal.mfccs_from_log_mel_spectrograms(spectrum)[..., :coefficients]
    assert_twins(Mfcc(coefficients).apply(spectrum), twin, 1e-5 if bins > 1 else 1e-4)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(8, 9), (40, 31), (17, 23), (1, 1), (33, 5), (224, 224)])
def test_resize(keras, tf, images, method: str, size: tuple[int, int]) -> None:
    twin = keras.layers.Resizing(*size, interpolation=method)
    assert_twins(Resize(*size, method).apply(images), twin(images.astype(np.float32)))
    of_integers = tf.cast(tf.image.resize(images, size, method), tf.float32)
    assert_twins(Resize(*size, method).apply(images), of_integers)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_resize_from_any_size_to_any(tf, method: str) -> None:
    rng = np.random.default_rng(0)
    for height in range(1, 130, 3):
        x = rng.normal(size=(1, height, 3, 1)).astype(np.float32)
        for wanted in (1, 2, 7, 96, 100, 224):
            twin = tf.image.resize(x, (wanted, 4), method)
            assert_twins(Resize(wanted, 4, method).apply(x), twin)


@pytest.mark.parametrize("size", [(8, 10), (17, 23), (1, 4), (16, 22)])
def test_center_crop(keras, images, size: tuple[int, int]) -> None:
    x = images.astype(np.float32)
    assert_twins(CenterCrop(*size).apply(x), keras.layers.CenterCrop(*size)(x))


@pytest.mark.parametrize(
    "step",
    [
        LogMel(16000, 480, 320, 512, 40, 20.0, 4000.0),
        LogMel(16000, 400, 160, 512, 80, 0.0, 8000.0),
        LogMel(16000, 255, 128, 255, 32, 125.0, 3800.0, 1e-3),
        LogMel(44100, 1023, 512, 2048, 128, 20.0, 20000.0),
        LogMel(8000, 1, 1, 2, 1, 1.0, 4000.0, 0.1),
    ],
    ids=lambda step: f"{step.frame_length}of{step.fft_length}",
)
def test_log_mel(tf, step: LogMel) -> None:
    weights = tf.signal.linear_to_mel_weight_matrix(
        step.mel_bins, step.fft_length // 2 + 1, step.sample_rate, step.lower_hz, step.upper_hz
    )
    # One rounding of the logarithm, next to 2840 mels, is 3e-5 of a narrow triangle.
    assert_twins(_mel_weights(step), weights, 5e-5)
    assert np.allclose(_hann_window(step.frame_length), tf.signal.hann_window(step.frame_length))
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, step.sample_rate)).astype(np.float32)
    time = np.arange(step.sample_rate, dtype=np.float32) / step.sample_rate
    tone = np.sin(2760 * time)
    # A tone 40 dB above the noise: TensorFlow itself is 1.1e-5 off what float64 gives.
    signals = ((noise * 0.1, 1e-5), (np.round(noise * 3000), 1e-5), (tone + noise * 0.01, 5e-5))
    for audio, share in signals:
        audio = audio.astype(np.float32)
        spectrum = tf.signal.stft(audio, step.frame_length, step.frame_step, step.fft_length)
        twin = tf.math.log(tf.tensordot(tf.abs(spectrum), weights, 1) + step.epsilon)
        assert_twins(step.apply(audio), twin, share)
