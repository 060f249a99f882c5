"""The kinds of tasks, and which one labels and an output make."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.metrics.blocks import together
from edgekit.metrics.fidelity import sums_to_one

# In masks of whole numbers: belongs to no class, and is looked at by nobody.
IGNORED = 255


def is_segmentation(labels: NDArray[Any] | None, output: NDArray[Any]) -> bool:
    """Whether labels are a class for each place of an output, whose last axis has the classes.

    Labels of (samples, height, width), or with an axis of size 1 behind that, and an output of (samples,
    height, width, classes). Of one class the output is a probability, and labels are 0 and 1, floats
    as well.
    """
    if labels is None or output.ndim < 3:
        return False
    if labels.dtype.kind == "f" and not (output.shape[-1] == 1 and _decisions(labels, output)):
        return False
    if labels.shape not in (output.shape[:-1], (*output.shape[:-1], 1)):
        return False
    known = labels[labels != IGNORED]
    most = max(output.shape[-1], 2)
    return not known.size or bool(known.min() >= 0 and known.max() < most)


def is_multi_label(labels: NDArray[Any] | None, output: NDArray[Any]) -> bool:
    """Whether labels are a yes or no for each of several classes: 0 and 1 of (samples, classes).

    Floats as well, where the output is of probabilities.
    """
    if labels is None or labels.ndim != 2 or labels.shape != output.shape or labels.shape[1] < 2:
        return False
    if labels.dtype.kind == "f":
        return _decisions(labels, output)
    return bool(np.isin(labels, (0, 1)).all())


def is_one_hot(labels: NDArray[Any], output: NDArray[Any]) -> bool:
    """Whether labels are rows of 0 and a single 1, in the shape of an output of several classes."""
    if labels.ndim != 2 or labels.shape != output.shape or labels.shape[1] < 2:
        return False
    if labels.dtype.kind not in "biuf" or not ((labels == 0) | (labels == 1)).all():
        return False
    return bool((labels.sum(1) == 1).all())


def _decisions(labels: NDArray[Any], output: NDArray[Any]) -> bool:
    """Whether labels are 0 and 1, and answers probabilities."""
    return bool(np.isin(labels, (0, 1)).all()) and all(
        bool(x.min() >= 0 and x.max() <= 1) for (x,) in together(output)
    )


def is_regression(labels: NDArray[Any] | None, output: NDArray[Any]) -> bool:
    """Whether labels are values in the shape of an output."""
    if labels is None or labels.dtype.kind != "f":
        return False
    return labels.shape == output.shape or (
        labels.size == math.prod(output.shape) == len(output)
        and labels.ndim <= 2
        and output.ndim <= 2
    )


def is_anomaly(labels: NDArray[Any] | None, output: NDArray[Any], given: NDArray[Any]) -> bool:
    """Whether an output is its input made again, and labels say 1 for what should come out badly."""
    return (
        labels is not None
        and labels.dtype.kind in "biu"
        and labels.size == len(labels)
        and bool(np.isin(labels, (0, 1)).all())
        and output.ndim > 1
        and tuple(given.shape) == output.shape
        and not sums_to_one(output)
    )


def is_boxes(labels: NDArray[Any]) -> bool:
    """Whether labels are boxes: (samples, boxes, 5 or 6), the sixth number 1 for a crowd."""
    if labels.ndim != 3 or labels.shape[2] not in (5, 6) or labels.dtype.kind not in "iuf":
        return False
    real = labels[labels[..., 4] >= 0]
    return bool((labels[..., 4] % 1 == 0).all() and (real[:, 2:4] >= real[:, :2]).all())


def is_tokens(labels: NDArray[Any], output: NDArray[Any]) -> bool:
    """Whether labels are rows of token numbers, -1 behind their ends."""
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        return False
    known = output.ndim == 2 or labels.max(initial=0) < output.shape[-1]
    return known and bool(labels.min(initial=0) >= -1)
