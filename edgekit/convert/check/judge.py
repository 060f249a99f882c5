"""Judge: whether a file follows its model, what to warn of, and which files are not handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.convert.check.ends import INTEGERS, SIGMOID, SOFTMAX, VALUES, End
from edgekit.convert.check.reference import Reference
from edgekit.convert.check.run import Answers
from edgekit.manifest import Check, OutputCheck
from edgekit.metrics import fidelity
from edgekit.metrics.runs import by_run, other_axes

# Of the output's range, what a float file may differ by: float32 by rounding in another order, float16
# by eleven bits a value (docs/explanation/check.md).
FLOAT_LIMITS = {"float32": 1e-4, "float16": 5e-2}
# What a layer of such a file follows the model at, in decibel, where it is not to blame.
_FLOAT_DB = {"float32": 70.0, "float16": 35.0}
# A float32 file may also differ by so many times what the model differs from itself.
_NUDGES = 3
# Decibel: below the first an output is warned of, below the second the file is not made.
WARNED_DB, REFUSED_DB = 15.0, 5.0
# Shares of arg-maxes or integers that are kept.
_WARNED_KEPT, _REFUSED_KEPT = 0.75, 0.5
# And of a float32 file's integers: of a million pixels' classes some few are ties, which rounding decides.
_FLOAT_KEPT = 0.999
_LISTED = 20
# By so much of its own size a number may differ in any case: this many times float32's last bit.
_LAST_BITS = 2


@dataclass(frozen=True)
class Verdict:
    """What the check of one file comes to.

    Attributes:
        check: the figures.
        faults: for each output that keeps the file from being handed over, why.
        warnings: for each output that is worth a word, that word.
        least_db: what a layer has to follow the model at that is not to blame.
    """

    check: Check
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    least_db: float = WARNED_DB


def judge(scheme: str, reference: Reference, answers: Answers) -> Verdict:
    """Hold a file's answers against the model's.

    Args:
        scheme: of the file, as in `edgekit.artifact.SCHEMES`.
        reference: the model's answers.
        answers: the file's, to the same samples.
    """
    rows = [
        figures(
            name,
            answers.ends[name],
            expected,
            answers.outputs[name],
            answers.logits.get(name),
            tells_logits=not reference.rounds,
        )
        for name, expected in reference.answers.items()
    ]
    is_float = scheme in FLOAT_LIMITS and not reference.rounds
    faults, warnings = [], []
    for row in rows:
        if is_float:
            fault, warning = _of_float(row, scheme, reference), ""
            if scheme == "float16" and row.kind == VALUES and not fault:
                # Half precision near 50 has steps of 0.03, which may be more than a channel moves by: for
                # the samples at hand, which others may go beyond.
                warning = "; ".join(filter(None, _of_integers(row)))
        else:
            fault, warning = _of_integers(row)
            if row.kind == VALUES and not (fault or warning):
                part = _lost_part(reference.answers[row.output], answers.outputs[row.output])
                warning = f"output {row.output!r}: {part}" if part else ""
            if scheme in FLOAT_LIMITS:
                # What the model cuts and rounds, its float file leaves: another answer, and no wrong one.
                fault, warning = "", fault or warning
        faults += [fault] if fault else []
        warnings += [warning] if warning else []
    if answers.modes_differ:
        warnings.append(
            "answers otherwise in onnxruntime's fast mode than in its exact one: other programs than "
            "edgekit get other answers from it on x86 processors without VNNI"
        )
    check = Check(len(reference.samples), reference.origin, answers.kernels, tuple(rows))
    least = _FLOAT_DB[scheme] if is_float else WARNED_DB
    return Verdict(check, tuple(faults), tuple(warnings), least)


def hangs_on_batch(reference: Reference, batch: int) -> bool:
    """Whether the model answers otherwise with `batch` samples at a time: the others of a batch count,
    as where its statistics normalise."""
    return _differ(reference.answers, reference.of_batch(batch).answers)


def is_random(reference: Reference) -> bool:
    """Whether the model answers otherwise when it is asked the same again."""
    return _differ(reference.answers, reference.again)


def _differ(answers: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[Any]]) -> bool:
    return any(
        (max_error(expected, others[name]) or 0.0) > FLOAT_LIMITS["float32"]
        for name, expected in answers.items()
    )


def figures(
    name: str,
    end: End,
    expected: NDArray[np.generic],
    found: NDArray[np.generic],
    logits: NDArray[np.generic] | None = None,
    *,
    tells_logits: bool = True,
) -> OutputCheck:
    """How one output follows the model's.

    Args:
        name: of the output.
        end: what it is made of in the file.
        expected: the model's answers, samples first.
        found: the file's, of the same shape.
        logits: what goes into the file's softmax or sigmoid, where the output is rounded.
        tells_logits: whether the model's probabilities do so: those that it rounds itself do not, and
            are judged as they are.
    """
    if expected.dtype.kind not in "fc" or found.shape != expected.shape:
        same = expected.shape == found.shape
        equal = fidelity.kept_share(expected, found) if same else 0.0
        return OutputCheck(
            name,
            INTEGERS,
            1.0 - equal if same else None,
            _db_of_amounts(expected, found) if same else None,
            equal,
        )
    ref, cand, step = expected, found, end.step
    # A softmax over another axis than the last, or in another shape since, is values like others.
    is_softmax = end.kind == SOFTMAX and fidelity.sums_to_one(expected)
    kind = VALUES if end.kind == SOFTMAX and not is_softmax else end.kind
    kept: float | None = None
    if kind in _TO_LOGITS:
        kept = fidelity.kept_share(
            fidelity.decisions(expected, kind), fidelity.decisions(found, kind)
        )
    if kind in _TO_LOGITS and tells_logits:
        of_probabilities, of_logits = _TO_LOGITS[kind]
        ref = of_probabilities(expected)
        shaped = None if logits is None else logits.reshape(found.shape)
        cand = of_probabilities(found) if shaped is None else of_logits(shaped)
        step = end.logits_step
    dead = fidelity.dead_channels(ref, cand, step)
    db = fidelity.ratio_db(fidelity.channel_noise(ref, cand, step))
    return OutputCheck(
        name,
        kind,
        max_error(expected, found),
        None if np.isinf(db) else db,
        kept,
        fidelity.by_channel(ref).shape[-1],
        tuple(dead[:_LISTED].tolist()),
        len(dead),
    )


_TO_LOGITS = {
    SOFTMAX: (fidelity.softmax_logits, fidelity.centred_logits),
    SIGMOID: (fidelity.sigmoid_logits, fidelity.cut_logits),
}


def _db_of_amounts(expected: NDArray[np.generic], found: NDArray[np.generic]) -> float | None:
    """How integers that are amounts follow the model's, in decibel; None where they do not, as numbers of classes.

    Pixels are a step or two off in most places when they are rounded twice, and none the worse for it. Where
    another class is found instead, its number is any other.
    """
    if expected.dtype.kind not in "iu" or not expected.size:
        return None
    db = fidelity.ratio_db(fidelity.channel_noise(expected, found, 1.0))
    return db if WARNED_DB <= db < np.inf else None


def max_error(expected: NDArray[np.generic], found: NDArray[np.generic]) -> float | None:
    """The largest difference over the range of `expected`; None where only one of both is finite.

    An output that is constant has its own size for a range, and zeros have 1. Texts differ or do not: the share
    of those that do.
    """
    if expected.dtype.kind not in "biufc":
        return 1.0 - fidelity.kept_share(expected, found)
    ref, cand = expected.astype(np.float64), found.astype(np.float64)
    # Infinity where the model gives infinity is no difference.
    alike = (ref == cand) | (np.isnan(ref) & np.isnan(cand))
    ref, cand = np.where(alike, 0.0, ref), np.where(alike, 0.0, cand)
    if not (np.isfinite(ref).all() and np.isfinite(cand).all()):
        return None
    finite = expected[np.isfinite(expected)].astype(np.float64)
    if not finite.size:
        return 0.0
    span = float(np.ptp(finite)) or float(np.abs(finite).max()) or 1.0
    # Of a number near 100,000, float32's last bit alone is 0.008.
    least = _LAST_BITS * float(np.finfo(np.float32).eps) * float(np.abs(finite).max())
    error = float(np.abs(ref - cand).max())
    return 0.0 if error <= least else error / span


def _of_float(row: OutputCheck, scheme: str, reference: Reference) -> str:
    limit = FLOAT_LIMITS[scheme]
    if row.kind == INTEGERS:
        least = _FLOAT_KEPT if scheme == "float32" else _WARNED_KEPT
        if (row.kept or 0.0) >= least or (scheme != "float32" and row.sqnr_db is not None):
            return ""
        nudged = fidelity.kept_share(reference.answers[row.output], reference.nudged[row.output])
        if (row.kept or 0.0) >= 1 - _NUDGES * (1 - nudged) and not is_random(reference):
            return ""
        return f"output {row.output!r}: {row.kept or 0:.1%} of its integers are those of the model"
    if row.max_error is None:
        return f"output {row.output!r}: holds values that are not finite, where the model's are"
    if row.max_error <= limit:
        return ""
    nudged = max_error(reference.answers[row.output], reference.nudged[row.output]) or 0.0
    if row.max_error <= _NUDGES * nudged and not is_random(reference):
        return ""
    return (
        f"output {row.output!r}: differs from the model by {row.max_error:.1e} of its range, expected "
        f"at most {max(limit, _NUDGES * nudged):.0e}"
    )


def _of_integers(row: OutputCheck) -> tuple[str, str]:
    """Why a file with rounded numbers is not handed over, or what to warn of."""
    name, db, kept = f"output {row.output!r}", row.sqnr_db, row.kept
    word = {SOFTMAX: "arg-maxes", SIGMOID: "decisions"}.get(row.kind, "integers")
    if row.kind == INTEGERS and db is not None:
        return "", ""
    if row.kind != SIGMOID and kept is not None and kept < _REFUSED_KEPT:
        return f"{name}: keeps {kept:.0%} of the model's {word}", ""
    if db is not None and db < REFUSED_DB:
        return f"{name}: follows the model at {db:.1f} dB, which is next to nothing", ""
    if row.dead_count:
        some = ", ".join(map(str, row.dead))
        more = f" and {row.dead_count - len(row.dead)} more" if row.dead_count > _LISTED else ""
        return "", (
            f"{name}: channels {some}{more} of {row.channels} are constant or not finite in the file "
            "and move in the model"
        )
    if db is not None and db < WARNED_DB:
        return "", f"{name}: follows the model at {db:.1f} dB only, expected {WARNED_DB:.0f} dB"
    if kept is not None and row.kind == INTEGERS and kept < _WARNED_KEPT:
        return "", f"{name}: keeps {kept:.0%} of the model's {word}"
    return "", ""


def _lost_part(expected: NDArray[np.generic], found: NDArray[np.generic]) -> str:
    """What to warn of where a part is lost that shares its channels with others: rows that were stacked."""
    for axis in other_axes(expected.ndim):
        ours, theirs = by_run(expected, axis), by_run(found, axis)
        lost = fidelity.lost_channels(ours, theirs, REFUSED_DB)
        if lost.size:
            some = ", ".join(map(str, lost[:_LISTED])) + (", ..." if lost.size > _LISTED else "")
            return (
                f"on axis {axis} parts {some} of {ours.shape[-1]} are lost: they are small beside the "
                "others, which one scale serves"
            )
    return ""
