"""Candidate: one model file's drift, output by output and for the task."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from numpy.typing import NDArray

from edgekit.artifact import Artifact
from edgekit.document.layer_errors import LayerErrors
from edgekit.document.record import LATER, NotNegative, Record
from edgekit.drift.channels import ChannelDrift
from edgekit.drift.evidence import Evidence
from edgekit.drift.figure import Figure
from edgekit.drift.task import TaskDrift
from edgekit.drift.verdict import Verdict
from edgekit.metrics.whole import Distances
from edgekit.runtime.runner import Backend


@dataclass(frozen=True)
class OutputDrift(Record):
    """The distance of one output from the reference's; all None where the output is not finite.

    Attributes:
        name: as the reference calls it.
        max_abs, rmse: in the output's unit.
        max_abs_rel: `max_abs` as a share of the reference's range; infinite, and None in documents,
            where the reference is constant and the answer is another.
        cosine: from -1 to 1.
        sqnr_db: infinite where `max_abs` is 0, the outputs being equal, and minus infinite where the
            reference is all zeros and the answer is not; None in documents.
        channels: one by one; None in documents of earlier versions.
    """

    computed: ClassVar[tuple[str, ...]] = ("finite", "identical")
    later: ClassVar[tuple[str, ...]] = computed

    name: str
    max_abs: NotNegative | None = None
    max_abs_rel: NotNegative | None = None
    rmse: NotNegative | None = None
    cosine: Annotated[float, ("minimum", -1), ("maximum", 1)] | None = None
    sqnr_db: float | None = None
    channels: ChannelDrift | None = field(default=None, metadata=LATER)

    @property
    def finite(self) -> bool:
        """Whether every answer is a number, so that there is something to measure."""
        return self.max_abs is not None

    @property
    def identical(self) -> bool:
        """Whether every answer is the reference's to the bit."""
        return self.max_abs == 0

    def figures(self, count: int) -> tuple[Figure, ...]:
        """What was measured of the output, on so many samples."""
        known = {"output": self.name, "count": count, "identical": self.identical}
        found = [
            Figure.of("sqnr_db", self.sqnr_db, **known),
            Figure.of("max_abs", self.max_abs, **known),
            Figure.of("output_rmse", self.rmse, **known),
        ]
        if (channels := self.channels) is not None:
            known["identical"] = channels.worst is None
            level = math.inf if channels.worst is None else channels.worst_db
            found.append(Figure.of("worst_channel_db", level, **known))
            del known["identical"]
            found.append(Figure.of("dead_channels", float(channels.dead_count), **known))
            found.append(Figure.of("clipped", channels.clipped, **known))
        return tuple(found)

    @classmethod
    def of(cls, name: str, reference: NDArray[Any], answer: NDArray[Any]) -> OutputDrift:
        """Measure `answer`, of the reference's shape and finite."""
        found = Distances.of(reference, answer)
        return cls(
            name=name,
            max_abs=found.max_abs,
            max_abs_rel=found.relative_max_abs,
            rmse=found.rmse,
            cosine=found.cosine,
            sqnr_db=found.sqnr_db,
            channels=ChannelDrift.of(reference, answer),
        )

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> OutputDrift:
        """JSON has no infinity: what is null beside a measured `max_abs` was infinite."""
        largest = values["max_abs"]
        if largest is not None:
            if values["max_abs_rel"] is None:
                values["max_abs_rel"] = math.inf
            if values["sqnr_db"] is None:
                values["sqnr_db"] = -math.inf if largest else math.inf
        return super().of_json(values)


@dataclass(frozen=True)
class Candidate(Record):
    """One model file's drift.

    Attributes:
        backend: what ran the file.
        outputs: in the order of the reference's.
        figures: every number that a budget may limit.
        verdict: ``none`` without a budget.
        reasons: a sentence for each limit that led to the verdict.
        warnings: what makes the comparison less than it seems.
        evidence: what a person looks at; None of documents that are older than it.
        layers: operator by operator beside the float file; None where that was not requested.
    """

    artifact: Artifact
    backend: Backend
    outputs: Annotated[tuple[OutputDrift, ...], ("minItems", 1)]
    task: TaskDrift
    verdict: Verdict = "none"
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = field(default=(), metadata=LATER)
    evidence: Evidence | None = field(default=None, metadata=LATER)
    layers: LayerErrors | None = field(default=None, metadata=LATER)

    @property
    def accuracy(self) -> float | None:
        """A fraction; None unless the golden is a classification."""
        return self.task.candidate

    @property
    def drop(self) -> float | None:
        """Reference accuracy minus this one's; None unless the golden is a classification."""
        return self.task.drop

    @property
    def agreement(self) -> float | None:
        """Share of samples with the reference's top-1 class; None without classes."""
        return self.task.agreement

    @property
    def worst_output(self) -> OutputDrift:
        """The output with the lowest SQNR; one that is not finite is the worst of all."""
        return min(
            self.outputs,
            key=lambda output: (
                output.sqnr_db is not None,
                0.0 if output.sqnr_db is None else output.sqnr_db,
            ),
        )

    @property
    def sqnr_db(self) -> float | None:
        """Of the worst output; None if that is not finite."""
        return self.worst_output.sqnr_db
