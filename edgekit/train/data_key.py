"""Whether two processes have the same data, told by a hash."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from edgekit.samples import Samples

_BATCH = 256


def data_key(train: Samples, validation: Samples) -> str:
    """SHA-256, in hex, of the validation samples, which are drawn from all that there are, and of the counts."""
    digest = hashlib.sha256(f"{len(train)} {len(validation)}".encode())
    for batch in validation.batches(_BATCH):
        arrays: list[tuple[str, Any]] = sorted(batch.inputs.items())
        if batch.labels is not None:
            arrays.append(("labels", batch.labels))
        for name, x in arrays:
            x = np.asarray(x)
            digest.update(f"{name} {x.dtype.str} {x.shape}".encode())
            digest.update(x.tobytes())
    return digest.hexdigest()
