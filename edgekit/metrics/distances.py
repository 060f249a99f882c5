"""Distances between two outputs, and between two lists of decisions. Pure numpy.

Everything is computed in float64 over the whole output. Values that are not finite raise; they are
never masked, for a model that answers NaN has not answered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import TensorError
from edgekit.metrics.blocks import by_blocks, together

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


def max_abs(reference: NDArray[Any], candidate: NDArray[Any]) -> float:
    """``max |reference - candidate|``, in the output's own unit.

    Args:
        reference, candidate: two arrays of one shape, any shape.

    Raises:
        TensorError: the shapes differ, the arrays are empty, or a value is not finite.
    """
    ref, cand = _pair(reference, candidate)
    return float(np.max(np.abs(ref - cand)))


def relative_max_abs(reference: NDArray[Any], candidate: NDArray[Any]) -> float:
    """``max |reference - candidate| / (max(reference) - min(reference))``, without unit.

    A reference that is constant has no range: 0 if the two are equal, else infinity.

    Raises:
        TensorError: as `max_abs`.
    """
    ref, _ = _pair(reference, candidate)
    span = float(ref.max() - ref.min())
    difference = max_abs(reference, candidate)
    if span:
        return difference / span
    return float("inf") if difference else 0.0


def rmse(reference: NDArray[Any], candidate: NDArray[Any]) -> float:
    """Root mean square error ``sqrt(mean((reference - candidate)^2))``, in the output's own unit.

    Raises:
        TensorError: as `max_abs`.
    """
    ref, cand = _pair(reference, candidate)
    return float(np.sqrt(np.mean(np.square(ref - cand))))


def cosine(reference: NDArray[Any], candidate: NDArray[Any]) -> float:
    """Cosine similarity ``sum(reference * candidate) / (|reference| |candidate|)``, from -1 to 1.

    An output of zeros has no direction: 1 if both are zeros, 0 if one is.

    Raises:
        TensorError: as `max_abs`.
    """
    ref, cand = (x.ravel() for x in _pair(reference, candidate))
    lengths = float(np.linalg.norm(ref)) * float(np.linalg.norm(cand))
    if not lengths:
        return float(np.array_equal(ref, cand))
    # Rounding can carry the quotient an ulp beyond 1.
    return float(np.clip(np.dot(ref, cand) / lengths, -1.0, 1.0))


def sqnr_db(reference: NDArray[Any], candidate: NDArray[Any]) -> float:
    """Signal to quantisation noise ratio in decibel.

    ``10 * log10(sum(reference^2) / sum((reference - candidate)^2))``. Infinity if the two are
    equal, zeros included; minus infinity if the reference is zeros and the candidate is not.

    Raises:
        TensorError: as `max_abs`.
    """
    ref, cand = _pair(reference, candidate)
    signal = float(np.sum(np.square(ref)))
    noise = float(np.sum(np.square(ref - cand)))
    if not noise:
        return float("inf")
    # A difference of logarithms: the quotient of two extreme powers would leave float64's range.
    return float(10 * (np.log10(signal) - np.log10(noise))) if signal else float("-inf")


def class_count(outputs: NDArray[Any]) -> int | None:
    """How many classes an output of (samples, classes), (samples, 1) or (samples,) tells apart.

    The last two are binary and give 2. None for an output of any other shape.
    """
    if outputs.ndim == 1:
        return 2
    if outputs.ndim == 2 and outputs.shape[1]:
        return max(2, int(outputs.shape[1]))
    return None


def binary_threshold(reference: NDArray[Any]) -> float:
    """Where a binary output's class 1 begins: 0.5 for probabilities, 0 for logits.

    Values that all lie within [0, 1] are taken for probabilities. Decide on the reference and
    apply to both: a candidate that drifts beyond 1 must not change the question.
    """
    shares = all(bool(np.all((x >= 0) & (x <= 1))) for (x,) in together(reference))
    return 0.5 if shares else 0.0


def predicted_classes(outputs: NDArray[Any], threshold: float = 0.5) -> Classes:
    """The top-1 class of each sample.

    ``argmax`` over the last axis of (samples, classes), ties to the lowest class;
    ``output > threshold`` for (samples, 1) or (samples,).

    Args:
        outputs: scores, probabilities or logits; samples first.
        threshold: what `binary_threshold` gives for the reference.

    Returns:
        Class numbers of shape (samples,).

    Raises:
        TensorError: another shape, or a value that is not finite.
    """
    if class_count(outputs) is None:
        raise TensorError(
            f"top-1: received an output of shape {list(outputs.shape)}, expected "
            "[samples, classes], [samples, 1] or [samples]."
        )
    if problem := non_finite(outputs):
        raise TensorError(f"top-1: {problem}, expected finite numbers.")
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        return by_blocks(lambda x: np.argmax(x, axis=1).astype(np.int64), outputs)
    return by_blocks(lambda x: (x.reshape(-1) > threshold).astype(np.int64), outputs)


def margins(outputs: NDArray[Any], threshold: float = 0.5) -> Floats:
    """How far each sample's class is ahead: of the next class, or of the threshold of a single score.

    Args:
        outputs: as `predicted_classes` takes them.
        threshold: of a single score.

    Returns:
        (samples,), in the outputs' unit.
    """

    def ahead(block: NDArray[Any]) -> Floats:
        scores = block.reshape(len(block), -1).astype(np.float64)
        if scores.shape[1] == 1:
            return np.abs(scores[:, 0] - threshold)
        two = np.partition(scores, -2, axis=1)[:, -2:]
        best: Floats = two[:, 1] - two[:, 0]
        return best

    return by_blocks(ahead, outputs)


def accuracy(classes: NDArray[Any], labels: NDArray[Any]) -> float:
    """``count(classes == labels) / samples``, a fraction; both of shape (samples,).

    Raises:
        TensorError: the shapes differ or there are no samples.
    """
    _same_length(labels, classes)
    # One division of whole numbers, so that 95 right of 100 is the same float as a limit of 0.95.
    return int(np.count_nonzero(classes == labels)) / len(labels)


def agreement(reference: NDArray[Any], candidate: NDArray[Any]) -> float:
    """``count(reference == candidate) / samples`` of two lists of classes, a fraction.

    Raises:
        TensorError: as `accuracy`.
    """
    return accuracy(candidate, reference)


def flips(reference: NDArray[Any], candidate: NDArray[Any]) -> NDArray[np.intp]:
    """Indices of the samples whose class differs between two lists of classes, ascending.

    Raises:
        TensorError: as `accuracy`.
    """
    _same_length(reference, candidate)
    return np.flatnonzero(reference != candidate)


def non_finite(x: NDArray[Any]) -> str:
    """``"3 of 40 values are not finite, the first (nan) at sample 2"``, or "" if all are finite."""
    if not x.ndim:
        return "" if np.isfinite(x) else f"1 of 1 values is not finite, the first ({x}) at sample 0"
    count = seen = total = 0
    first = ""
    for (block,) in together(x):
        bad = ~np.isfinite(block)
        if bad.any():
            place = tuple(int(axis[0]) for axis in np.nonzero(bad))
            first = first or f"the first ({block[place]}) at sample {seen + place[0]}"
            count += int(np.count_nonzero(bad))
        seen += len(block)
        total += block.size
    if not count:
        return ""
    return f"{count} of {total} values {'is' if count == 1 else 'are'} not finite, {first}"


def _pair(reference: NDArray[Any], candidate: NDArray[Any]) -> tuple[Floats, Floats]:
    if reference.shape != candidate.shape or not reference.size:
        raise TensorError(
            f"candidate: received shape {list(candidate.shape)}, expected {list(reference.shape)}, "
            "that of the reference, with at least one value."
        )
    for what, x in (("reference", reference), ("candidate", candidate)):
        if problem := non_finite(x):
            raise TensorError(f"{what}: {problem}, expected finite numbers.")
    return reference.astype(np.float64), candidate.astype(np.float64)


def _same_length(reference: NDArray[Any], candidate: NDArray[Any]) -> None:
    if reference.ndim != 1 or reference.shape != candidate.shape or not len(reference):
        raise TensorError(
            f"received shapes {list(reference.shape)} and {list(candidate.shape)}, expected one "
            "value a sample in both, at least one sample."
        )
