"""Resizing: raw images prepared with every other method of resizing than the one that was used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.setup.slips import SLIPS, Slip
from edgekit.formats.metadata import Metadata
from edgekit.preprocess import Preprocessing
from edgekit.preprocess.images import Resize
from edgekit.preprocess.step import Floats, Shape, Step, floats

METHODS = ("nearest", "bilinear", "area")


@dataclass(frozen=True)
class Area(Step):
    """Resize images (batch, height, width, channels): each pixel is the mean of what it covers.

    That is OpenCV's ``INTER_AREA`` and TensorFlow's ``area``, of the same name; enlarging gives the
    nearest pixel where sizes divide.

    Attributes:
        height, width: of the result, in pixels.
    """

    height: int
    width: int

    name: ClassVar[str] = "resize_area"

    def apply(self, x: NDArray[Any]) -> Floats:
        rows = np.tensordot(_cover(x.shape[1], self.height), x, axes=(1, 1))
        columns = np.tensordot(_cover(x.shape[2], self.width), rows, axes=(1, 2))
        return floats(columns.transpose(2, 1, 0, 3))

    def output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.height, self.width, input_shape[3])


def _cover(size: int, wanted: int) -> NDArray[np.float64]:
    """Which share of each wanted pixel each pixel makes, (wanted, size); rows add up to 1."""
    edges = np.arange(wanted + 1) * (size / wanted)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    share = np.maximum(overlap, 0.0)
    whole: NDArray[np.float64] = share / share.sum(1, keepdims=True)
    return whole


def other_methods(metadata: Metadata) -> Iterator[tuple[str, Slip, Metadata]]:
    """The input, the slip, and the same preparation with another method, for each that could be."""
    for name, steps in metadata.preprocessing.items():
        for at, step in enumerate(steps.steps):
            if not isinstance(step, Resize):
                continue
            for method in METHODS:
                if method == step.method:
                    continue
                size = step.height, step.width
                other = Area(*size) if method == "area" else Resize(*size, method)
                changed = Preprocessing((*steps.steps[:at], other, *steps.steps[at + 1 :]))
                known = replace(metadata, preprocessing={**metadata.preprocessing, name: changed})
                yield name, SLIPS[f"resized_{method}"], known
