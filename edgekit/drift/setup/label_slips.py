"""Slips of class labels: other numbers for the classes that the model tells apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.setup.slips import SLIPS, Slip


def label_slips(
    classes: int, class_names: Sequence[str] = ()
) -> list[tuple[Slip, NDArray[np.int64]]]:
    """The slips that class labels may have, each with what every class number becomes.

    Args:
        classes: how many the model tells apart.
        class_names: of the model's classes, by number.

    Returns:
        No two with the same numbers, and none that leaves them as they are.
    """
    numbers = np.arange(classes)
    found = {
        "labels_minus_one": (numbers - 1) % classes,
        "labels_plus_one": (numbers + 1) % classes,
        "labels_reversed": numbers[::-1],
    }
    # Of two classes all three are one, and it is known as this.
    known_as = "labels_reversed" if classes == 2 else "labels_minus_one"
    ways = sorted(found.items(), key=lambda way: way[0] != known_as)
    for first in (0, 1):
        by_text = sorted(range(classes), key=[str(n + first) for n in range(classes)].__getitem__)
        ways += _both(by_text, "labels_to_text_order", "labels_from_text_order")
    if len(class_names) == classes:
        by_name = sorted(range(classes), key=class_names.__getitem__)
        ways += _both(by_name, "labels_to_name_order", "labels_from_name_order")
    known = {tuple(range(classes))}
    distinct = []
    for name, place in ways:
        if (key := tuple(map(int, place))) not in known:
            known.add(key)
            distinct.append((SLIPS[name], np.asarray(place, np.int64)))
    return distinct


def _both(order: Sequence[int], to: str, back: str) -> list[tuple[str, NDArray[np.int64]]]:
    """Both directions between numbers and places in `order`."""
    place = np.empty(len(order), np.int64)
    place[np.asarray(order)] = np.arange(len(order))
    return [(to, place), (back, np.asarray(order, np.int64))]
