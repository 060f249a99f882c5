"""Fidelity: how well a file's output follows a model's, channel by channel. Pure numpy.

A channel is a place on the output's last axis. Its error is held against what it has to tell: the
larger of its own spread over the samples and of one step of the integers that the output is made of.
A whole output's ratio would hide a channel of small numbers beside one of large ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.metrics.blocks import together
from edgekit.metrics.distances import Floats

# A channel that moves by less than this share of its size is a constant; so much of that size is what its
# error is held against.
_STILL, _STILL_SIGNAL = 1e-5, 0.1
# Rows of a softmax sum to 1 within what float16 and int8 leave of it.
_SUM = 0.1
# A channel that moves by more steps than this in the model has something to tell.
_TELLING_STEPS = 4
# Of logits, what is further than this below the largest (or beyond it, of a sigmoid) makes no difference
# that float32 probabilities show.
_DEEPEST_SOFTMAX, _DEEPEST_SIGMOID = -80.0, 15.0


def by_channel(x: NDArray[Any]) -> Floats:
    """The values as (places, channels): samples and all axes but the last in one; a vector has one channel."""
    flat = x.reshape(len(x), -1) if x.ndim < 2 else x.reshape(-1, x.shape[-1])
    return flat.astype(np.float64)


class ChannelSums:
    """What is known of each channel of two outputs, which come some samples at a time.

    Attributes:
        places: how many values of each channel were seen.
    """

    def __init__(self) -> None:
        self.places: int = 0
        self._error: Floats = np.zeros(0)
        self._size = self._mean = self._spread = self._error
        self._ends: tuple[tuple[Floats, Floats], tuple[Floats, Floats]] | None = None
        self._lost: NDArray[np.bool_] = np.zeros(0, bool)

    @classmethod
    def of(cls, reference: Any, candidate: Any) -> ChannelSums:
        """Of two whole outputs of one shape, samples first; `candidate` may hold NaN."""
        sums = cls()
        for ref, cand in together(reference, candidate):
            sums.add(ref, cand)
        return sums

    def add(self, reference: NDArray[Any], candidate: NDArray[Any]) -> None:
        """More samples of both."""
        ref, cand = by_channel(reference), by_channel(candidate)
        if not len(ref):
            return
        with np.errstate(over="ignore", invalid="ignore"):
            error, mean = np.square(ref - cand).mean(0), ref.mean(0)
            spread, size = ref.var(0), np.abs(ref).max(0)
            ends = (ref.min(0), ref.max(0)), (cand.min(0), cand.max(0))
            lost: NDArray[np.bool_] = np.any(~np.isfinite(cand) & np.isfinite(ref), axis=0)
            if self._ends is not None:
                # Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
                # Variances", 1979.
                share = len(ref) / (self.places + len(ref))
                apart = mean - self._mean
                spread = self._spread + share * (spread - self._spread)
                spread += share * (1 - share) * np.square(apart)
                mean = self._mean + share * apart
                error = self._error + share * (error - self._error)
                size = np.maximum(size, self._size)
                lost = np.logical_or(lost, self._lost)
                (low, high), (least, most) = self._ends
                ends = (
                    (np.minimum(low, ends[0][0]), np.maximum(high, ends[0][1])),
                    (np.minimum(least, ends[1][0]), np.maximum(most, ends[1][1])),
                )
        self._error, self._mean, self._spread, self._size = error, mean, spread, size
        self._ends, self._lost = ends, lost
        self.places += len(ref)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which channels give one value in the candidate."""
        if self._ends is None:
            return self._lost
        least, most = self._ends[1]
        return np.asarray(least == most)

    def noise(self, step: float) -> Floats:
        """`channel_noise`."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            still = self._moves <= _STILL * self._size
            signal = np.where(still, (_STILL_SIGNAL * self._size) ** 2, self._spread)
            signal = np.maximum(signal, step**2)
            noise = np.where(self._error == 0, 0.0, self._error / signal)
        return np.where(np.isnan(noise), np.inf, noise)

    def dead(self, step: float) -> NDArray[np.intp]:
        """`dead_channels`."""
        with np.errstate(invalid="ignore"):
            telling = self.telling & (self._moves > _TELLING_STEPS * step)
            constant = self.constant & (self.places > 1)
        return np.flatnonzero(self._lost | (telling & constant))

    @property
    def telling(self) -> NDArray[np.bool_]:
        """Which channels move in the reference, by more than float32's own noise."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._moves > _STILL * self._size)

    @property
    def _moves(self) -> Floats:
        if self._ends is None:
            return self._error
        low, high = self._ends[0]
        moves: Floats = high - low
        return moves


