"""The check of the set-up: what makes a comparison prove less than it seems, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.drift.drift import Drift
from edgekit.report.hashes import base_name


@dataclass(frozen=True)
class ShownFinding:
    """One finding.

    Attributes:
        about: the file's name; empty for the original and its samples.
        kind: such as ``"slip"``.
        severity: ``"fail"`` where the comparison proves nothing, else ``"warning"``.
    """

    about: str
    kind: str
    severity: str
    sentence: str

    @property
    def verdict(self) -> str:
        """What the page colours it as."""
        return "fail" if self.severity == "fail" else "inconclusive"


def findings(drifts: Sequence[Drift]) -> tuple[ShownFinding, ...]:
    """Those of every comparison, each once, what proves nothing first."""
    found = []
    for drift in drifts:
        # Documents of older comparisons know no set-up.
        setup = drift.setup
        found += [
            ShownFinding(
                base_name(each.file) if each.file else "",
                each.kind.replace("_", " "),
                each.severity,
                each.sentence,
            )
            for each in (setup.findings if setup else ())
        ]
    return tuple(sorted(dict.fromkeys(found), key=lambda each: each.severity != "fail"))
