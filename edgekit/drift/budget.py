"""DriftBudget: limits on what was measured of an exported model, and the verdict on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from edgekit.document.record import LATER, Fraction, Record
from edgekit.drift.candidate import Candidate
from edgekit.drift.columns import CLASS
from edgekit.drift.figure import MEASURED_BY_BENCH
from edgekit.drift.golden import Golden
from edgekit.drift.limit import Limit
from edgekit.drift.measurable import check_limits
from edgekit.drift.verdict import Finding, judge, worst
from edgekit.errors import UsageError
from edgekit.shares import Share, per_cent_meant
from edgekit.tasks import CLASSIFICATION, MULTI_LABEL, SEGMENTATION, UNLABELLED

# Tasks whose decisions agree with the original's or not.
_AGREEING = (CLASSIFICATION, MULTI_LABEL, SEGMENTATION, UNLABELLED)
# A drop that nobody allows: above it, a number was meant in per cent.
_MUCH = 0.2


@dataclass(frozen=True)
class DriftBudget(Record):
    """Limits; None where there is none.

    Attributes:
        max_accuracy_drop: reference accuracy minus candidate accuracy, a share: 0.01 is one point.
            A number above 0.2 was most likely meant in per cent and is refused, but for a `Share`.
        min_agreement: the samples with the reference's top-1 class, a share.
        min_sqnr_db: signal to noise in decibel, of every output.
        limits: on any other figure.

    Raises:
        UsageError: a limit is out of its range, or looks like one in per cent.
    """

    max_accuracy_drop: Fraction | None = None
    min_agreement: Fraction | None = None
    min_sqnr_db: float | None = None
    limits: tuple[Limit, ...] = field(default=(), metadata=LATER)

    def __post_init__(self) -> None:
        for name in ("max_accuracy_drop", "min_agreement", "min_sqnr_db"):
            _check_number(name, getattr(self, name))
        drop, agreement = self.max_accuracy_drop, self.min_agreement
        if drop is not None and drop > _MUCH and (asked := per_cent_meant(drop)):
            raise UsageError(
                f"max_accuracy_drop: received {drop:g}, which is {100 * drop:g} points{asked}"
            )
        if drop is not None and not 0 <= drop <= 1:
            raise UsageError(
                f"max_accuracy_drop: received {drop}, expected a share from 0 to 1, such as 0.01."
            )
        if agreement is not None and not 0 <= agreement <= 1:
            asked = per_cent_meant(agreement) if agreement > 1 else ""
            raise UsageError(
                f"min_agreement: received {agreement:g}, expected a share from 0 to 1{asked or '.'}"
            )
        if self.min_sqnr_db is not None and not math.isfinite(self.min_sqnr_db):
            raise UsageError(f"min_sqnr_db: received {self.min_sqnr_db}, expected a finite number.")
        for limit in self.limits:
            if not isinstance(limit, Limit):
                raise UsageError(
                    f"limits: received {limit!r} ({type(limit).__name__}), expected an edgekit.Limit."
                )

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> DriftBudget:
        """As `Record.of_json`: a document's number is a share beyond doubt."""
        drop = values["max_accuracy_drop"]
        return cls(**{**values, "max_accuracy_drop": None if drop is None else Share(drop)})

    @property
    def all_limits(self) -> tuple[Limit, ...]:
        """Every limit that is set, the named ones first."""
        named = []
        if self.max_accuracy_drop is not None:
            named.append(Limit("accuracy_drop", at_most=self.max_accuracy_drop))
        if self.min_agreement is not None:
            named.append(Limit("agreement", at_least=self.min_agreement))
        if self.min_sqnr_db is not None:
            named.append(Limit("sqnr_db", at_least=self.min_sqnr_db))
        return (*named, *self.limits)

    @property
    def words(self) -> list[str]:
        """Each limit that is set: ``"accuracy drop at most 1.00 pt"``."""
        return [limit.words for limit in self.all_limits]

    @property
    def columns(self) -> list[str]:
        """The columns of metadata that a limit needs: of ``light`` for ``accuracy[light=dark]>=0.9``."""
        named = (limit.group.partition("=")[0] for limit in self.limits)
        return [name for name in dict.fromkeys(named) if name not in ("", CLASS)]

    def check(self, golden: Golden) -> None:
        """Ask this before the work: can every limit be judged with `golden`?

        Raises:
            UsageError: a limit needs labels or an output with classes, and there are none; an output
                that the golden does not have; or a figure that its task does not have.
        """
        each = golden.each()
        classified = any(one.task_output and one.task in _AGREEING for one in each)
        labelled = any(one.task == CLASSIFICATION for one in each)
        for limit in self.all_limits:
            _require(limit.figure, labelled, classified)
            if limit.output not in (None, *golden.outputs):
                raise UsageError(
                    f"limit of {limit.figure!r}: received output {limit.output!r}, expected one of "
                    f"{', '.join(map(repr, golden.outputs))}."
                )
        check_limits(golden, self.all_limits, self.columns)

    def judge(self, candidate: Candidate) -> tuple[str, list[str]]:
        """The verdict on a candidate, and a sentence for each limit that led to it.

        ``"pass"``: every limit holds over the whole of its figure's 95 % interval. ``"fail"``: one is
        broken over the whole of it. ``"inconclusive"``: neither, so that the samples are too few.
        ``"none"``: there is no limit.

        Raises:
            UsageError: a limit cannot be judged, because there is no such figure.
        """
        figures, findings = candidate.figures, list[Finding]()
        for limit in self.all_limits:
            concerned = [f for f in figures if limit.concerns(f.name, f.output, f.group)]
            if not concerned:
                groups = sorted({f.group for f in figures if f.name == limit.figure and f.group})
                known = sorted({f.name for f in figures})
                _require(limit.figure, bool(groups), bool(groups))
                if limit.figure not in known and limit.figure in MEASURED_BY_BENCH:
                    raise UsageError(
                        f"limit of {limit.figure!r}: no benchmark of this file was given. Time it with "
                        "'edgekit bench --json bench.json', and give that file: --timings."
                    )
                if limit.figure == "decision_changes" and not groups:
                    raise UsageError(
                        "limit of 'decision_changes': received no score at which the device decides, expected one: "
                        "--threshold 0.8 (thresholds=0.8), of an output that classifies."
                    )
                raise UsageError(
                    f"limit of {limit.words}: not measured "
                    + (f"there, only for {', '.join(groups)}." if groups else "of this file.")
                    + ("" if groups else f" Measured are {', '.join(known)}.")
                )
            found = [judge(limit, figure) for figure in concerned]
            gravest = worst([each.verdict for each in found])
            # Of several outputs or classes that keep a limit, the one nearest to it speaks for all.
            said = [each for each in found if each.verdict == gravest]
            if gravest == "pass" and len(said) > 1:
                nearest = min(
                    concerned,
                    key=lambda f: (f.value or 0.0) * (1 if limit.at_most is None else -1),
                )
                said = [judge(limit, nearest)]
            findings += said
        verdict = worst([each.verdict for each in findings])
        return verdict, [each.reason for each in findings if each.verdict == verdict]


def _require(figure: str, accuracy: bool, classes: bool) -> None:
    if figure in ("accuracy", "accuracy_drop") and not accuracy:
        raise UsageError(
            f"limit of {figure!r}: the samples have no labels that number classes, so there is no "
            "accuracy to judge. Give samples with class labels 'y', or drop the limit."
        )
    if figure == "agreement" and not classes:
        raise UsageError(
            "limit of 'agreement': no output of the model has classes, so there is no top-1 to "
            "judge. Limit the SQNR instead."
        )


def _check_number(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
        raise UsageError(f"{name}: received {value!r} ({type(value).__name__}), expected a number.")
