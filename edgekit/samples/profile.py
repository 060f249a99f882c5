"""Profile: what samples look like, and hashes that tell one from another. Pure numpy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.formats.seen import MARK_BYTES, MARKS, InputProfile, Seen
from edgekit.samples.samples import Samples

Floats = NDArray[np.float64]

# Samples that a profile is made of, at most and, of large ones, at least; how many values of them are held,
# and looked at at a time.
_COUNT, _LEAST, _HELD, _VALUES = 512, 32, 1 << 24, 1 << 22
_BINS = 8
# The last axis of an image or a series is one of channels up to this size; a longer one is a place.
_CHANNELS = 4
# Neighbours say something where there are so many.
_LEAST_NEIGHBOURS = 8
# Numbers in files: more digits than samples of the same source share.
_DIGITS = 5


def seen_of(samples: Samples, purpose: str) -> Seen:
    """What is kept of `samples`, which are prepared: profiles, and hashes of up to 64 drawn at random.

    Args:
        samples: as the model takes them, under its input names.
        purpose: of `edgekit.formats.seen.PURPOSES`.
    """
    drawn = drawn_of(samples)
    profiles = {
        name: profile for name, x in drawn.inputs.items() if (profile := profile_of(x)) is not None
    }
    marked = hashes_of(drawn.subset(MARKS))
    return Seen(purpose, len(samples), profiles, base64.b64encode(b"".join(marked)).decode())


def drawn_of(samples: Samples) -> Samples:
    """Samples to look at, read: up to 512, of large ones fewer."""
    size = sum(int(np.prod(x.shape[1:])) for x in samples.inputs.values())
    return samples.subset(max(_LEAST, min(_COUNT, _HELD // max(1, size)))).read()


def marks_of(seen: Seen) -> list[bytes]:
    """The hashes that `seen_of` kept."""
    content = base64.b64decode(seen.marks)
    return [content[at : at + MARK_BYTES] for at in range(0, len(content), MARK_BYTES)]


def hashes_of(samples: Samples) -> Iterator[bytes]:
    """A hash of each sample's inputs as float32, so that pixels are the same as bytes and as floats.

    Inputs are taken in the order of their names; the names are left out, for a file may have others.
    """
    order = sorted(samples.inputs)
    for batch in samples.batches(256):
        columns = [_comparable(np.asarray(batch.inputs[name])) for name in order]
        for row in zip(*columns, strict=True):
            digest = hashlib.blake2b(digest_size=MARK_BYTES)
            for value in row:
                digest.update(value if isinstance(value, bytes) else value.tobytes())
            yield digest.digest()


def _comparable(x: NDArray[Any]) -> Any:
    if x.dtype.kind in "biuf":
        # Zero has two signs, and one value.
        return x.astype("<f4") + np.float32(0)
    return [repr(row.tolist()).encode("utf-8", "surrogatepass") for row in x]


def profile_of(x: NDArray[Any]) -> InputProfile | None:
    """The profile of an input's samples, (samples, ...); None of texts and of inputs without values."""
    if x.dtype.kind not in "biuf" or not x.size:
        return None
    features = features_of(x)
    # Means and standard deviations of the samples make those of all values.
    mean = float(features[:, 0].mean())
    std = float(np.sqrt(max(0.0, np.square(features[:, :2]).sum(1).mean() - mean**2)))
    return InputProfile(
        count=len(x),
        shape=tuple(x.shape[1:]),
        minimum=_short(x.min()),
        maximum=_short(x.max()),
        mean=_short(mean),
        std=_short(std),
        features=tuple(map(_short, features.mean(0))),
        spread=tuple(map(_short, features.std(0))),
    )


def feature_names(shape: tuple[int, ...]) -> list[str]:
    """What the features of a sample of `shape` are: ``mean``, ``std``, ``channel 0``, ``axis 1, part 0``,
    ``roughness``."""
    places, channels = _axes(len(shape) + 1, (0, *shape))
    names = ["mean", "std", *(f"channel {c}" for c in range(channels))]
    for axis in places:
        names += [f"axis {axis}, part {part}" for part in range(min(_BINS, shape[axis - 1]))]
    if _neighbours(places, (0, *shape)):
        names.append("roughness")
    return names


def features_of(x: NDArray[Any]) -> Floats:
    """What each sample of an input is like.

    Mean and standard deviation; the mean of each channel, where the last of several axes has up to four
    places; the means of up to eight equal parts along each of the first two other axes, which are an
    image's rows and columns; and the roughness: the mean absolute difference of neighbours along
    those axes, in standard deviations of the sample.

    Args:
        x: numbers, (samples, ...).

    Returns:
        Shape (samples, features), in the order of `feature_names`.
    """
    step = max(1, _VALUES // max(1, x[0].size))
    return np.concatenate([_features(x[at : at + step]) for at in range(0, len(x), step)])


def _features(x: NDArray[Any]) -> Floats:
    values = x.astype(np.float64)
    places, channels = _axes(x.ndim, x.shape)
    flat = values.reshape(len(x), -1)
    std = flat.std(1)
    columns: list[Floats] = [flat.mean(1)[:, None], std[:, None]]
    if channels:
        columns.append(values.mean(axis=tuple(range(1, x.ndim - 1))))
    for axis in places:
        others = tuple(other for other in range(1, x.ndim) if other != axis)
        line = values.mean(axis=others)
        parts = np.array_split(np.arange(line.shape[1]), min(_BINS, line.shape[1]))
        columns.append(np.stack([line[:, part].mean(1) for part in parts], 1))
    if rough := _neighbours(places, x.shape):
        steps = [np.abs(np.diff(values, axis=axis)).reshape(len(x), -1).mean(1) for axis in rough]
        mean = np.mean(steps, axis=0)
        columns.append(np.divide(mean, std, out=np.zeros_like(mean), where=std > 0)[:, None])
    return np.concatenate(columns, axis=1)


def _axes(ndim: int, shape: tuple[int, ...]) -> tuple[list[int], int]:
    """The axes of places, and how many channels the last axis has, 0 for none."""
    channels = shape[-1] if ndim >= 3 and shape[-1] <= _CHANNELS else 0
    return list(range(1, ndim - bool(channels)))[:2], channels


def _neighbours(places: list[int], shape: tuple[int, ...]) -> list[int]:
    return [axis for axis in places if shape[axis] >= _LEAST_NEIGHBOURS]


def _short(value: Any) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
