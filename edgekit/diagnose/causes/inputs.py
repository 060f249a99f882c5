"""Inputs: samples that the file takes otherwise than the original model does, and a reference that is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from edgekit.diagnose.decibels import noise
from edgekit.diagnose.network import Array
from edgekit.document.diagnosis import FAULT, Cause
from edgekit.drift.golden import Golden
from edgekit.drift.setup.finding import CHANCE, FAIL, SLIP
from edgekit.drift.setup.input_slips import input_slips
from edgekit.drift.setup.judged import check_reference

Ask = Callable[[Mapping[str, Array]], Mapping[str, Array]]

# Only files that lost this much are asked with slips taken back; and it has to leave a fraction of that.
_LOST, _LEFT = 1e-3, 0.2
_MOST = 128
_KINDS = {
    "channels_reversed": "input_swapped",
    **dict.fromkeys(
        ("upside_down", "mirrored", "half_turn", "turned_left", "turned_right", "backwards"),
        "input_transposed",
    ),
    "transposed": "input_transposed",
    "from_nchw": "input_transposed",
    "to_nchw": "input_transposed",
}


def kind_of(slip: str) -> str:
    """What kind of cause a slip is."""
    labelled = slip.startswith(("labels", "boxes", "decoder"))
    return "labels" if labelled else _KINDS.get(slip, "input_scaled")


def reference_causes(golden: Golden) -> Iterator[Cause]:
    """What makes the reference itself prove nothing."""
    probed = golden.setup.probed if golden.setup else None
    for finding in check_reference(golden):
        if finding.severity != FAIL or finding.kind not in (SLIP, CHANCE):
            continue
        slip = probed.slip if probed and finding.kind == SLIP and probed.slip else ""
        yield Cause(
            kind_of(slip) if slip else "reference",
            FAULT,
            "",
            "",
            finding.sentence,
            "Prepare the golden file's samples as in training, and make it anew: edgekit golden.",
            None,
            {f.name: f.value for f in finding.figures if f.value is not None},
        )


def file_slip(ask: Ask, inputs: Mapping[str, Array], expected: Mapping[str, Array]) -> Cause | None:
    """Whether the file answers as the original does if a usual slip is taken back at its input.

    A slip is chosen on one half of the samples and tested on the other.

    Args:
        ask: gives the file's answers, by the reference's names.
        inputs: the samples, under the file's names.
        expected: the original's answers to them.
    """
    count = min(_MOST, len(next(iter(inputs.values()))))
    given = {name: np.asarray(x[:count]) for name, x in inputs.items()}
    wanted = {name: x[:count] for name, x in expected.items()}
    half = count // 2
    before = _worst(wanted, ask(given), slice(half, count))
    if before < _LOST or half < 4:
        return None
    best = None
    for name, x in given.items():
        for slip, change in input_slips(x):
            changed = change(x).astype(x.dtype if x.dtype.kind == "f" else np.float32)
            answers = ask({**given, name: changed.astype(x.dtype)})
            chosen = _worst(wanted, answers, slice(0, half))
            if best is None or chosen < best[0]:
                best = chosen, slip, name, _worst(wanted, answers, slice(half, count))
    if best is None or best[3] > _LEFT * before:
        return None
    _, slip, name, after = best
    return Cause(
        kind_of(slip.name),
        FAULT,
        "",
        "",
        f"The file takes its input {name!r} in another way than the original: with {slip.what} it follows the original at "
        f"{_db(after)} dB in place of {_db(before)}, on {count - half} samples that did not choose this.",
        f"{slip.advice} Or convert the model again with its own preparation.",
        float(min(1.0, 1 - after / before)) if np.isfinite(before) else 1.0,
        {"before_db": _db(before), "after_db": _db(after)},
    )


def _worst(wanted: Mapping[str, Array], answers: Mapping[str, Array], part: slice) -> float:
    return max(
        (
            np.inf if (n := noise([x[part]], [answers[name][part]])) is None else n
            for name, x in wanted.items()
        ),
        default=np.inf,
    )


def _db(share: float) -> float:
    return float(round(-10 * np.log10(max(min(share, 1e12), 1e-12)), 1))
