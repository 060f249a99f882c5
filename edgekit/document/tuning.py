"""Tuning: a search for hyperparameters, as a document.

It lies here and not with those who search: the report reads it, and needs no TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from edgekit.artifact import Artifact
from edgekit.document.record import UNWRITTEN, Count, Document, Fraction, NotNegative, Record
from edgekit.document.training import TrainedModel
from edgekit.errors import DocumentError

MAXIMIZE, MINIMIZE = "maximize", "minimize"
COMPLETE, PRUNED, FAILED, LOST, RUNNING = "complete", "pruned", "failed", "lost", "running"

# What a trial can be judged by, and whether more of it is better.
OBJECTIVES = {"accuracy": True, "int8_accuracy": True, "size_bytes": False, "latency_ms": False}
ObjectiveName = Annotated[str, ("enum", tuple(OBJECTIVES))]


@dataclass(frozen=True)
class Objective(Record):
    """What is searched for."""

    name: ObjectiveName
    direction: Annotated[str, ("enum", (MAXIMIZE, MINIMIZE))]

    @classmethod
    def of(cls, name: str) -> Objective:
        """One of `OBJECTIVES`."""
        return cls(name, MAXIMIZE if OBJECTIVES[name] else MINIMIZE)


@dataclass(frozen=True)
class Between(Record):
    """A number of the recipe that is searched.

    Attributes:
        low, high: its ends.
        log: whether it is drawn evenly over its logarithm.
    """

    low: float
    high: float
    log: bool


@dataclass(frozen=True)
class OneOf(Record):
    """A value of the recipe that is one of several."""

    choices: Annotated[tuple[Any, ...], ("minItems", 1)]


@dataclass(frozen=True)
class Trial(Record):
    """One training of the search.

    Attributes:
        number: from 0.
        parameters: by dotted key of the recipe.
        values: by objective; None unless complete.
        validation_accuracy: after each epoch.
        reason: why it failed or was lost.
        model, files: what it made.
    """

    number: Count
    state: Annotated[str, ("enum", (COMPLETE, PRUNED, FAILED, LOST, RUNNING))]
    parameters: dict[str, Any]
    values: dict[ObjectiveName, float] | None
    validation_accuracy: tuple[Fraction | None, ...]
    reason: str | None
    seconds: NotNegative | None
    model: TrainedModel | None
    files: tuple[Artifact, ...]


@dataclass(frozen=True)
class Tuning(Document):
    """A search for hyperparameters, its trials and the best of them.

    Attributes:
        search: by dotted key of the recipe, what it may be.
        front: numbers of the trials that no other beats in every objective.
        folder: of the study; None where the document was read.

    Raises:
        DocumentError: a trial on the front is not there, or a trial lacks an objective's value.
    """

    kind: ClassVar[str] = "tuning"

    objectives: Annotated[tuple[Objective, ...], ("minItems", 1)]
    search: dict[str, Between | OneOf]
    seed: Count
    trials: tuple[Trial, ...]
    front: tuple[Count, ...]
    folder: Path | None = field(default=None, compare=False, metadata=UNWRITTEN)

    def __post_init__(self) -> None:
        wanted = [objective.name for objective in self.objectives]
        for trial in self.trials:
            lacking = [name for name in wanted if name not in trial.values] if trial.values else ()
            if lacking:
                raise DocumentError(
                    f"trial {trial.number}: has no value of the objective {lacking[0]!r}."
                )
        valued = {trial.number for trial in self.trials if trial.values}
        for number in self.front:
            if number not in valued:
                raise DocumentError(f"front: received trial {number}, which has no values.")

    @property
    def best(self) -> tuple[Trial, ...]:
        """The trials on the front; of a single objective, the best one."""
        chosen = set(self.front)
        return tuple(trial for trial in self.trials if trial.number in chosen)
