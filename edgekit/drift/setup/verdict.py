"""Verdict: what a set-up makes of a file's verdict."""

from __future__ import annotations

from dataclasses import replace

from edgekit.drift.candidate import Candidate
from edgekit.drift.setup.finding import Finding, Setup


def with_setup(candidate: Candidate, setup: Setup, *, allow: bool = False) -> Candidate:
    """A candidate that fails where the set-up proves nothing, and is told what else was found.

    Args:
        candidate: judged by the budget.
        setup: what was found.
        allow: let what proves nothing be a warning.
    """
    file = candidate.artifact.file
    failures = tuple(_reason(finding) for finding in setup.failures(file))
    warnings = tuple(finding.sentence for finding in setup.warnings(file))
    if allow:
        return replace(candidate, warnings=(*candidate.warnings, *failures, *warnings))
    candidate = replace(candidate, warnings=(*candidate.warnings, *warnings))
    if not failures:
        return candidate
    return replace(candidate, verdict="fail", reasons=(*failures, *_kept(candidate)))


def _reason(finding: Finding) -> str:
    """The sentence; of the reference, which all files share, that there is one."""
    if finding.file is not None:
        return f"set-up: {finding.sentence}"
    return f"set-up: the reference proves nothing ({finding.kind.replace('_', ' ')}, see there)."


def _kept(candidate: Candidate) -> tuple[str, ...]:
    """What led to the verdict, if that was fail before."""
    return candidate.reasons if candidate.verdict == "fail" else ()
