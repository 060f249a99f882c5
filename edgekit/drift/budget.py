"""DriftBudget: how much an exported model may change its answers, and the verdict on one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from edgekit.document.record import Fraction, Record
from edgekit.drift.answers import CLASSIFICATION, REGRESSION
from edgekit.drift.candidate import VERDICTS, Candidate
from edgekit.drift.golden import Golden
from edgekit.errors import UsageError
from edgekit.shares import Share, hundredths, per_cent_meant

# A drop that nobody allows: above it, a number was meant in per cent.
_MUCH = 0.2


def worst(verdicts: list[str]) -> str:
    """The worst of some verdicts: fail, then inconclusive, pass, none."""
    return max(verdicts, key=VERDICTS.index, default="none")


@dataclass(frozen=True)
class DriftBudget(Record):
    """Limits; None where there is none.

    Attributes:
        max_accuracy_drop: reference accuracy minus candidate accuracy, a share: 0.01 is one point.
            A number above 0.2 was most likely meant in per cent and is refused, but for a `Share`.
        min_agreement: the samples with the reference's top-1 class, a share.
        min_sqnr_db: signal to noise in decibel, of the worst output.

    Raises:
        UsageError: a limit is out of its range, or looks like one in per cent.
    """

    max_accuracy_drop: Fraction | None = None
    min_agreement: Fraction | None = None
    min_sqnr_db: float | None = None

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

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> DriftBudget:
        """As `Record.of_json`: a document's number is a share beyond doubt."""
        drop = values["max_accuracy_drop"]
        return cls(**{**values, "max_accuracy_drop": None if drop is None else Share(drop)})

    @property
    def limits(self) -> list[str]:
        """Each limit that is set, in words: ``"accuracy drop at most 1.00 pt"``."""
        lines = []
        if self.max_accuracy_drop is not None:
            lines.append(f"accuracy drop at most {hundredths(self.max_accuracy_drop)} pt")
        if self.min_agreement is not None:
            lines.append(f"agreement at least {hundredths(self.min_agreement)} %")
        if self.min_sqnr_db is not None:
            lines.append(f"SQNR at least {self.min_sqnr_db:g} dB")
        return lines

    def check(self, golden: Golden) -> None:
        """Ask this before the work: can every limit be judged with `golden`?

        Raises:
            UsageError: a limit needs labels or an output with classes, and there are none.
        """
        classified = golden.task_output is not None and golden.task != REGRESSION
        self._require(golden.task == CLASSIFICATION, classified)

    def judge(self, candidate: Candidate) -> tuple[str, list[str]]:
        """The verdict, and a sentence for each limit that led to it.

        ``"fail"``: a measured value breaks its limit. ``"inconclusive"``: none does, but the
        accuracy drop's 95 % interval reaches beyond its limit, so the samples are too few to prove
        it. ``"pass"``: neither. ``"none"``: there is no limit.

        Raises:
            UsageError: a limit cannot be judged, because the candidate has no such measurement.
        """
        self._require(candidate.drop is not None, candidate.agreement is not None)
        findings = [
            finding
            for finding in (
                self._accuracy_drop(candidate),
                self._agreement(candidate),
                self._sqnr(candidate),
            )
            if finding is not None
        ]
        verdict = worst([level for level, _ in findings])
        return verdict, [sentence for level, sentence in findings if level == verdict]

    def _require(self, accuracy: bool, agreement: bool) -> None:
        if self.max_accuracy_drop is not None and not accuracy:
            raise UsageError(
                "max_accuracy_drop: the golden has no labels that number classes, so there is no "
                "accuracy to judge. Make it from samples with class labels 'y', or drop the limit."
            )
        if self.min_agreement is not None and not agreement:
            raise UsageError(
                "min_agreement: no output of the golden has classes, so there is no top-1 to "
                "judge. Limit min_sqnr_db instead."
            )

    def _accuracy_drop(self, candidate: Candidate) -> tuple[str, str] | None:
        limit, drop, interval = self.max_accuracy_drop, candidate.drop, candidate.task.drop_ci95
        if limit is None or drop is None or interval is None:
            return None
        low, high = interval
        lost, allowed = f"{100 * drop:.6g} pt", f"{100 * limit:.6g} pt"
        if drop > limit:
            return "fail", f"The accuracy drop of {lost} is above the limit of {allowed}."
        if high > limit:
            return "inconclusive", (
                f"The accuracy drop of {lost} is within the limit of {allowed}, but the samples are "
                f"too few to prove it: its 95 % interval is {100 * (high - low):.4g} pt wide, from "
                f"{100 * low:.4g} to {100 * high:.4g} pt."
            )
        return "pass", (
            f"The accuracy drop of {lost} and the upper end of its 95 % interval, {100 * high:.4g} pt, "
            f"are within the limit of {allowed}."
        )

    def _agreement(self, candidate: Candidate) -> tuple[str, str] | None:
        limit, value = self.min_agreement, candidate.agreement
        if limit is None or value is None:
            return None
        what = f"The agreement of {100 * value:.6g} %"
        if value < limit:
            return "fail", f"{what} is below the limit of {100 * limit:.6g} %."
        return "pass", f"{what} is within the limit of {100 * limit:.6g} %."

    def _sqnr(self, candidate: Candidate) -> tuple[str, str] | None:
        limit = self.min_sqnr_db
        if limit is None:
            return None
        output = candidate.worst_output
        value = output.sqnr_db
        if value is None:
            raise UsageError(f"min_sqnr_db: output {output.name!r} was not measured.")
        what = f"The SQNR of {value:.6g} dB of output {output.name!r}"
        if value < limit:
            return "fail", f"{what} is below the limit of {limit:.6g} dB."
        return "pass", f"{what}, the lowest, is within the limit of {limit:.6g} dB."


def _check_number(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
        raise UsageError(f"{name}: received {value!r} ({type(value).__name__}), expected a number.")
