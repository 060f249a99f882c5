"""Asked: a file, and what it answers to some of the samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.golden import Golden
from edgekit.drift.setup.reference import picked
from edgekit.formats.metadata import Metadata
from edgekit.runtime.runner import Runner
from edgekit.tensor import TensorSpec

# Values of all outputs that are looked at; of larger answers as few samples, but so many at least.
_VALUES, _LEAST = 1 << 22, 32


@dataclass(frozen=True)
class Asked:
    """A file, and what it answers to some of the golden's samples.

    Attributes:
        file: its path, as the candidate has it.
        metadata: what it says about itself.
        inputs: its inputs.
        at: which samples, (count,).
        answers: to these, by the reference's output names; all finite.
    """

    file: str
    metadata: Metadata
    inputs: tuple[TensorSpec, ...]
    at: NDArray[np.intp]
    answers: Mapping[str, NDArray[Any]]

    @classmethod
    def of(
        cls, golden: Golden, file: str, runner: Runner, answers: Mapping[str, NDArray[Any]]
    ) -> Asked:
        """Of a file that answered all of the golden's samples; of large answers some are drawn.

        Args:
            golden: the reference's answers.
            file: the file's path, as the candidate has it.
            runner: of the file.
            answers: by the reference's output names; all finite.
        """
        count = len(golden.samples)
        size = sum(math.prod(x.shape[1:]) for x in answers.values())
        at = picked(count, max(_LEAST, _VALUES // max(1, size)))
        every = len(at) == count
        some = {name: np.asarray(x if every else x[at]) for name, x in answers.items()}
        return cls(file, runner.metadata, runner.inputs, at, some)