def channel_noise(reference: NDArray[Any], candidate: NDArray[Any], step: float = 0.0) -> Floats:
    """Each channel's mean square error over the square of the larger of its spread and `step`.

    A channel that is constant in the reference has a tenth of its size for a spread.

    Args:
        reference, candidate: of one shape, samples first; `candidate` may hold NaN.
        step: of the integers that `candidate` is made of, in the output's unit; 0 for float.

    Returns:
        Shape (channels,): 0 for equal channels, infinity for NaN and for an error where neither spread
        nor step is.
    """
    return ChannelSums.of(reference, candidate).noise(step)


def dead_channels(
    reference: NDArray[Any], candidate: NDArray[Any], step: float = 0.0
) -> NDArray[np.intp]:
    """The channels that tell something in the reference and nothing in the candidate.

    They move by more than four steps, and by more than float32's own noise, in `reference`; in
    `candidate` they are one constant, or hold NaN or infinity where the reference does not.

    Args:
        reference, candidate, step: as `channel_noise`.

    Returns:
        Their places on the last axis, ascending.
    """
    return ChannelSums.of(reference, candidate).dead(step)


def lost_channels(
    reference: NDArray[Any], candidate: NDArray[Any], least_db: float
) -> NDArray[Any]:
    """The channels that move in the reference and are followed at less than `least_db` of their own spread.

    A step of the candidate's integers is no excuse here, as it is for `channel_noise`: a small part that is
    stacked on a large one is lost by just that.

    Args:
        reference, candidate: as `channel_noise`.
        least_db: in decibel.

    Returns:
        Their places on the last axis, ascending.
    """
    sums = ChannelSums.of(reference, candidate)
    return np.flatnonzero(sums.telling & (sums.noise(0.0) > 10 ** (-least_db / 10)))


def ratio_db(noise: Floats) -> float:
    """What channels' noise comes to, in decibel: ``-10 log10(mean(min(1, noise)))``; infinity for none.

    A channel that is lost counts as one that is only noise, however large that is.
    """
    mean = float(np.minimum(noise, 1.0).mean()) if noise.size else 0.0
    return float("inf") if mean == 0 else float(-10 * np.log10(mean))


def softmax_logits(probabilities: NDArray[Any]) -> Floats:
    """Logits of which a softmax over the last axis makes `probabilities`, centred sample by sample."""
    with np.errstate(divide="ignore"):
        return centred_logits(np.log(probabilities.astype(np.float64)))


def centred_logits(logits: NDArray[Any]) -> Floats:
    """Logits of a softmax over the last axis, less what the softmax does not see: their mean.

    What lies more than 80 below the largest is cut there: its probability is below float32's.
    """
    x = logits.astype(np.float64)
    x = np.maximum(x - x.max(-1, keepdims=True), _DEEPEST_SOFTMAX)
    centred: Floats = x - x.mean(-1, keepdims=True)
    return centred


def sigmoid_logits(probabilities: NDArray[Any]) -> Floats:
    """Logits of which a sigmoid makes `probabilities`, cut at 15 on both sides."""
    p = probabilities.astype(np.float64)
    with np.errstate(divide="ignore"):
        return cut_logits(np.log(p) - np.log1p(-p))


def cut_logits(logits: NDArray[Any]) -> Floats:
    """Logits of a sigmoid, cut at 15 on both sides, where float32 probabilities end."""
    cut: Floats = np.clip(logits.astype(np.float64), -_DEEPEST_SIGMOID, _DEEPEST_SIGMOID)
    return cut


def kept_share(reference: NDArray[Any], candidate: NDArray[Any]) -> float:
    """The share of equal values, a fraction; 1 where there are none."""
    return float((reference == candidate).mean()) if reference.size else 1.0


def decisions(outputs: NDArray[Any], kind: str) -> NDArray[Any]:
    """What is decided: the arg-max along the last axis of a softmax, whether a sigmoid is above one half."""
    if kind == "softmax":
        return np.asarray(outputs.argmax(-1))
    return np.asarray(outputs > 0.5)


def sums_to_one(reference: NDArray[Any]) -> bool:
    """Whether the rows are a softmax's: of several classes most are about 0 most of the time."""
    if reference.ndim < 2 or reference.shape[-1] < 2:
        return False
    return all(
        block.min() >= 0 and bool(np.abs(block.astype(np.float64).sum(-1) - 1).max() < _SUM)
        for (block,) in together(reference)
    )
