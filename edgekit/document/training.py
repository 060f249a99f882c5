"""Training: what a training was and what it came to, as a document.

It lies here and not with those who train: the report reads it, and needs no TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypedDict

from edgekit.artifact import Sha256
from edgekit.document.record import UNWRITTEN, Count, Document, Fraction, NotNegative, Record, Text


@dataclass(frozen=True)
class TrainedModel(Record):
    """The Keras model that was saved.

    Attributes:
        path: the file's name alone.
        parameters: how many weights it has.
    """

    path: Text
    sha256: Sha256
    parameters: Count


@dataclass(frozen=True)
class SplitSizes(Record):
    """How many samples each part of the data had.

    Attributes:
        test: None without test samples.
    """

    train: Count
    validation: Count
    test: Count | None


class Epoch(TypedDict):
    """What every epoch's row has; None where a number is not finite or was not measured.

    Other metrics stand under their names, ``val_`` in front for the validation samples, and
    ``learning_rate`` at the epoch's end.

    Attributes:
        epoch: from 1.
        accuracy, val_accuracy: fractions.
    """

    epoch: Count
    loss: float | None
    accuracy: Fraction | None
    val_loss: float | None
    val_accuracy: Fraction | None
    seconds: NotNegative | None


Row = Annotated[dict[str, Any], ("properties", Epoch)]


@dataclass(frozen=True)
class Training(Document):
    """What a training was and what it came to.

    Attributes:
        recipe: its tables ``data``, ``model``, ``training`` and ``augmentation``.
        history: a row for each epoch.
        loss: name of the loss.
        monitor: the column of the history that decided which epoch was best.
        best_epoch: whose weights were kept, from 1; 0 where none was better than another.
        stopped: whether it ended early, because nothing got better.
        validation, test: loss and metrics of the saved model, by name; `test` is None without test
            samples.
        validation_accuracy, test_accuracy: fractions; None of what is no classification.
        seconds: in `fit`, all parts of a training that was taken up again added up.
        path: where the model was written; None where the document was read.
    """

    kind: ClassVar[str] = "training"
    computed: ClassVar[tuple[str, ...]] = ("validation_accuracy", "test_accuracy")

    model: TrainedModel
    recipe: dict[str, Any]
    splits: SplitSizes
    history: tuple[Row, ...]
    loss: str
    monitor: str
    best_epoch: Count
    stopped: bool
    validation: dict[str, float | None]
    test: dict[str, float | None] | None
    seconds: NotNegative
    path: Path | None = field(default=None, compare=False, metadata=UNWRITTEN)

    @property
    def validation_accuracy(self) -> Fraction | None:
        """On the validation samples, a fraction; None of what is no classification."""
        return self.validation.get("accuracy")

    @property
    def test_accuracy(self) -> Fraction | None:
        """On the test samples, a fraction; None without any, or of what is no classification."""
        return self.test.get("accuracy") if self.test else None
