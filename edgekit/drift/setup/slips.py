"""Slips: the usual ways to hand samples or labels over wrongly, each with what takes it back.

They are few on purpose. Of any hundred ways to rearrange something, one is better than none by luck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
    """

    name: str
    what: str
    advice: str


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
SLIPS: dict[str, Slip] = {
    slip.name: slip
    for slip in (
        *(slip for slip, _, _ in _SCALES),
        *(_CHANNELS, _TRANSPOSED, _FROM_NCHW, _TO_NCHW),
        *_RESIZED.values(),
        *_LABELS.values(),
    )
}


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
