"""Decoder: what every way of reading a detector's outputs has, and how it is written down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.config import from_table
from edgekit.detection.boxes import Boxes, Numbers, suppress
from edgekit.errors import RecipeError, TensorError, nearest

# A decoder comes with a model file, and a file may ask for anything. These bound its cost.
_MAX_DETECTIONS = 1 << 12
_MAX_CANDIDATES = 1 << 14

DECODERS: dict[str, type[Decoder]] = {}
"""Every kind of decoder by its name."""


@dataclass(frozen=True)
class Decoder(ABC):
    """How the outputs of a detector become boxes.

    A subclass is a frozen dataclass that checks its values when it is made.

    Attributes:
        score_threshold: less sure answers are left out.
        iou_threshold: of two boxes of a class that overlap more (intersection over union), the surer
            stays; 1 keeps both, where the file has suppressed already.
        max_detections: in an image; the surest.
        class_agnostic: a box has one class, its likeliest, and boxes of different classes drive each
            other out. Otherwise a box counts for each class whose score reaches the threshold.
    """

    score_threshold: float = 0.25
    iou_threshold: float = 0.5
    max_detections: int = 100
    class_agnostic: bool = False

    kind: ClassVar[str]

    def __init_subclass__(cls) -> None:
        DECODERS[cls.kind] = cls

    def __post_init__(self) -> None:
        for key in ("score_threshold", "iou_threshold"):
            self._check(key, 0 <= getattr(self, key) <= 1, "a number from 0 to 1")
        most = self.max_detections
        valid = type(most) is int and 1 <= most <= _MAX_DETECTIONS
        self._check("max_detections", valid, f"1 to {_MAX_DETECTIONS}")

    def decode(self, outputs: Mapping[str, NDArray[Any]], height: int, width: int) -> list[Boxes]:
        """Boxes in the image that the model saw.

        Args:
            outputs: by name, float, batch axis first.
            height, width: of the model's input, in pixels.

        Returns:
            For each image its boxes, in pixels of the model's input, the surest first. Boxes and
            scores that are not finite are left out.

        Raises:
            TensorError: an output is missing or of a shape that the decoder does not read.
        """
        parts = self._read(outputs)
        return [
            self._boxes(coded, scores, height, width) for coded, scores in zip(*parts, strict=True)
        ]

    @abstractmethod
    def _read(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Checked: coded boxes (batch, boxes, 4), and scores (batch, boxes, classes)."""

    @abstractmethod
    def _corners(self, coded: Numbers, at: NDArray[np.intp], height: int, width: int) -> Numbers:
        """Corners in pixels of coded boxes (n, 4), which are those at `at` of all."""

    def _scores(self, raw: NDArray[Any]) -> Numbers:
        """Scores from 0 to 1 of what the output holds, (boxes, classes)."""
        return raw.astype(np.float64)

    def _boxes(self, coded: NDArray[Any], raw: NDArray[Any], height: int, width: int) -> Boxes:
        scores = self._scores(raw)
        at, classes, values = self._candidates(scores)
        with np.errstate(over="ignore", invalid="ignore"):
            corners = self._corners(coded[at].astype(np.float64), at, height, width)
        found = Boxes(corners, values, classes)
        # So far from any image that areas lose their meaning: a network that has gone astray.
        found = found[(np.abs(corners) < 1e9).all(axis=1)]
        return suppress(
            found, self.iou_threshold, self.max_detections, across_classes=self.class_agnostic
        )

    def _candidates(self, scores: Numbers) -> tuple[NDArray[np.intp], NDArray[np.intp], Numbers]:
        """Box, class and score of what reaches the threshold: of very many, the surest."""
        if self.class_agnostic and scores.shape[1]:
            best = scores.argmax(axis=1)
            at = np.flatnonzero(scores[np.arange(len(scores)), best] >= self.score_threshold)
            classes = best[at]
        else:
            at, classes = np.nonzero(scores >= self.score_threshold)
        values = scores[at, classes]
        order = np.argsort(-values, kind="stable")[:_MAX_CANDIDATES]
        order = order[np.isfinite(values[order])]
        return at[order], classes[order], values[order]

    @classmethod
    def from_json(cls, value: Any, where: str = "decoder") -> Decoder:
        """`decoder_from_json`."""
        return decoder_from_json(value, where)

    def to_json(self) -> dict[str, Any]:
        """``{"kind": ..., ...}``, which `decoder_from_json` reads."""
        return {"kind": self.kind, **asdict(self)}

    def _check(self, key: str, holds: bool, expected: str) -> None:
        if not holds:
            raise RecipeError(
                f"{self.kind}: {key}: received {getattr(self, key)!r:.80}, expected {expected}."
            )

    def _output(self, outputs: Mapping[str, NDArray[Any]], key: str) -> NDArray[Any]:
        """The output that the field `key` names; empty for the only one."""
        name = getattr(self, key)
        if not name and len(outputs) == 1:
            return next(iter(outputs.values()))
        if name not in outputs:
            raise TensorError(
                f"decoder {self.kind!r}: {key}: received {name!r:.80}, expected one of the outputs "
                f"{', '.join(map(repr, outputs))}.{nearest(name[:80], outputs)}"
            )
        return outputs[name]

    def _refuse(self, key: str, x: NDArray[Any], expected: str) -> TensorError:
        return TensorError(
            f"decoder {self.kind!r}: output of {key} has shape {list(x.shape)}, expected {expected}."
        )


def decoder_from_json(value: Any, where: str = "decoder") -> Decoder:
    """Read what `Decoder.to_json` gives; it need not be trusted.

    Raises:
        RecipeError: unknown kind or key (the nearest known one is named), unusable value.
    """
    if isinstance(value, Decoder):
        return value
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise RecipeError(f"{where}: received {value!r:.80}, expected a table with a key 'kind'.")
    kind = value["kind"]
    if kind not in DECODERS:
        raise RecipeError(
            f"{where}: unknown kind {kind!r:.80}, expected one of {', '.join(DECODERS)}."
            f"{nearest(kind[:80], DECODERS)}"
        )
    try:
        return from_table(DECODERS[kind], {k: v for k, v in value.items() if k != "kind"}, where)
    except OverflowError as error:
        raise RecipeError(f"{where}: received a number beyond all bounds.") from error
