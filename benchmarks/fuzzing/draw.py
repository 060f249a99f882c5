"""What every mutation draws from."""

from __future__ import annotations

from typing import Any

import numpy as np

Rng = np.random.Generator
# Numbers that are wrong wherever they stand.
ABSURD = (0, 1, -1, 2, 3, 7, 255, 65536, 2**24, 2**30, 2**31 - 1, -(2**31), -2)


def pick(rng: Rng, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]
