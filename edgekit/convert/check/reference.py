"""Reference: what the model itself answers on the samples of the check, asked once an export."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import batches
from edgekit.calibration.seeded import seeded
from edgekit.errors import ExportError, one_line, require
from edgekit.models.source import SourceModel
from edgekit.samples import Samples

CALIBRATION, GENERATED, SEEDED = "calibration", "generated", "seeded"

# Samples a check; as many at a time through the model.
COUNT, _AT_A_TIME = 64, 32
# What two processors' kernels may come to in the input, of a float32 that is near to 1.
_NUDGE = 1 + 1e-7


@dataclass(frozen=True)
class Reference:
    """The model's answers.

    Attributes:
        source: the model.
        calibration: samples under its input names, of any number; None for none.
        generated: whether some of them were generated from the model's own statistics.
    """

    source: SourceModel
    calibration: Samples | None = None
    generated: bool = False

    @property
    def origin(self) -> str:
        """Where `samples` are from."""
        if self.calibration is None:
            return SEEDED
        return GENERATED if self.generated else CALIBRATION

    @property
    def rounds(self) -> bool:
        """Whether the model itself rounds, as in quantisation-aware training; its float files do not."""
        return self.source.rounds

    @cached_property
    def samples(self) -> Samples:
        """The first 64 of the calibration samples, which are drawn at random; else seeded inputs."""
        if self.calibration is None:
            return seeded(self.source, COUNT)
        first = {name: np.asarray(x[:COUNT]) for name, x in self.calibration.inputs.items()}
        return Samples(first)

    @cached_property
    def answers(self) -> dict[str, NDArray[Any]]:
        """By output name, the sample as the first axis.

        Raises:
            ExportError: the model itself fails on them.
        """
        return self._asked(self.samples)

    @cached_property
    def nudged(self) -> dict[str, NDArray[Any]]:
        """The answers to float inputs that are scaled by 1 + 1e-7: how exact the model itself is."""
        moved = {name: _nudged(x) for name, x in self.samples.inputs.items()}
        return self._asked(Samples(moved))

    def _asked(self, samples: Samples) -> dict[str, NDArray[Any]]:
        tf = require("tensorflow", "export", "Checking a file")
        specs = {spec.name: spec for spec in self.source.inputs}
        fixed = next((s.shape[0] for s in specs.values() if s.shape and s.shape[0]), None)
        parts: dict[str, list[NDArray[Any]]] = {}
        try:
            with self.source.from_zero():
                for batch in batches(samples, fixed or min(_AT_A_TIME, len(samples))):
                    given = {n: tf.constant(x, dtype=specs[n].dtype) for n, x in batch.items()}
                    for name, answer in self.source.call(given).items():
                        parts.setdefault(name, []).append(np.asarray(answer))
        # A model raises whatever its layers do.
        except Exception as error:
            raise ExportError(
                f"{self.source.path}: the model itself fails on samples of the check: {one_line(error)}"
            ) from error
        return {name: np.concatenate(all)[: len(samples)] for name, all in parts.items()}


def _nudged(x: NDArray[Any]) -> NDArray[Any]:
    """Float values times 1 + 1e-7; those that float32 leaves where they are go to the next one."""
    if x.dtype.kind != "f":
        return x
    moved = (x * np.float64(_NUDGE)).astype(x.dtype)
    nudged: NDArray[Any] = np.where(moved == x, np.nextafter(x, x + np.sign(x)), moved)
    return nudged.astype(x.dtype)
