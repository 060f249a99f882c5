"""Centre: the sums of a last dense layer have the mean that the float file gives them.

Rounded weights and cut ranges add up to an error of which a third to a half is the same for every
sample. A dense layer's bias can take it back, at no cost on the device (bias correction: M. Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, measured here
in place of derived, and at the end of the network alone, where the errors of all layers have come
together).

`edgekit.convert.calibration.centre_tflite` and `centre_onnx` find the layers and write the biases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.convert.calibration.probes import Probe, batches
from edgekit.samples import Samples

# Of so many samples the mean is known to an eighth of what the error varies by.
_SAMPLES = 64


def missing(
    ours: Probe, plain: Probe, sums: Sequence[str], samples: Samples, seed: int
) -> dict[str, NDArray[np.float64]]:
    """What the means of `sums` are short of in a file of integers, shape (n,) each.

    Args:
        ours: the file of integers.
        plain: the float one that it was made of.
        sums: tensors of both, shape (..., n).
        samples: to take the means over, under the files' input names.
        seed: of the choice of samples, where there are many.
    """
    few = samples.subset(min(_SAMPLES, len(samples)), seed=seed)
    mine, theirs = (_means(probe, sums, few) for probe in (ours, plain))
    return {name: theirs[name] - mine[name] for name in sums}


def _means(probe: Probe, names: Sequence[str], samples: Samples) -> dict[str, NDArray[np.float64]]:
    rows: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}

    def look(name: str, values: NDArray[Any]) -> None:
        if name in rows:
            rows[name].append(values.astype(np.float64).reshape(-1, values.shape[-1]))

    for inputs in batches(samples, probe.batch):
        probe.run(inputs, look)
    return {name: np.concatenate(seen).mean(0) for name, seen in rows.items()}
