"""Steps on audio, (batch, samples), and on other series."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.preprocess.step import Floats, Shape, Step, finite, floats, whole

# A description comes with a model file, and a file may ask for anything. These bound its cost.
_MAX_FFT = 1 << 16
_MAX_WEIGHTS = 1 << 23
_MAX_LENGTH = 1 << 24
_MAX_BINS = 1 << 12


@dataclass(frozen=True)
class FixedLength(Step):
    """Series (batch, time, ...) with exactly `length` values in time.

    Longer ones lose their end, shorter ones are filled up with zeros: keras.ops.pad and a slice.

    Attributes:
        length: of the result.
    """

    length: int

    name: ClassVar[str] = "fixed_length"

    def __post_init__(self) -> None:
        self._check("length", whole(self.length, _MAX_LENGTH), f"1 to {_MAX_LENGTH}")

    def apply(self, x: NDArray[Any]) -> Floats:
        self.output_shape(x.shape)
        result = np.zeros((len(x), self.length, *x.shape[2:]), np.float32)
        kept = min(self.length, x.shape[1])
        result[:, :kept] = x[:, :kept]
        return result

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2:
            raise self._refuse(input_shape, "[batch, time, ...]")
        return (input_shape[0], self.length, *input_shape[2:])


@dataclass(frozen=True)
class LogMel(Step):
    """Audio (batch, samples) to the logarithm of its mel spectrogram (batch, frames, mel_bins).

    ``log(|rfft(frame * hann)| @ mel + epsilon)``: magnitudes, not powers. Frames, window and
    transform are those of tf.signal.stft without padding at the end; the mel weights are those of
    tf.signal.linear_to_mel_weight_matrix, which follows the Hidden Markov Model Toolkit (HTK):
    triangles of height 1 between equal steps of ``1127 * log(1 + hertz / 700)``.

    Where the sum is smaller than float32's error of the loudest frequency (a pure tone, and
    silence around it), its logarithm is that of rounding noise, which differs between any two
    libraries: choose an `epsilon` above it.

    Attributes:
        sample_rate: samples a second.
        frame_length, frame_step: of a frame and from one to the next, in samples.
        fft_length: a frame is filled up with zeros to this many samples.
        mel_bins: how many triangles.
        lower_hz, upper_hz: where the first begins and the last ends.
        epsilon: added before the logarithm.
    """

    sample_rate: int
    frame_length: int
    frame_step: int
    fft_length: int
    mel_bins: int
    lower_hz: float = 125.0
    upper_hz: float = 3800.0
    epsilon: float = 1e-6

    name: ClassVar[str] = "log_mel"

    def __post_init__(self) -> None:
        self._check("sample_rate", whole(self.sample_rate, 1 << 24), "a positive number")
        self._check("fft_length", whole(self.fft_length, _MAX_FFT), f"1 to {_MAX_FFT}")
        fits = whole(self.frame_length, self.fft_length)
        self._check("frame_length", fits, f"1 to {self.fft_length}, which is fft_length")
        self._check("frame_step", whole(self.frame_step, 1 << 24), "a positive number")
        most = _MAX_WEIGHTS // self.fft_length
        self._check("mel_bins", whole(self.mel_bins, most), f"1 to {most}")
        nyquist = self.sample_rate / 2
        upper = finite(self.upper_hz) and self.upper_hz <= nyquist
        self._check("upper_hz", upper, f"a number up to half the sample rate, {nyquist}")
        lower = finite(self.lower_hz) and 0 <= self.lower_hz < self.upper_hz
        self._check("lower_hz", lower, f"a number from 0, below upper_hz, {self.upper_hz}")
        positive = finite(self.epsilon) and np.float32(self.epsilon) > 0
        self._check("epsilon", bool(positive), "a positive number")

    def apply(self, x: NDArray[Any]) -> Floats:
        self.output_shape(x.shape)
        views = np.lib.stride_tricks.sliding_window_view(floats(x), self.frame_length, axis=1)
        frames = views[:, :: self.frame_step] * _hann_window(self.frame_length)
        spectrum = np.abs(np.fft.rfft(frames, self.fft_length)).astype(np.float32)
        result: Floats = spectrum @ _mel_weights(self)
        result += np.float32(self.epsilon)
        return np.log(result, out=result)

    def output_shape(self, input_shape: Shape) -> Shape:
        samples = input_shape[1] if len(input_shape) == 2 else 0
        if samples is None:
            return (input_shape[0], None, self.mel_bins)
        if samples < self.frame_length:
            raise self._refuse(input_shape, f"[batch, samples], {self.frame_length} or more")
        frames = 1 + (samples - self.frame_length) // self.frame_step
        return (input_shape[0], frames, self.mel_bins)


@dataclass(frozen=True)
class Mfcc(Step):
    """Log mel spectrogram (batch, frames, mel_bins) to its first cepstral coefficients.

    A discrete cosine transform, type 2, over the mel bins, divided by ``sqrt(2 * mel_bins)``:
    tf.signal.mfccs_from_log_mel_spectrograms, which follows HTK. It comes after ``log_mel``.

    Attributes:
        coefficients: how many are kept, from the lowest on: (batch, frames, coefficients).
    """

    coefficients: int = 13

    name: ClassVar[str] = "mfcc"

    def __post_init__(self) -> None:
        self._check("coefficients", whole(self.coefficients, _MAX_BINS), f"1 to {_MAX_BINS}")

    def apply(self, x: NDArray[Any]) -> Floats:
        self.output_shape(x.shape)
        result: Floats = floats(x) @ _cosines(x.shape[2], self.coefficients)
        return result

    def output_shape(self, input_shape: Shape) -> Shape:
        bins = input_shape[2] if len(input_shape) == 3 else 0
        if bins is not None and not self.coefficients <= bins <= _MAX_BINS:
            raise self._refuse(
                input_shape, f"[batch, frames, mel_bins], {self.coefficients} bins to {_MAX_BINS}"
            )
        return (*input_shape[:2], self.coefficients)


@lru_cache(maxsize=8)
def _cosines(bins: int, count: int) -> Floats:
    """The transform as a matrix: (bins, count)."""
    turn = np.pi * (np.arange(bins)[:, None] + 0.5) * np.arange(count) / bins
    matrix: Floats = (2 * np.cos(turn) / np.sqrt(2 * bins)).astype(np.float32)
    return matrix


@lru_cache(maxsize=8)
def _hann_window(length: int) -> Floats:
    """tf.signal.hann_window, periodic for even lengths and symmetric for odd ones, as it is."""
    if length == 1:
        return np.ones(1, np.float32)
    period = np.float32(length - length % 2)
    turn = np.float32(2 * np.pi) * np.arange(length, dtype=np.float32) / period
    window: Floats = np.float32(0.5) - np.float32(0.5) * np.cos(turn)
    return window


def _mel(hertz: Floats) -> Floats:
    result: Floats = np.float32(1127) * np.log(np.float32(1) + hertz / np.float32(700))
    return result


@lru_cache(maxsize=8)
def _mel_weights(step: LogMel) -> Floats:
    """tf.signal.linear_to_mel_weight_matrix: (fft_length // 2 + 1, mel_bins)."""
    bins = step.fft_length // 2 + 1
    weights = np.zeros((bins, step.mel_bins), np.float32)
    frequencies = _mel(_spaced(np.float32(0), np.float32(step.sample_rate / 2), bins))[1:, None]
    low, high = _mel(np.asarray([step.lower_hz, step.upper_hz], np.float32))
    edges = _spaced(low, high, step.mel_bins + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies - lower) / (centre - lower)
    falling = (upper - frequencies) / (upper - centre)
    # The constant part of the signal belongs to no triangle.
    weights[1:] = np.maximum(0, np.minimum(rising, falling))
    return weights


def _spaced(start: np.float32, stop: np.float32, count: int) -> Floats:
    """tf.linspace, which rounds each step to float32."""
    if count == 1:
        return np.full(1, start, np.float32)
    step = (stop - start) / np.float32(count - 1)
    values: Floats = start + step * np.arange(count, dtype=np.float32)
    values[-1] = stop
    return values
