"""Diff: two model files side by side, as a document.

It lies here and not with those who compare: the report reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from edgekit.artifact import Artifact
from edgekit.document.record import (
    LATER,
    Count,
    Document,
    Fraction,
    NotNegative,
    Positive,
    Record,
    Text,
)

EQUAL, DIFFERENT, OTHER_SHAPE, NONE, SCALED = STATES = (
    *("equal", "different", "other shape", "none", "scaled"),
)


@dataclass(frozen=True)
class OperatorCount(Record):
    """How often an operator occurs in each file, by the dtype that it computes in."""

    op: Text
    dtype: str
    first: Count
    second: Count


@dataclass(frozen=True)
class LayerDiff(Record):
    """An operator that both files have.

    Attributes:
        op: what it does, by TFLite's name.
        first, second: the tensor that it gives.
        first_dtype, second_dtype: that it computes in.
        grid: whether what it gives goes through the same scales and zero points in both.
        weights: whether its weights stand for the same float values; ``"none"`` without any; ``"scaled"`` where they do up
            to factors of channels that a layer behind takes back (equalisation), and up to rounding.
        weights_max_abs: the largest difference of two weights, in their unit; None where they have no
            common shape, or there are none.
        weights_sqnr_db: power of the first file's weights over that of the differences, in dB; None where
            they are equal.
        bias_max_abs: as `weights_max_abs`; of scaled weights all three are of what is left without the factors.
        factors: of scaled weights the least and the largest factor of its outputs; None of all others.
    """

    op: Text
    first: str
    second: str
    first_dtype: str
    second_dtype: str
    grid: bool
    weights: Annotated[str, ("enum", STATES)]
    weights_max_abs: NotNegative | None
    weights_sqnr_db: float | None
    bias_max_abs: NotNegative | None
    factors: tuple[float, float] | None = field(default=None, metadata=LATER)


@dataclass(frozen=True)
class OutputDiff(Record):
    """What both files answer.

    Attributes:
        equal: whether all answers are equal, bit by bit.
        max_abs: the largest difference, in the output's unit; None where one is not finite.
        sqnr_db: the first file's power over that of the differences, in dB; None where they are equal.
        agreement: share of samples to which both give the same class; None without classes.
    """

    name: str
    equal: bool
    max_abs: NotNegative | None
    sqnr_db: float | None
    agreement: Fraction | None


@dataclass(frozen=True)
class Diff(Document):
    """Two model files.

    Attributes:
        first, second: the files.
        same_bytes: whether they are one and the same.
        ends: how inputs and outputs differ, in words.
        operators: what they consist of.
        layers: operators that both have, in the order of the first.
        only_first, only_second: tensors of operators that the other does not have.
        samples: that both answered; None where neither was run.
        outputs: what they answered.
    """

    kind: ClassVar[str] = "diff"

    first: Artifact
    second: Artifact
    same_bytes: bool
    ends: tuple[str, ...]
    operators: tuple[OperatorCount, ...]
    layers: tuple[LayerDiff, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    samples: Positive | None
    outputs: tuple[OutputDiff, ...]

    @property
    def same_structure(self) -> bool:
        """Whether both have the same operators, inputs and outputs."""
        alone = self.only_first or self.only_second or self.ends
        return not alone and all(row.first == row.second for row in self.operators)

    @property
    def changed(self) -> tuple[LayerDiff, ...]:
        """Layers whose weights are others."""
        return tuple(row for row in self.layers if row.weights in (DIFFERENT, OTHER_SHAPE))
