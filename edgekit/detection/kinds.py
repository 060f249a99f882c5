"""The decoders: finished boxes, SSD's offsets from anchors, and YOLO's grids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.detection.boxes import Boxes, Numbers
from edgekit.detection.decoder import Decoder
from edgekit.errors import TensorError

_LAYOUTS = ("xyxy", "yxyx", "xywh", "cxcywh")
_ACTIVATIONS = ("none", "sigmoid", "softmax")
_CODINGS = ("pixels", "normalized", "grid", "distances")
_MAX_ANCHORS = 1 << 16
_MAX_CLASSES = 1 << 16


@dataclass(frozen=True)
class DecodedBoxes(Decoder):
    """Boxes that the file gives as such, like those of ``TFLite_Detection_PostProcess``.

    Attributes:
        boxes: the output of boxes (batch, boxes, 4); has to be named.
        scores: the output of scores: (batch, boxes) with `classes`, else (batch, boxes, classes); has to be named.
        classes: the output of class numbers (batch, boxes); empty where scores say it.
        count: the output of how many boxes of each image count, (batch,); empty for all.
        layout: ``"xyxy"`` and ``"yxyx"`` are corners, ``"xywh"`` the left upper corner and the size,
            ``"cxcywh"`` the centre and the size.
        normalized: from 0 to 1 of the image's size, not pixels.
    """

    boxes: str = ""
    scores: str = ""
    classes: str = ""
    count: str = ""
    layout: str = "xyxy"
    normalized: bool = True

    kind: ClassVar[str] = "boxes"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("layout", self.layout in _LAYOUTS, f"one of {', '.join(_LAYOUTS)}")
        for key in ("boxes", "scores"):
            self._check(key, bool(getattr(self, key)), "the name of an output")

    def _read(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        boxes, scores = _pair(self, outputs, 2 if self.classes else 3)
        if not self.classes:
            return boxes, _counted(self, outputs, scores)
        classes = self._output(outputs, "classes")
        if classes.shape != scores.shape:
            raise self._refuse("classes", classes, str(list(scores.shape)))
        known = np.isfinite(classes) & (classes >= 0) & (classes < _MAX_CLASSES)
        index = np.where(known, classes, 0).astype(np.intp)
        values = _counted(self, outputs, np.where(known, scores, np.nan))
        # Class and score side by side: a table of all classes would be mostly empty.
        return boxes, np.stack([values, index], axis=2)

    def _candidates(self, scores: Numbers) -> tuple[NDArray[np.intp], NDArray[np.intp], Numbers]:
        if not self.classes:
            return super()._candidates(scores)
        at, _, values = super()._candidates(scores[:, :1])
        return at, scores[at, 1].astype(np.intp), values

    def _corners(self, coded: Numbers, at: NDArray[np.intp], height: int, width: int) -> Numbers:  # noqa: ARG002
        corners = _corners(coded, self.layout)
        return corners * (width, height, width, height) if self.normalized else corners


@dataclass(frozen=True)
class Ssd(Decoder):
    """Offsets from anchors: Liu et al., "SSD: Single Shot MultiBox Detector", 2016.

    A coded box (ty, tx, th, tw) lies around ``anchor centre + t * variance * anchor size`` and is
    ``anchor size * exp(t * variance)`` large.

    Attributes:
        boxes: the output of coded boxes (batch, anchors, 4); has to be named.
        scores: the output of scores (batch, anchors, classes); has to be named.
        anchors: (centre y, centre x, height, width) each, from 0 to 1 of the image's size.
        variances: of the centre's y and x, and of height and width.
        xy_first: coded boxes are (tx, ty, tw, th).
        activation: ``"sigmoid"``, ``"softmax"`` or, of finished scores, ``"none"``.
        background: the first class is that of no object; the next one becomes class 0.
    """

    boxes: str = ""
    scores: str = ""
    anchors: tuple[tuple[float, ...], ...] = ()
    variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2)
    xy_first: bool = False
    activation: str = "sigmoid"
    background: bool = True

    kind: ClassVar[str] = "ssd"

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("boxes", "scores"):
            self._check(key, bool(getattr(self, key)), "the name of an output")
        known = self.activation in _ACTIVATIONS
        self._check("activation", known, f"one of {', '.join(_ACTIVATIONS)}")
        count = 1 <= len(self.anchors) <= _MAX_ANCHORS
        valid = count and all(len(a) == 4 and all(abs(v) < 1e6 for v in a) for a in self.anchors)
        expected = f"1 to {_MAX_ANCHORS} lists of centre y, centre x, height and width"
        self._check("anchors", valid, expected)
        four = len(self.variances) == 4 and all(0 < v < 1e6 for v in self.variances)
        self._check("variances", four, "4 positive numbers")

    def _read(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        boxes, scores = _pair(self, outputs, 3)
        if boxes.shape[1] != len(self.anchors):
            raise self._refuse("boxes", boxes, f"[batch, {len(self.anchors)}, 4], as the anchors")
        return boxes, scores

    def _scores(self, raw: NDArray[Any]) -> Numbers:
        return _activate(raw, self.activation)[:, int(self.background) :]

    def _corners(self, coded: Numbers, at: NDArray[np.intp], height: int, width: int) -> Numbers:
        if self.xy_first:
            coded = coded[:, [1, 0, 3, 2]]
        anchors = _table(self.anchors)[at]
        coded = coded * self.variances
        centres = anchors[:, :2] + coded[:, :2] * anchors[:, 2:]
        half = anchors[:, 2:] * np.exp(coded[:, 2:]) / 2
        found = np.concatenate([centres - half, centres + half], axis=1)[:, [1, 0, 3, 2]]
        return found * (width, height, width, height)


@dataclass(frozen=True)
class Yolo(Decoder):
    """One output that holds box, objectness (or not) and the classes' scores of each place.

    Attributes:
        output: of shape (batch, places, 4 + classes), or 5 + classes with `objectness`; empty for
            the only one.
        channels_first: it is (batch, 4 + classes, places), as YOLOv8 exports it.
        objectness: a score between box and classes multiplies theirs, as in YOLOv5 and YOLOX.
        coding: ``"pixels"`` and ``"normalized"`` are centre and size; ``"grid"`` is YOLOX's: centre
            from the cell's corner and logarithm of the size, in strides; ``"distances"`` those of
            the four edges, left, top, right, bottom, from the cell's middle, in strides.
        strides: for the last two, of the grids in the order of the places, each row by row.
        activation: of scores and objectness: ``"sigmoid"``, or ``"none"`` of finished scores.
    """

    output: str = ""
    channels_first: bool = False
    objectness: bool = False
    coding: str = "pixels"
    strides: tuple[int, ...] = ()
    activation: str = "none"

    kind: ClassVar[str] = "yolo"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("coding", self.coding in _CODINGS, f"one of {', '.join(_CODINGS)}")
        known = self.activation in _ACTIVATIONS[:2]
        self._check("activation", known, f"one of {', '.join(_ACTIVATIONS[:2])}")
        gridded = self.coding in _CODINGS[2:]
        valid = len(self.strides) <= 16 and all(1 <= s <= 1 << 16 for s in self.strides)
        valid = valid and bool(self.strides) == gridded
        expected = "1 to 16 positive numbers" if gridded else f"none, as coding is {self.coding!r}"
        self._check("strides", valid, expected)

    def _read(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        x = self._output(outputs, "output")
        first = 4 + int(self.objectness)
        axis = 1 if self.channels_first else 2
        if x.ndim != 3 or x.shape[axis] <= first:
            shape = ("batch", f"{first} + classes", "places")
            y = shape if self.channels_first else (shape[0], shape[2], shape[1])
            raise self._refuse("output", x, f"[{', '.join(y)}]")
        if self.channels_first:
            x = x.transpose(0, 2, 1)
        return x[:, :, :4], x[:, :, 4:]

    def _scores(self, raw: NDArray[Any]) -> Numbers:
        scores = _activate(raw, self.activation)
        return scores[:, 1:] * scores[:, :1] if self.objectness else scores

    def _boxes(self, coded: NDArray[Any], raw: NDArray[Any], height: int, width: int) -> Boxes:
        if self.strides:
            places = sum((height // s) * (width // s) for s in self.strides)
            if places != len(coded):
                raise TensorError(
                    f"decoder {self.kind!r}: received {len(coded)} places, expected {places}: the "
                    f"cells of strides {list(self.strides)} in {height} x {width} pixels."
                )
        return super()._boxes(coded, raw, height, width)

    def _corners(self, coded: Numbers, at: NDArray[np.intp], height: int, width: int) -> Numbers:
        if not self.strides:
            corners = _corners(coded, "cxcywh")
            whole = (width, height, width, height)
            return corners * whole if self.coding == "normalized" else corners
        cells = _cells(self.strides, height, width)[at]
        corner, stride = cells[:, :2], cells[:, 2:]
        if self.coding == "grid":
            centre, size = corner + coded[:, :2], np.exp(coded[:, 2:])
            return _corners(np.concatenate([centre, size], axis=1), "cxcywh") * stride
        middle = corner + 0.5
        edges = np.concatenate([middle - coded[:, :2], middle + coded[:, 2:]], axis=1)
        return edges * stride


def _pair(
    decoder: DecodedBoxes | Ssd, outputs: Mapping[str, NDArray[Any]], axes: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    boxes, scores = decoder._output(outputs, "boxes"), decoder._output(outputs, "scores")
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        raise decoder._refuse("boxes", boxes, "[batch, boxes, 4]")
    if scores.ndim != axes or scores.shape[:2] != boxes.shape[:2]:
        wanted = [*boxes.shape[:2], *["classes"] * (axes - 2)]
        raise decoder._refuse("scores", scores, f"[{', '.join(map(str, wanted))}]")
    return boxes, scores


def _counted(
    decoder: DecodedBoxes, outputs: Mapping[str, NDArray[Any]], scores: NDArray[Any]
) -> NDArray[Any]:
    """Scores, of boxes behind those that count NaN."""
    if not decoder.count:
        return scores
    count = decoder._output(outputs, "count")
    if count.size != len(scores):
        raise decoder._refuse("count", count, f"[{len(scores)}]")
    behind = np.arange(scores.shape[1]) >= count.reshape(-1, 1)
    return np.where(behind.reshape(*behind.shape, *[1] * (scores.ndim - 2)), np.nan, scores)


def _corners(boxes: Numbers, layout: str) -> Numbers:
    """Left, top, right and bottom of boxes (n, 4) as `layout` says."""
    first, second = boxes[:, :2], boxes[:, 2:]
    if layout == "yxyx":
        return boxes[:, [1, 0, 3, 2]]
    if layout == "xywh":
        return np.concatenate([first, first + second], axis=1)
    if layout == "cxcywh":
        return np.concatenate([first - second / 2, first + second / 2], axis=1)
    return boxes


def _activate(raw: NDArray[Any], activation: str) -> Numbers:
    x = raw.astype(np.float64)
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    if activation == "softmax":
        with np.errstate(invalid="ignore"):
            x = np.exp(x - x.max(axis=1, keepdims=True, initial=-np.inf))
            x /= x.sum(axis=1, keepdims=True)
    return x


@lru_cache(maxsize=4)
def _table(anchors: tuple[tuple[float, ...], ...]) -> Numbers:
    return np.asarray(anchors, np.float64)


@lru_cache(maxsize=8)
def _cells(strides: tuple[int, ...], height: int, width: int) -> Numbers:
    """Column, row and stride of each cell: (places, 3)."""
    grids = []
    for stride in strides:
        rows, columns = np.indices((height // stride, width // stride)).reshape(2, -1)
        grids.append(np.stack([columns, rows, np.full(len(rows), stride)], axis=1))
    return np.concatenate(grids).astype(np.float64)
