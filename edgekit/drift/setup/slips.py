"""Slips: the usual ways to hand samples or labels over wrongly, each with what takes it back.

They are few on purpose. Of any hundred ways to rearrange something, one is better than none by luck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Slip:
    """One way to take a slip back.

    Attributes:
        name: in documents.
        what: completes "as they are" and "with ...".
        advice: what to do if it helps.
        includes: the name of another slip, tried before it, that taking this one back takes back too: it has to be
            clearly better than that one; empty if none.
    """

    name: str
    what: str
    advice: str
    includes: str = ""


_SCALES: tuple[tuple[Slip, float, float], ...] = (
    (
        Slip(
            "divided_by_255",
            "the inputs divided by 255",
            "Divide the samples by 255: the model takes values from 0 to 1.",
        ),
        1 / 255,
        0.0,
    ),
    (
        Slip(
            "multiplied_by_255",
            "the inputs multiplied by 255",
            "Give the samples as they were before they were divided by 255: the model does that itself, "
            "or was trained without it.",
        ),
        255.0,
        0.0,
    ),
    (
        Slip(
            "unit_to_signed",
            "the inputs scaled from 0..1 to -1..1",
            "Scale the samples to -1..1: 2 x - 1.",
        ),
        2.0,
        -1.0,
    ),
    (
        Slip(
            "signed_to_unit",
            "the inputs scaled from -1..1 to 0..1",
            "Scale the samples to 0..1: (x + 1) / 2.",
        ),
        0.5,
        0.5,
    ),
    (
        Slip(
            "bytes_to_signed",
            "the inputs scaled from 0..255 to -1..1",
            "Scale the samples to -1..1: x / 127.5 - 1.",
        ),
        1 / 127.5,
        -1.0,
    ),
    (
        Slip(
            "signed_to_bytes",
            "the inputs scaled from -1..1 to 0..255",
            "Give the samples from 0 to 255: the model scales them itself.",
        ),
        127.5,
        127.5,
    ),
)
# Means and deviations that networks of ImageNet take their channels by, from 0..1; and means of blue, green and red
# from 0..255, which the older ones take away.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BLUE_GREEN_RED = (103.939, 116.779, 123.68)
_PCM = 32768.0
_STANDARDISED = Slip(
    "standardised",
    "the inputs brought to mean 0 and deviation 1, channel by channel",
    "Subtract the training's mean and divide by its deviation, once: the mean and deviation of these samples did.",
)
_IMAGENET = Slip(
    "imagenet_standardised",
    "ImageNet's mean and deviation taken out of the inputs from 0..1",
    "Prepare the samples by ImageNet's mean and deviation: (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225].",
)
_IMAGENET_BYTES = Slip(
    "imagenet_standardised_from_bytes",
    "ImageNet's mean and deviation taken out of the inputs from 0..255",
    "Divide by 255, and prepare the samples by ImageNet's mean and deviation: (x / 255 - [0.485, 0.456, 0.406]) / "
    "[0.229, 0.224, 0.225].",
)
_IMAGENET_UNDONE = Slip(
    "imagenet_undone",
    "ImageNet's mean and deviation put back into the inputs",
    "Prepare the samples by ImageNet's mean and deviation once less: twice is too often, or the model does it itself.",
)
_CAFFE = Slip(
    "means_of_bgr",
    "the inputs from 0..255 in the order BGR, and ImageNet's mean of each taken away",
    "Prepare the samples as Caffe does: x[..., ::-1] - [103.939, 116.779, 123.68], from 0..255.",
)
_FROM_PCM = Slip(
    "divided_by_32768",
    "the sound divided by 32768",
    "Divide the samples by 32768: the model takes sound from -1 to 1, and these are whole numbers of 16 bits.",
)
_TO_PCM = Slip(
    "multiplied_by_32768",
    "the sound multiplied by 32768",
    "Give the sound as whole numbers of 16 bits, from -32768 to 32767, as in training.",
)
_SLOWER = Slip(
    "half_the_rate",
    "every second step alone, as at half the sampling rate",
    "Resample to the rate of the training: these samples seem to have twice that.",
)
_FASTER = Slip(
    "twice_the_rate",
    "a step put between any two, as at twice the sampling rate",
    "Resample to the rate of the training: these samples seem to have half of that.",
)
_BACKWARDS = Slip(
    "backwards", "the steps backwards", "Give the steps from first to last: x[:, ::-1]."
)
_NEGATIVE = Slip(
    "negative",
    "light and dark swapped (negative)",
    "Invert the samples: the model was trained on light objects on dark ground, or the reverse.",
)
_UPSIDE_DOWN = Slip(
    "upside_down",
    "the images upside down",
    "Flip the samples, or their masks or boxes, which do not go together: x[:, ::-1].",
)
_MIRRORED = Slip(
    "mirrored",
    "the images mirrored, left for right",
    "Flip the samples, or their masks or boxes, which do not go together: x[:, :, ::-1].",
)
_HALF_TURN = Slip(
    "half_turn",
    "the images turned round by 180 degrees",
    "Turn the samples: x[:, ::-1, ::-1]. Cameras note how they were held in EXIF.",
)
_LEFT_TURN = Slip(
    "turned_left",
    "the images turned by 90 degrees to the left",
    "Turn the samples: np.rot90(x, 1, (1, 2)). Cameras note how they were held in EXIF.",
)
_RIGHT_TURN = Slip(
    "turned_right",
    "the images turned by 90 degrees to the right",
    "Turn the samples: np.rot90(x, -1, (1, 2)). Cameras note how they were held in EXIF.",
)
_CROPPED = Slip(
    "cropped",
    "the middle of the images alone, enlarged (cropped)",
    "Crop the middle as in training, then resize: objects are too small in these samples.",
    includes="smoothed",
)
_SHRUNK = Slip(
    "shrunk",
    "the images made smaller, with a border, as if less had been cropped",
    "Crop less, or not at all: objects are too large in these samples.",
    includes="smoothed",
)
_SMOOTHED = Slip(
    "smoothed",
    "the images smoothed, as another way of resizing gives them",
    "Resize as in training: every pixel picked ('nearest') keeps noise and edges that means over an area take away.",
)
_CHANNELS = Slip(
    "channels_reversed",
    "the channels in reverse order (BGR for RGB)",
    "Swap the samples' channels: x[..., ::-1]. OpenCV reads images as BGR.",
)
_TRANSPOSED = Slip(
    "transposed",
    "height and width swapped",
    "Swap the samples' axes: x.swapaxes(1, 2).",
)
_FROM_NCHW = Slip(
    "from_nchw",
    "the bytes read with the channels first (NCHW)",
    "The samples were stored with the channels first: read them so, then np.moveaxis(x, 1, -1).",
)
_TO_NCHW = Slip(
    "to_nchw",
    "the bytes read with the channels last (NHWC)",
    "The samples were stored with the channels last and given the shape of channels first: reshape them "
    "as they were.",
)
_RESIZED = {
    method: Slip(
        f"resized_{method}",
        f"the images resized by {method!r}",
        f"Resize as in training: this model fits {method!r}.",
    )
    for method in ("nearest", "bilinear", "area")
}
_LABELS = {
    "labels_plus_one": Slip(
        "labels_plus_one",
        "each label raised by one",
        "Count the labels' classes as the model does: it seems to begin one later.",
    ),
    "labels_minus_one": Slip(
        "labels_minus_one",
        "each label lowered by one",
        "Count the labels' classes from 0: they seem to begin with 1.",
    ),
    "labels_reversed": Slip(
        "labels_reversed",
        "the labels' order of classes reversed",
        "Number the classes as the model does: its order is the reverse.",
    ),
    "labels_from_text_order": Slip(
        "labels_from_text_order",
        'the labels numbered by value ("2" before "10")',
        'The labels go by the text order of folder names ("10" before "2"), the model by their value. '
        "Number the classes as the model does.",
    ),
    "labels_to_text_order": Slip(
        "labels_to_text_order",
        'the labels numbered in the text order of folder names ("10" before "2")',
        'The model was trained on folders in text order ("10" before "2"), as Keras reads them. Number '
        "the classes as the model does.",
    ),
    "labels_to_name_order": Slip(
        "labels_to_name_order",
        "the labels numbered in the alphabetical order of the class names",
        "Number the classes as the model does: in the alphabetical order of their names.",
    ),
    "labels_from_name_order": Slip(
        "labels_from_name_order",
        "the labels taken for numbers in the alphabetical order of the class names",
        "The labels go by the alphabetical order of the class names, the model by another. Number the "
        "classes as the model does.",
    ),
}
_LAYOUTS = {
    "xyxy": "left, top, right, bottom",
    "yxyx": "top, left, bottom, right",
    "xywh": "left, top, width, height",
    "cxcywh": "centre and size",
}
_BOXES = "Boxes are labelled by left, top, right and bottom, in pixels of the raw images."
LABEL_SLIPS = {
    slip.name: slip
    for slip in (
        Slip(
            "labels_opposite",
            "yes and no of the labels swapped",
            "Label by 1 what belongs to a class, and by 0 what does not.",
        ),
        Slip(
            "labels_in_another_unit",
            "a factor and an offset for each column of the labels",
            "Give the labels in the unit that the model answers in: both normalised or neither, the sign as well.",
        ),
        Slip(
            "labels_columns_reversed",
            "the columns of the labels in reverse order",
            "Give the columns of the labels in the order of the model's output.",
        ),
        *(
            Slip(
                f"boxes_from_{layout}",
                f"the labelled boxes taken for {words} ({layout})",
                f"{_BOXES} These seem to be {words}.",
            )
            for layout, words in _LAYOUTS.items()
            if layout != "xyxy"
        ),
        Slip(
            "boxes_from_unit",
            "the labelled boxes taken from 0..1 to pixels",
            f"{_BOXES} These seem to be normalised.",
        ),
        Slip(
            "boxes_from_input",
            "the labelled boxes taken for pixels of the model's input",
            f"{_BOXES} These seem to be in pixels of the model's input.",
        ),
        *(
            Slip(
                f"decoder_{layout}",
                f"a decoder that takes boxes for {words} ({layout})",
                f"Set the decoder's layout to {layout!r}, or label boxes by left, top, right and bottom.",
            )
            for layout, words in _LAYOUTS.items()
        ),
        Slip(
            "decoder_normalized",
            "a decoder that takes boxes for shares of the image",
            "Say that the model's boxes go from 0 to 1 of the image, not in pixels (normalized = true).",
        ),
        Slip(
            "decoder_pixels",
            "a decoder that takes boxes for pixels",
            "Say that the model's boxes are in pixels, not from 0 to 1 (normalized = false).",
        ),
    )
}
SLIPS: dict[str, Slip] = {
    slip.name: slip
    for slip in (
        *(slip for slip, _, _ in _SCALES),
        *(_CHANNELS, _TRANSPOSED, _FROM_NCHW, _TO_NCHW),
        *(_STANDARDISED, _IMAGENET, _IMAGENET_BYTES, _IMAGENET_UNDONE, _CAFFE),
        *(_FROM_PCM, _TO_PCM, _SLOWER, _FASTER, _BACKWARDS, _NEGATIVE),
        *(
            _UPSIDE_DOWN,
            _MIRRORED,
            _HALF_TURN,
            _LEFT_TURN,
            _RIGHT_TURN,
            _CROPPED,
            _SHRUNK,
            _SMOOTHED,
        ),
        *_RESIZED.values(),
        *_LABELS.values(),
        *LABEL_SLIPS.values(),
    )
}
# A side of an image that can be turned or cropped; steps of a series that can be resampled, of a sound, and columns
# that have a mean each.
_SIDE, _STEPS, _SOUND, _COLUMNS = 4, 16, 256, 64
# What is left of a side that was cropped: as networks of ImageNet are judged, and less.
_KEPT = (7 / 8, 3 / 4)


def input_slips(x: Array) -> Iterator[tuple[Slip, Callable[[Array], Array]]]:
    """The slips that samples of an input may have, with what takes each back.

    Args:
        x: numbers, (samples, ...).

    Yields:
        A slip, and a function from samples to samples of the same shape.
    """
    if x.dtype.kind not in "iuf":
        return
    for slip, factor, offset in _SCALES:
        yield slip, _scaling(factor, offset)
    shape = x.shape[1:]
    if len(shape) >= 2 and shape[-1] in (3, 4):
        yield _CHANNELS, _channels_reversed
    if len(shape) >= 2 and shape[0] == shape[1]:
        yield _TRANSPOSED, lambda values: values.swapaxes(1, 2)
    if len(shape) >= 2 and shape[-1] > 1 and max(shape[:-1]) > 1:
        yield _FROM_NCHW, _from_channels_first
        yield _TO_NCHW, _to_channels_first
    yield _STANDARDISED, _standardised
    if len(shape) == 3 and shape[-1] <= 4:
        yield from _of_images(shape)
    elif shape and shape[0] >= _STEPS:
        yield from _of_series(shape)


def _of_images(shape: tuple[int, ...]) -> Iterator[tuple[Slip, Callable[[Array], Array]]]:
    if shape[-1] == 3:
        mean, std = np.asarray(_MEAN, np.float32), np.asarray(_STD, np.float32)
        blues = np.asarray(_BLUE_GREEN_RED, np.float32)
        yield _IMAGENET, lambda x: (x.astype(np.float32) - mean) / std
        yield _IMAGENET_BYTES, lambda x: (x.astype(np.float32) / 255 - mean) / std
        yield _IMAGENET_UNDONE, lambda x: x.astype(np.float32) * std + mean
        yield _CAFFE, lambda x: x[..., ::-1].astype(np.float32) - blues
    yield _NEGATIVE, lambda x: (x.max() + x.min()) - x.astype(np.float32)
    if min(shape[:2]) < _SIDE:
        return
    yield _UPSIDE_DOWN, lambda x: x[:, ::-1]
    yield _MIRRORED, lambda x: x[:, :, ::-1]
    yield _HALF_TURN, lambda x: x[:, ::-1, ::-1]
    if shape[0] == shape[1]:
        yield _LEFT_TURN, lambda x: np.rot90(x, 1, (1, 2))
        yield _RIGHT_TURN, lambda x: np.rot90(x, -1, (1, 2))
    # Enlarging smooths as well, and should not pass for the cropping that comes with it.
    yield _SMOOTHED, _smoothed
    for part in _KEPT:
        yield _CROPPED, partial(_zoomed, part=part)
        yield _SHRUNK, partial(_zoomed, part=1 / part)


def _of_series(shape: tuple[int, ...]) -> Iterator[tuple[Slip, Callable[[Array], Array]]]:
    if len(shape) > 1:
        yield _BACKWARDS, lambda x: x[:, ::-1]
    yield _SLOWER, _every_second
    yield _FASTER, _between
    if shape[0] >= _SOUND and int(np.prod(shape[1:])) <= 2:
        yield _FROM_PCM, _scaling(1 / _PCM, 0.0)
        yield _TO_PCM, _scaling(_PCM, 0.0)


def _standardised(x: Array) -> Array:
    """Each channel, or column, by its own mean and deviation; of long rows all values together."""
    apart = x.shape[-1] <= _COLUMNS and x.ndim > 1
    values = x.astype(np.float64)
    axes = tuple(range(x.ndim - 1)) if apart else None
    # What never changes has no deviation, and stays where its mean is taken to.
    spread = values.std(axes)
    with np.errstate(over="ignore", invalid="ignore"):
        centred = (values - values.mean(axes)) / np.where(spread > 0, spread, 1.0)
    found: Array = centred.astype(np.float32)
    return found


def _zoomed(x: Array, part: float) -> Array:
    """The middle of images, `part` of each side, in their own size; beyond the edges the last pixels go on."""
    for axis in (1, 2):
        size = x.shape[axis]
        at = (np.arange(size) + 0.5 - size / 2) * part + size / 2 - 0.5
        at = np.clip(at, 0, size - 1)
        low = np.minimum(at.astype(np.intp), max(size - 2, 0))
        shape = [1] * x.ndim
        shape[axis] = size
        share = np.float32(at - low).reshape(shape)
        first, second = (x.take(np.minimum(low + k, size - 1), axis) for k in (0, 1))
        x = first * (1 - share) + second * share
    return x


def _smoothed(x: Array) -> Array:
    """Each pixel with a sixth of both neighbours in each direction: noise as in the mean of four pixels, in place."""
    for axis in (1, 2):
        last = x.shape[axis] - 1
        sides = [x.take(np.clip(np.arange(last + 1) + k, 0, last), axis) for k in (-1, 1)]
        x = (4 * x.astype(np.float32) + sides[0] + sides[1]) / 6
    return x


def _every_second(x: Array) -> Array:
    """Every second step, and zeros behind."""
    found = np.zeros_like(x)
    some = x[:, ::2]
    found[:, : some.shape[1]] = some
    return found


def _between(x: Array) -> Array:
    """The first half of the steps, a mean of both neighbours between any two."""
    half = x[:, : (x.shape[1] + 1) // 2].astype(np.float32)
    after = np.concatenate([half[:, 1:], half[:, -1:]], 1)
    found = np.stack([half, (half + after) / 2], 2)
    return found.reshape(len(x), -1, *x.shape[2:])[:, : x.shape[1]]


def _scaling(factor: float, offset: float) -> Callable[[Array], Array]:
    def apply(x: Array) -> Array:
        # Absurd samples become infinite, which no model answers better to.
        with np.errstate(over="ignore"):
            scaled: Array = x.astype(np.float32) * np.float32(factor) + np.float32(offset)
        return scaled

    return apply


def _channels_reversed(x: Array) -> Array:
    # A fourth channel is transparency, and stays where it is.
    return np.concatenate([x[..., 2::-1], x[..., 3:]], axis=-1)


def _from_channels_first(x: Array) -> Array:
    """Bytes of (channels, height, width) that were given the shape (height, width, channels)."""
    return np.moveaxis(x.reshape(len(x), x.shape[-1], *x.shape[1:-1]), 1, -1)


def _to_channels_first(x: Array) -> Array:
    """Bytes of (height, width, channels) that were given the shape (channels, height, width)."""
    return np.moveaxis(x, -1, 1).reshape(x.shape)


def label_slips(
    classes: int, class_names: Sequence[str] = ()
) -> list[tuple[Slip, NDArray[np.int64]]]:
    """The slips that class labels may have, each with what every class number becomes.

    Args:
        classes: how many the model tells apart.
        class_names: of the model's classes, by number.

    Returns:
        No two with the same numbers, and none that leaves them as they are.
    """
    numbers = np.arange(classes)
    found = {
        "labels_minus_one": (numbers - 1) % classes,
        "labels_plus_one": (numbers + 1) % classes,
        "labels_reversed": numbers[::-1],
    }
    # Of two classes all three are one, and it is known as this.
    known_as = "labels_reversed" if classes == 2 else "labels_minus_one"
    ways = sorted(found.items(), key=lambda way: way[0] != known_as)
    for first in (0, 1):
        by_text = sorted(range(classes), key=[str(n + first) for n in range(classes)].__getitem__)
        ways += _both(by_text, "labels_to_text_order", "labels_from_text_order")
    if len(class_names) == classes:
        by_name = sorted(range(classes), key=class_names.__getitem__)
        ways += _both(by_name, "labels_to_name_order", "labels_from_name_order")
    known = {tuple(range(classes))}
    distinct = []
    for name, place in ways:
        if (key := tuple(map(int, place))) not in known:
            known.add(key)
            distinct.append((_LABELS[name], np.asarray(place, np.int64)))
    return distinct


def _both(order: Sequence[int], to: str, back: str) -> list[tuple[str, NDArray[np.int64]]]:
    """Both directions between numbers and places in `order`."""
    place = np.empty(len(order), np.int64)
    place[np.asarray(order)] = np.arange(len(order))
    return [(to, place), (back, np.asarray(order, np.int64))]
