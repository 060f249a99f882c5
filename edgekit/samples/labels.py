"""Labels as files have them, as numbers of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError


def numbered(words: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class numbers of words, one a sample, and the classes' names in the order of their numbers.

    Names are sorted: as numbers if all of them are whole ones (2 before 10), else as text.
    """
    names = sorted(set(words))
    if all(name.isascii() and name.isdecimal() for name in names):
        names.sort(key=lambda name: (int(name), name))
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[word] for word in words], np.int64), tuple(names)


def understood(labels: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Labels of any usual form as `Samples` has them, and the classes' names if they are texts.

    Texts become class numbers. So do one-hot rows: (samples, two or more classes), a single 1 in
    each row and zeros beside it. So do booleans, one a sample. Whole numbers of (samples, 1) lose that
    axis. Everything else is left as it is; in particular, whole floats such as 1.0 are quantities and no
    classes: a regression's labels may well be whole.

    Raises:
        SamplesError: texts that are not one a sample, or not UTF-8.
    """
    if labels.dtype.kind in "SUO":
        if labels.ndim != 1:
            raise SamplesError(
                f"labels: received texts of shape {list(labels.shape)}, expected one a sample."
            )
        try:
            return numbered(
                [x.decode() if isinstance(x, bytes) else str(x) for x in labels.tolist()]
            )
        except UnicodeDecodeError as error:
            raise SamplesError(f"labels: received a text that is not UTF-8 ({error}).") from error
    if labels.ndim == 1 and labels.dtype.kind == "b":
        return labels.astype(np.int64), ()
    if labels.ndim == 2 and labels.shape[1] == 1 and labels.dtype.kind in "iu":
        return labels[:, 0], ()
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "biuf":
        ones, zeros = labels == 1, labels == 0
        if (ones | zeros).all() and (ones.sum(axis=1) == 1).all():
            return ones.argmax(axis=1), ()
    return labels, ()
