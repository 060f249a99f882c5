"""Looks: whether samples look like those that a model was trained with, or a file calibrated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.setup.input_slips import input_slips
from edgekit.drift.setup.slips import Slip
from edgekit.formats.seen import InputProfile
from edgekit.samples.profile import feature_names, features_of

Floats = NDArray[np.float64]

# Profiles of fewer samples say little but for their scale, and of fewer than the second nothing.
_LEAST, _FEWEST = 16, 4
# Other samples of the same source differ by what their number leaves open; by so many standard deviations
# of a sample, and of a mean, they are of another kind.
_FAR, _CERTAIN = 4.0, 8.0
# The difference of neighbours hangs on how an image was made more than on what it shows: so far, and so certainly.
_ROUGH, _SURELY_ROUGH = 1.5, 20.0
# The standard deviations of all values of either are at most so many times the other's; of few samples.
_TIMES, _TIMES_OF_FEW = 3.0, 20.0
# A spread of next to nothing, as of black borders, is taken for this share of the values' own.
_FLOOR = 0.05
# A slip is named where it takes so much of the difference away, and there is one beyond doubt.
_TAKEN, _BEYOND = 10.0, 25.0


@dataclass(frozen=True)
class Look:
    """How samples differ from those expected.

    Attributes:
        slip: what makes them look alike; None if nothing does.
        difference: what differs most, in words.
    """

    slip: Slip | None
    difference: str


def compared(expected: InputProfile, x: NDArray[Any], theirs: str) -> Look | None:
    """What `x` differs in, so much that it is of another kind; None if it does not.

    Args:
        expected: the profile of the samples that are known.
        x: samples, (samples, ...).
        theirs: whose those are: ``"those of the training"``.
    """
    shape = tuple(x.shape[1:])
    count = min(len(x), expected.count)
    if shape != expected.shape or count < _FEWEST or x.dtype.kind not in "biuf":
        return None
    if len(expected.features) != len(feature_names(shape)):
        return None
    features = features_of(x)
    if count < _LEAST:
        scale = _scale(expected, x, features, theirs, _TIMES_OF_FEW)
        return Look(None, scale) if scale else None
    far, certain = _distances(expected, features)
    difference = _difference(expected, x, features, far, certain, theirs)
    before = float(np.mean(np.square(certain)))
    best: tuple[float, Slip] | None = None
    if before > _BEYOND:
        for slip, change in input_slips(x):
            after = float(np.mean(np.square(_distances(expected, features_of(change(x)))[1])))
            if after < before / _TAKEN and (best is None or after < best[0]):
                best = after, slip
    if best is not None:
        return Look(best[1], difference or f"their {_worst(shape, certain)} is another")
    return Look(None, difference) if difference else None


def _distances(expected: InputProfile, features: Floats) -> tuple[Floats, Floats]:
    """How far each feature's mean is off, in standard deviations of a sample, and of such a mean."""
    floor = np.full(len(expected.features), _FLOOR * expected.std)
    if expected.shape and feature_names(expected.shape)[-1] == "roughness":
        floor[-1] = _FLOOR
    floor = np.maximum(floor, 1e-6 * max(abs(expected.minimum), abs(expected.maximum), 1e-30))
    spread = np.maximum(expected.spread, floor)
    far = (features.mean(0) - expected.features) / spread
    own = np.sqrt(np.square(spread) / expected.count + features.var(0) / len(features))
    return far, far * spread / np.maximum(own, 1e-30)


def _difference(
    expected: InputProfile,
    x: NDArray[Any],
    features: Floats,
    far: Floats,
    certain: Floats,
    theirs: str,
) -> str:
    if scale := _scale(expected, x, features, theirs, _TIMES):
        return scale
    telling = (np.abs(far) > _FAR) & (np.abs(certain) > _CERTAIN)
    names = feature_names(expected.shape)
    if names[-1] == "roughness":
        telling[-1] |= abs(far[-1]) > _ROUGH and abs(certain[-1]) > _SURELY_ROUGH
    if not telling.any():
        return ""
    at = int(np.argmax(np.where(telling, np.abs(far), 0)))
    if names[-1] == "roughness" and telling[-1]:
        # It says most of where the samples come from.
        at = len(names) - 1
    name = names[at]
    values = f"{features[:, at].mean():.3g}, of {theirs} {expected.features[at]:.3g}"
    if name == "roughness":
        return (
            f"neighbouring values differ by {features[:, at].mean():.2g} standard deviations, in {theirs} by "
            f"{expected.features[at]:.2g}, as with noise, or with images that were resized in another way"
        )
    return f"their {_spelt(name, names)} is {values}"


def _scale(
    expected: InputProfile, x: NDArray[Any], features: Floats, theirs: str, most: float
) -> str:
    """How samples are spread, if that is more than `most` times more or less than expected; else empty."""
    # Of all values: the square of a mean and of a standard deviation a sample.
    mean = float(features[:, 0].mean())
    std = float(np.sqrt(max(0.0, np.square(features[:, :2]).sum(1).mean() - mean**2)))
    times = std / expected.std if expected.std else float("inf") if std else 1.0
    if 1 / most <= times <= most:
        return ""
    return (
        f"they go from {float(x.min()):.4g} to {float(x.max()):.4g} (standard deviation {std:.3g}), {theirs} "
        f"from {expected.minimum:.4g} to {expected.maximum:.4g} ({expected.std:.3g})"
    )


def _worst(shape: tuple[int, ...], certain: Floats) -> str:
    names = feature_names(shape)
    return _spelt(names[int(np.argmax(np.abs(certain)))], names)


def _spelt(name: str, names: list[str]) -> str:
    if name in ("mean", "std"):
        return {"mean": "mean value", "std": "standard deviation"}[name]
    if name == "roughness":
        return "difference of neighbouring values"
    if name.startswith("channel"):
        return f"mean value in {name}"
    axis, part = re.findall(r"\d+", name)
    count = sum(each.startswith(f"axis {axis},") for each in names)
    return f"mean value in part {int(part) + 1} of {count} along axis {axis}"
