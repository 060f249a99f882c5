"""Rebuilt: whether an autoencoder that makes nothing of its samples does with a usual slip taken back.

Labels have no part in it: samples in a wrong scale have errors in a wrong order too, and that may look like labels that
are swapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.setup.goodness import UNLIKE, Goodness, unlike
from edgekit.drift.setup.probes import LEAST, Case, Probed, probe
from edgekit.runtime.runner import Runner

Array = NDArray[Any]
# An error beside the inputs' own variance that stands for nothing made again, the part of the samples that is made again
# best, and what a slip leaves of the error at most.
_NOTHING, _GOOD, _LEFT = 0.8, 0.25, 0.5


def rebuilt_otherwise(
    runner: Runner, inputs: Mapping[str, Array], outputs: Mapping[str, Array], labels: Array
) -> Probed | None:
    """What came of trying the slips; None where samples are made again as they are, or none helps.

    Args:
        runner: of an autoencoder, one input and one output.
        inputs, outputs: samples, and what it made of them.
        labels: 1 of anomalies, which are meant to be made again badly, and are left out.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        return None
    usual = labels.reshape(-1) != 1
    (given,), (made,) = inputs.values(), outputs.values()
    errors = unlike(made, given)
    if usual.sum() < LEAST or float(np.quantile(errors, _GOOD)) < _NOTHING:
        return None
    inputs, errors = {name: x[usual] for name, x in inputs.items()}, errors[usual]

    def ask(changed: Mapping[str, Array]) -> Array:
        (x,), (again,) = changed.values(), runner.infer_batch(changed).values()
        return unlike(again, x)

    goodness = Goodness(UNLIKE, False, lambda found, _: -found, labelled=False)
    found = probe(Case(dict(inputs), np.zeros(len(errors)), errors, ask, goodness))
    if found is None or found.taken_back is None or found.taken_back > _LEFT * found.as_given:
        return None
    return found
