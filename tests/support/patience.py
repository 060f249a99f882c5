"""How long a test waits before it gives up."""

from __future__ import annotations

import os

# An emulated processor takes about ten times as long.
_TIMES = 10 if os.environ.get("EDGEKIT_EMULATED") else 1


def patience(seconds: float) -> float:
    """Seconds that are enough here, where `seconds` are on a busy machine."""
    return seconds * _TIMES
