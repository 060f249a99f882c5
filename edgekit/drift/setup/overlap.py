"""Overlap: whether samples that a file was made with are judged as well."""

from __future__ import annotations

from edgekit.drift.setup.finding import SAME_SAMPLES, WARNING, Finding
from edgekit.formats.seen import CALIBRATION, FINE_TUNING, TRAINING, Seen
from edgekit.samples.profile import marks_of

_FOUND, _SHARE = 2, 0.05

_SERVED = {
    TRAINING: "the training",
    CALIBRATION: "the calibration (ranges, rounding and bias correction)",
    FINE_TUNING: "the fine-tuning",
}


def check_overlap(
    seen: tuple[Seen, ...], judged: frozenset[bytes], count: int, file: str | None
) -> list[Finding]:
    """A finding for each purpose whose samples are among the judged ones.

    Args:
        seen: what the samples of the model or the file left.
        judged: the hashes of the judged samples.
        count: how many those are.
        file: whose `seen` it is; None for the reference's.
    """
    findings = []
    for each in seen:
        marks = marks_of(each)
        found = sum(mark in judged for mark in marks)
        share = found / len(marks) if marks else 0.0
        # One may be a blank picture, or silence.
        if found < _FOUND and share < _SHARE:
            continue
        if len(marks) == each.count:
            many = f"{found} of the {each.count} samples"
        elif found == len(marks):
            many = f"All of the {each.count} samples, or nearly all,"
        else:
            # An estimate from a part of the marks: no more than are judged.
            likely = min(count, max(found, round(share * each.count)))
            many = f"About {likely} of the {each.count} samples"
        findings.append(
            Finding(
                SAME_SAMPLES,
                WARNING,
                f"{many} of {_SERVED[each.purpose]} are among the {count} judged ones, on which the file does "
                "better than on others. Judge on samples that served for nothing else.",
                file=file,
            )
        )
    return findings
