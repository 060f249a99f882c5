"""The layer zoo: small Keras 3 models, one for each thing that a conversion can stumble over.

`ENTRIES` lists them, `entry.build()` makes one, `inputs(entry, count, seed)` gives what suits it.
Importing this loads no TensorFlow.
"""

from __future__ import annotations

from fnmatch import fnmatch

from . import (
    brought,
    composed,
    convolutions,
    elementwise,
    heads,
    preprocessing,
    sequences,
    shapes,
)
from .entry import Entry, Input, inputs

ENTRIES: tuple[Entry, ...] = (
    *convolutions.ENTRIES,
    *shapes.ENTRIES,
    *elementwise.ENTRIES,
    *sequences.ENTRIES,
    *preprocessing.ENTRIES,
    *composed.ENTRIES,
    *brought.ENTRIES,
    *heads.ENTRIES,
)
if len({entry.name for entry in ENTRIES}) != len(ENTRIES):
    raise ValueError("two entries of the zoo share a name")


def select(pattern: str) -> list[Entry]:
    """The entries whose names match a pattern such as ``conv2d/*``."""
    return [entry for entry in ENTRIES if fnmatch(entry.name, pattern)]


__all__ = ["ENTRIES", "Entry", "Input", "inputs", "select"]
