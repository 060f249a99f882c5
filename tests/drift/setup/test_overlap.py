"""Samples that served already, counted from a part of their hashes."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from edgekit.drift.setup.overlap import check_overlap
from edgekit.formats.seen import CALIBRATION, MARK_BYTES, MARKS, Seen


def mark(number: int) -> bytes:
    return number.to_bytes(MARK_BYTES, "big")


@given(st.integers(65, 5000), st.integers(2, MARKS - 1), st.integers(0, 1000))
def test_no_more_are_among_the_judged_than_are_judged(seen: int, found: int, others: int) -> None:
    marks = [mark(n) for n in range(MARKS)]
    text = base64.b64encode(b"".join(marks)).decode()
    judged = frozenset([*marks[:found], *(mark(MARKS + n) for n in range(others))])
    (finding,) = check_overlap(
        (Seen(purpose=CALIBRATION, count=seen, inputs={}, marks=text),),
        judged,
        len(judged),
        "file.tflite",
    )
    about = int(finding.sentence.split()[1])
    assert finding.sentence.startswith(f"About {about} of the {seen} samples")
    assert found <= about <= len(judged)
