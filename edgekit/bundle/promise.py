"""Promise: what each file of a bundle answered where it was made, on raw samples, and how far that may move.

Interpreters have kernels of their own, which round differently: the same int8 file agrees with itself in 96.5 %
between two of them on a hard model. How far a file's answers move between the kernels installed where the bundle
is made is measured, and the device is allowed a few times that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.document.reading import parsed_bytes
from edgekit.document.record import Document, NotNegative, Positive, Record
from edgekit.errors import DocumentError, EdgekitError, SamplesError
from edgekit.files import atomic
from edgekit.runtime import load
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.arrays import UNREADABLE, read_npz, save_npz
from edgekit.samples.prepare import prepared

_META, _INPUT, _ANSWER = "meta", "input/", "answer/"
SAMPLES = 16
# A device's kernels may differ this many times as much as those here do.
_TIMES = 4.0
# What kernels of one kind differ by where only one could be asked: of float32 files by the order of sums, of others by
# steps. Shares of the answers' own spread.
_LEAST = {"float32": 1e-3, "float16": 1e-2}
_LEAST_OF_INTEGERS = 0.05
# Kernels to ask, by format: options of `load`.
_KERNELS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "tflite": ({}, {"delegate": "none"}),
    "onnx": ({},),
}

Answers = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Limits(Record):
    """How far one file's answers may be from what it answered here.

    Attributes:
        kernels: how many were asked here.
        moved: the largest error between them, by output: RMS of the difference over RMS of the answers about their mean.
        limits: the largest that a device may show, by output.
    """

    kernels: Positive
    moved: dict[str, NotNegative]
    limits: dict[str, NotNegative]


@dataclass(frozen=True)
class _Meta(Document):
    """What a promise says beside its arrays; by the file's path in the bundle."""

    kind: ClassVar[str] = "promise"

    files: dict[str, Limits]


@dataclass(frozen=True, eq=False)
class Promise:
    """What files answered.

    Attributes:
        inputs: raw samples by input name, (samples, ...).
        answers: of each file, by output name, (samples, ...).
        limits: of each file.
    """

    inputs: Answers
    answers: dict[str, Answers]
    limits: dict[str, Limits]

    @classmethod
    def of(cls, files: Mapping[str, Path], samples: Samples) -> Promise:
        """Ask files raw samples, on the kernels installed here.

        Args:
            files: by their paths in the bundle.
            samples: raw ones; `SAMPLES` of them are taken, evenly.

        Raises:
            EdgekitError: a file cannot be run.
        """
        chosen = np.unique(np.linspace(0, len(samples) - 1, SAMPLES).astype(int))
        few = samples[chosen].read()
        inputs = {name: np.asarray(x) for name, x in few.inputs.items()}
        answers, limits = {}, {}
        for name, path in files.items():
            asked = [_asked(path, options, inputs) for options in _KERNELS[path.suffix[1:]]]
            found = [each for each in asked if each is not None]
            answers[name] = found[0]
            limits[name] = _limits(found, path)
        return cls(inputs, answers, limits)

    def save(self, path: Path) -> None:
        """Write an ``.npz``; the same promise gives the same bytes."""
        text = json.dumps(_Meta(self.limits).to_json()).encode()
        arrays: Answers = {_META: np.frombuffer(text, np.uint8)}
        arrays |= {_INPUT + name: x for name, x in self.inputs.items()}
        for number, name in enumerate(self.limits):
            arrays |= {f"{_ANSWER}{number}/{output}": x for output, x in self.answers[name].items()}
        with atomic(path) as temporary:
            save_npz(temporary, arrays)

    @classmethod
    def load(cls, path: Path) -> Promise:
        """Read what `save` wrote. It need not be trusted.

        Raises:
            DocumentError: it is damaged, or no promise.
        """
        try:
            arrays = read_npz(path)
            limits = _Meta.from_json(parsed_bytes(arrays[_META].tobytes())).files
        except (SamplesError, DocumentError, *UNREADABLE) as error:
            raise DocumentError(f"its promise cannot be read ({error!s:.200}).") from error
        inputs = _named(arrays, _INPUT)
        answers = {name: _named(arrays, f"{_ANSWER}{i}/") for i, name in enumerate(limits)}
        for name, own in answers.items():
            if own.keys() != limits[name].limits.keys():
                raise DocumentError(f"its promise has other outputs of {name} than limits of it.")
        return cls(inputs, answers, limits)


def error_of(answers: NDArray[Any], promised: NDArray[Any]) -> float:
    """RMS of the difference over RMS of what was promised, about the mean of each value over the samples.

    Where nothing is promised to move, over the RMS of the values themselves, or 1. Infinite for other shapes and
    for values that are not finite.
    """
    if answers.shape != promised.shape:
        return float("inf")
    if answers.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(answers, promised) else float("inf")
    found, known = answers.astype(np.float64), promised.astype(np.float64)
    difference = _rms(found - known)
    if difference == 0:
        return 0.0
    spread = _rms(known - known.mean(axis=0, keepdims=True)) or _rms(known) or 1.0
    error = difference / spread
    return error if np.isfinite(error) else float("inf")


def given(runner: Runner, inputs: Mapping[str, NDArray[Any]]) -> Answers:
    """Raw samples as a runner takes them, prepared by the steps that its file stores."""
    return dict(prepared(Samples(dict(inputs)), runner.metadata, runner.inputs).read().inputs)


def asked(runner: Runner, inputs: Mapping[str, NDArray[Any]]) -> Answers:
    """A runner's answers to raw samples."""
    return runner.infer_batch(given(runner, inputs))


def _asked(path: Path, options: Mapping[str, Any], inputs: Answers) -> Answers | None:
    """The answers on one kernel; None where only this one does not run the file."""
    try:
        with load(path, **options) as runner:
            return asked(runner, inputs)
    except EdgekitError:
        if not options:
            raise
        return None


def _limits(found: Sequence[Answers], path: Path) -> Limits:
    scheme = path.name.split(".")[-2]
    least = _LEAST.get(scheme, _LEAST_OF_INTEGERS)
    first = found[0]
    moved = {
        name: max((error_of(other[name], x) for other in found[1:]), default=0.0)
        for name, x in first.items()
    }
    return Limits(
        len(found), moved, {name: max(least, _TIMES * error) for name, error in moved.items()}
    )


def _rms(x: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(x)))) if x.size else 0.0


def _named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Answers:
    return {name[len(prefix) :]: x for name, x in arrays.items() if name.startswith(prefix)}
