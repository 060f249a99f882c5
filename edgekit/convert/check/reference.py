"""Reference: what the model itself answers on the samples of the check, asked once an export."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.seeded import seeded
from edgekit.convert.check.asking import Asked, asked_model
from edgekit.convert.check.layers import Layers, layers_asked
from edgekit.convert.check.run import joined_rows
from edgekit.errors import ExportError
from edgekit.models.kernels import said
from edgekit.models.source import SourceModel
from edgekit.samples import Samples

CALIBRATION, GENERATED, SEEDED = "calibration", "generated", "seeded"

# Samples a check.
COUNT = 64
# What two processors' kernels may come to in the input, of a float32 that is near to 1.
_NUDGE = 1 + 1e-7


@dataclass(frozen=True)
class Reference:
    """The model's answers.

    Attributes:
        source: the model.
        calibration: samples under its input names, of any number; None for none.
        generated: whether some of them were generated from the model's own statistics.
        batch: samples that the model is given at a time; None for what fits in little memory.
    """

    source: SourceModel
    calibration: Samples | None = None
    generated: bool = False
    batch: int | None = None

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

    @cached_property
    def again(self) -> dict[str, NDArray[Any]]:
        """The answers to the same samples once more: others only where the model draws random numbers."""
        return self._asked(self.samples)

    @cached_property
    def _by_batch(self) -> dict[int, Reference]:
        return {}

    def of_batch(self, batch: int) -> Reference:
        """The same of the model that is given `batch` samples at a time."""
        return self._by_batch.setdefault(batch, replace(self, batch=batch))

    @cached_property
    def layers(self) -> Layers:
        """What the layers give for the first few samples.

        Raises:
            Exception: whatever Keras and the layers raise where they cannot be called one by one.
        """
        return layers_asked(self.source, self.samples)

    @cached_property
    def _model(self) -> Asked:
        return asked_model(self.source, self.batch)

    def _asked(self, samples: Samples) -> dict[str, NDArray[Any]]:
        try:
            with self.source.from_zero():
                model = self._model
                parts = list(model.parts(samples))
        # A model raises whatever its layers do.
        except Exception as error:
            raise ExportError(
                f"{self.source.path}: the model itself fails on samples of the check: {said(error)}"
            ) from error
        return {
            name: joined_rows([part[name] for part in parts], model.batch(samples), len(samples))
            for name in parts[0]
        }


def _nudged(x: NDArray[Any]) -> NDArray[Any]:
    """Float values times 1 + 1e-7; those that float32 leaves where they are go to the next one."""
    if x.dtype.kind != "f":
        return x
    moved = (x * np.float64(_NUDGE)).astype(x.dtype)
    nudged: NDArray[Any] = np.where(moved == x, np.nextafter(x, x + np.sign(x)), moved)
    return nudged.astype(x.dtype)
