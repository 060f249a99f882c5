"""Diagnosis: whether a file is healthy, and what is wrong with it, as a document.

It lies here and not with those who look: the report reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from edgekit.artifact import Artifact
from edgekit.document.layer_errors import LayerErrors
from edgekit.document.record import Document, Fraction, Positive, Record, Text

HEALTHY, FAULTY, UNEXPLAINED = VERDICTS = ("healthy", "faulty", "unexplained")
FAULT, NOTE = SEVERITIES = ("fault", "note")
# What can be wrong: with the set-up, with the weights, with the ranges, with how the file is run.
KINDS = (
    *("input_scaled", "input_swapped", "input_transposed", "labels", "reference", "another_model"),
    *("weights_changed", "bias_changed", "bias_overflow", "dead_channels", "weights_per_tensor"),
    *("range_too_narrow", "range_too_wide", "saturating_add", "saturating_concat"),
    *("outlier_channel", "different_scales", "softmax_resolution"),
    *("not_finite", "operator", "kernel_path", "float_operator"),
)


@dataclass(frozen=True)
class Cause(Record):
    """One thing that is wrong.

    Attributes:
        kind: of `KINDS`.
        severity: ``"note"`` of what costs time and no answers.
        layer: of the Keras model, where it arises; empty of the whole file, or where nothing tells it.
        tensor: of the file; empty of the whole file.
        sentence: what was seen, with its numbers.
        cure: what to do.
        share: of the outputs' error, what the float file has with this fault alone; 1 at most; None where
            that was not measured.
        numbers: those of the sentence, by name.
    """

    kind: Annotated[str, ("enum", KINDS)]
    severity: Annotated[str, ("enum", SEVERITIES)]
    layer: str
    tensor: str
    sentence: Text
    cure: Text
    share: Fraction | None
    numbers: dict[str, float]


@dataclass(frozen=True)
class Diagnosis(Document):
    """What is wrong with a file.

    Attributes:
        file: the file.
        reference: path of the float file that it was held against, or of the model that one was made of; None
            without one.
        samples: how many the file ran on.
        verdict: ``"unexplained"`` where much is lost and no cause was found.
        output_db: of the worst output against the original model's answers: the variance of these over the
            mean square error; None where they are identical or not finite.
        agreement: share of samples to which the file gives the original's class; None without classes.
        causes: the one that explains most first.
        layers: operator by operator; None without a float file.
    """

    kind: ClassVar[str] = "diagnosis"

    file: Artifact
    reference: str | None
    samples: Positive
    verdict: Annotated[str, ("enum", VERDICTS)]
    output_db: float | None
    agreement: Fraction | None
    causes: tuple[Cause, ...]
    layers: LayerErrors | None

    @property
    def faults(self) -> tuple[Cause, ...]:
        """Causes that cost answers."""
        return tuple(cause for cause in self.causes if cause.severity == FAULT)
