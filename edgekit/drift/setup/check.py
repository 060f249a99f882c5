"""Check: all that is found about the set-up of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.drift.golden import Golden
from edgekit.drift.limit import Limit
from edgekit.drift.setup.asked import Asked
from edgekit.drift.setup.file import check_file
from edgekit.drift.setup.finding import AGREEMENT, CALIBRATION, GAIN, SLIP, STATISTICS, Setup
from edgekit.drift.setup.judged import check_reference
from edgekit.drift.setup.limits import check_limits_tell
from edgekit.drift.setup.overlap import check_overlap
from edgekit.formats.seen import TRAINING
from edgekit.samples.profile import hashes_of

# What is found about a file because of the samples.
_OF_SAMPLES = (CALIBRATION, STATISTICS, GAIN, AGREEMENT)


def check_setup(golden: Golden, files: Sequence[Asked], limits: Sequence[Limit] = ()) -> Setup:
    """Judge the reference and its samples, then what each file has to do with them.

    Args:
        golden: the reference's answers, and what was found out when it was made.
        files: what each file says about itself, and answers to some of the samples.
        limits: what the files are judged by.
    """
    findings = [*check_reference(golden), *check_limits_tell(golden, limits)]
    known = golden.setup is not None and bool(golden.setup.seen)
    probed = None if golden.setup is None else golden.setup.probed
    served = {
        each.file: tuple(s for s in each.metadata.seen if not (known and s.purpose == TRAINING))
        for each in files
    }
    judged = frozenset(hashes_of(golden.samples)) if any(served.values()) else frozenset()
    of_inputs = probed is not None and probed.input is not None
    slipped = of_inputs and any(finding.kind == SLIP for finding in findings)
    for each in files:
        found = check_file(golden, each)
        # What a slip of the samples does to a file is explained by it.
        findings += [f for f in found if not (slipped and f.kind in _OF_SAMPLES)]
        findings += check_overlap(served[each.file], judged, len(golden.samples), each.file)
    return Setup(tuple(findings))
