"""DriftBudget: how much an exported model may change its answers, and the verdict on one."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edgekit.drift.golden import CLASSIFICATION, REGRESSION, Golden
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.drift.compare import Candidate

# From good to bad.
VERDICTS = ("none", "pass", "inconclusive", "fail")


def worst(verdicts: list[str]) -> str:
    """The worst of some verdicts: fail, then inconclusive, pass, none."""
    return max(verdicts, key=VERDICTS.index, default="none")


@dataclass(frozen=True)
class DriftBudget:
    """Limits; None where there is none.

    Attributes:
        max_accuracy_drop: reference accuracy minus candidate accuracy, a fraction.
        min_agreement: share of samples with the reference's top-1 class, a fraction.
        min_sqnr_db: signal to noise in decibel, of the worst output.

    Raises:
        UsageError: a limit is out of its range.
    """

    max_accuracy_drop: float | None = None
    min_agreement: float | None = None
    min_sqnr_db: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_accuracy_drop", "min_agreement"):
            value = getattr(self, name)
            # A fraction, so that nobody who means 1 % and writes 1 is told that all is well.
            if value is not None and not 0 <= value <= 1:
                raise UsageError(
                    f"{name}: received {value}, expected a fraction from 0 to 1 (1 % is 0.01)."
                )
        if self.min_sqnr_db is not None and not math.isfinite(self.min_sqnr_db):
            raise UsageError(f"min_sqnr_db: received {self.min_sqnr_db}, expected a finite number.")

    @property
    def is_empty(self) -> bool:
        return self == DriftBudget()

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

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

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
        if drop > limit:
            return "fail", f"The accuracy drop {drop:.6g} is above the limit {limit:.6g}."
        if high > limit:
            return "inconclusive", (
                f"The accuracy drop {drop:.6g} is inside the limit {limit:.6g}, but the sample is "
                f"too small to prove it: its 95 % interval is {high - low:.4g} wide, {low:.4g} "
                f"to {high:.4g}."
            )
        return "pass", (
            f"The accuracy drop {drop:.6g} and the upper end {high:.4g} of its 95 % interval are "
            f"inside the limit {limit:.6g}."
        )

    def _agreement(self, candidate: Candidate) -> tuple[str, str] | None:
        limit, value = self.min_agreement, candidate.agreement
        if limit is None or value is None:
            return None
        if value < limit:
            return "fail", f"The agreement {value:.6g} is below the limit {limit:.6g}."
        return "pass", f"The agreement {value:.6g} is inside the limit {limit:.6g}."

    def _sqnr(self, candidate: Candidate) -> tuple[str, str] | None:
        limit = self.min_sqnr_db
        if limit is None:
            return None
        output = candidate.worst_output
        value = output.sqnr_db
        if value is None:
            raise UsageError(f"min_sqnr_db: output {output.name!r} was not measured.")
        what = f"The SQNR {value:.6g} dB of output {output.name!r}"
        if value < limit:
            return "fail", f"{what} is below the limit {limit:.6g} dB."
        return "pass", f"{what}, the lowest, is inside the limit {limit:.6g} dB."
