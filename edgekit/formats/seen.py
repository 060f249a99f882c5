"""Seen: the samples that a model was trained with or a file was made with, in a few numbers.

They go with the file, so that wherever it is judged one can tell whether the judged samples look like
those, and whether they are the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgekit.document.record import Count, Fraction, NotNegative, Positive, Record

TRAINING, CALIBRATION, FINE_TUNING = PURPOSES = ("training", "calibration", "fine-tuning")

# Samples by their hashes, drawn at random: which share of them is found among others says which share of
# all is. 64 show an overlap of one in twenty with 96 % certainty, for half a kilobyte in the file.
MARKS = 64
# Of a sample; in base 64, eight characters a hash.
MARK_BYTES = 6
_MARKS = f"^([A-Za-z0-9+/]{{8}}){{0,{MARKS}}}$"


@dataclass(frozen=True)
class InputProfile(Record):
    """What the samples of one input look like.

    Attributes:
        count: samples that this rests on, drawn from all.
        shape: of a sample, without the batch axis.
        minimum, maximum, mean, std: of all values.
        features: means over the samples of what `edgekit.samples.profile` measures of each.
        spread: standard deviations over the samples, for each of `features`.
    """

    count: Positive
    shape: tuple[Count, ...]
    minimum: float
    maximum: float
    mean: float
    std: NotNegative
    features: tuple[float, ...]
    spread: tuple[NotNegative, ...]


@dataclass(frozen=True)
class Seen(Record):
    """Samples that a model or a file was made with.

    Attributes:
        purpose: what they served for; ``calibration`` is for ranges, rounding and bias correction.
        count: how many there were.
        inputs: by the model's input names.
        marks: the hashes of up to 64 of them, in base 64, eight characters a hash.
        accuracy: of a training, on samples that it did not learn from; None where none was measured.
        accuracy_count: on how many.
    """

    purpose: Annotated[str, ("enum", PURPOSES)]
    count: Positive
    inputs: dict[str, InputProfile]
    marks: Annotated[str, ("pattern", _MARKS)] = ""
    accuracy: Fraction | None = None
    accuracy_count: Positive | None = None
