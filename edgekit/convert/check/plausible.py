"""Plausible: whether calibration samples can be what the model was trained on, told by the model itself.

Pixels from 0 to 255 given to a model that was trained on 0 to 1, or the other way round, make ranges that
no label would show to be wrong before the files are used.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgekit.convert.check.reference import CALIBRATION, Reference
from edgekit.errors import ExportError
from edgekit.models.normalisation import first_statistics

# How many times too large or too small values have to be, for a layer that knows better, to be named.
_FACTOR = 16.0
# Answers of fewer samples say nothing about their classes.
_SAMPLES = 32
# A model that gives all samples one class, this sure of it on average, was given one class; an untrained
# one is not sure of anything.
_LEAST_CLASSES, _SURE = 3, 0.9


def implausible(reference: Reference) -> tuple[str, ...]:
    """What speaks against the calibration samples, a sentence each; nothing about seeded inputs."""
    if reference.origin != CALIBRATION:
        return ()
    try:
        return (*_scales(reference), *_one_class(reference))
    # The model cannot be run at all: the check of each file says that.
    except ExportError:
        return ()


def _scales(reference: Reference) -> Iterator[str]:
    """The first layer that holds statistics of its own, if they are far from those of the samples."""
    known = first_statistics(reference.source, reference.samples.inputs)
    if known is None:
        return
    layer, factor, _ = known
    if factor > _FACTOR or factor < 1 / _FACTOR:
        many = f"{factor:.0f} times larger" if factor > 1 else f"{1 / factor:.0f} times smaller"
        yield (
            f"calibration samples: what reaches layer {layer!r} is {many} than what the layer was "
            "trained on. Prepare the samples as in training, pixels divided by 255 or not."
        )


def _one_class(reference: Reference) -> Iterator[str]:
    for name, answers in reference.answers.items():
        classes = answers.shape[-1] if answers.ndim == 2 else 0
        if classes < _LEAST_CLASSES or answers.dtype.kind != "f" or len(answers) < _SAMPLES:
            continue
        sums = answers.sum(-1)
        if not (answers.min() >= 0 and np.allclose(sums, 1, atol=1e-3)):
            continue
        best = answers.argmax(-1)
        if (best == best[0]).all() and answers.max(-1).mean() > _SURE:
            yield (
                f"calibration samples: the model answers class {int(best[0])} to all {len(best)} that were "
                f"looked at (output {name!r}). Give samples of all classes."
            )
