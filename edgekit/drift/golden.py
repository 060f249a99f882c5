"""Golden: samples, labels and what the original model answers, frozen in one file.

With it a device compares against the original model without having it.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DocumentError, SamplesError, TensorError
from edgekit.files import existing, refuse_existing, sha256_of
from edgekit.metrics.distances import class_count, non_finite
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples, save_npz
from edgekit.samples.prepare import prepared

CLASSIFICATION, REGRESSION, UNLABELLED = TASKS = ("classification", "regression", "unlabelled")

_SCHEMA = "edgekit.golden/1"
_INPUT, _OUTPUT, _LABELS, _META = "input/", "output/", "labels", "meta"

# All that numpy, zipfile and the decompressors raise on a file that was cut, altered or forged:
# encrypted and unknown entries, headers that do not parse, shapes beyond any memory.
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    OverflowError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


# Arrays have no single truth value, so two goldens are compared by identity.
@dataclass(frozen=True, eq=False)
class Golden:
    """What the original model answers.

    Attributes:
        samples: inputs under the original model's names, prepared as it takes them, and the labels.
        outputs: the original model's answers by output name, samples first; real values.
        reference: ``{"path", "sha256", "format", "size_bytes", "backend": {"name", "version"}}``
            of the original model; `path` is the file's name alone.
        task: ``"classification"``, ``"regression"`` or ``"unlabelled"``.
        task_output: name of the output that the labels, or without labels the top-1 class, belong
            to; None where no output has a class.
        sha256: of the file this was loaded from; None if it was not.
    """

    samples: Samples
    outputs: dict[str, NDArray[Any]]
    reference: dict[str, Any]
    task: str
    task_output: str | None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.outputs:
            raise TensorError("golden: received no outputs, expected at least one.")
        for name, x in self.outputs.items():
            _check_output(name, x, len(self.samples))
        known = [None, *self.outputs] if self.task == UNLABELLED else list(self.outputs)
        if self.task not in TASKS or self.task_output not in known:
            raise TensorError(
                f"golden: received the task {self.task!r} on output {self.task_output!r}, expected "
                f"one of {', '.join(TASKS)} on one of {', '.join(map(repr, self.outputs))}."
            )
        if self.task_output is not None:
            self._check_task(self.outputs[self.task_output])

    @classmethod
    def of(cls, runner: Runner, samples: Samples) -> Golden:
        """Ask the original model all samples, which are raw data: what it says of their preparation
        is done first, and the golden holds its result.

        Class labels and an output of (samples, classes), (samples, 1) or (samples,) make a
        classification; float labels in the shape of an output, or whole numbers beyond 0 and 1
        for a single score, make a regression; anything else is unlabelled. Of several outputs that fit, the first is taken.

        Raises:
            TensorError: the samples do not fit the model's inputs, or an answer is not finite.
            SamplesError: a label is a class that the model does not have.
            ArtifactError: the model fails.
        """
        samples = prepared(samples, runner.metadata, runner.inputs)
        outputs = runner.infer_batch(samples.inputs)
        task, task_output = _decide_task(samples, outputs)
        if task == REGRESSION and samples.labels is not None:
            samples = Samples(samples.inputs, samples.labels.astype(np.float64))
        artifact, backend = runner.artifact, runner.backend
        reference = {
            "path": artifact.name,
            "sha256": artifact.sha256,
            "format": artifact.format,
            "size_bytes": artifact.size_bytes,
            "backend": {"name": backend.name, "version": backend.version},
        }
        return cls(samples, outputs, reference, task, task_output)

    @property
    def labels(self) -> NDArray[Any] | None:
        """Class labels of (samples,), or real ones in the task output's shape; None if unused."""
        labels = self.samples.labels
        if labels is None or self.task_output is None or self.task == UNLABELLED:
            return None
        if self.task == REGRESSION:
            return labels.reshape(self.outputs[self.task_output].shape)
        return labels

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write an ``.npz``; the same golden gives the same bytes.

        Arrays are ``input/<name>``, ``output/<name>``, ``labels``, and ``meta``, which is JSON in
        UTF-8 bytes.

        Raises:
            OutputExistsError: `path` exists and `overwrite` is false.
        """
        refuse_existing([path], overwrite)
        meta = {
            "schema": _SCHEMA,
            "reference": self.reference,
            "task": self.task,
            "task_output": self.task_output,
        }
        text = json.dumps(meta, ensure_ascii=False)
        arrays = {_META: np.frombuffer(text.encode("utf-8"), np.uint8)}
        arrays.update({_INPUT + name: x for name, x in self.samples.inputs.items()})
        arrays.update({_OUTPUT + name: x for name, x in self.outputs.items()})
        if self.samples.labels is not None:
            arrays[_LABELS] = self.samples.labels
        save_npz(path, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Golden:
        """Read a golden file. It may come from anywhere: nothing in it is executed.

        Raises:
            UsageError: nothing is at `path`.
            DocumentError: the file is damaged, is no golden, or contradicts itself.
        """
        path = existing(path, "golden")
        try:
            arrays = _read_arrays(path)
        except _UNREADABLE as error:
            hint = " It holds pickled objects, which can run code and are refused."
            pickled = isinstance(error, ValueError) and "pickle" in str(error).lower()
            raise DocumentError(
                f"{path}: cannot be read as a golden file ({type(error).__name__}: {error})."
                f"{hint if pickled else ''} Make it anew with: edgekit golden"
            ) from error
        meta = _read_meta(path, arrays)
        try:
            samples = Samples(_named(arrays, _INPUT), arrays.get(_LABELS))
            outputs = _named(arrays, _OUTPUT)
            task, output = meta["task"], meta["task_output"]
            return cls(samples, outputs, meta["reference"], task, output, sha256_of(path))
        except (SamplesError, TensorError) as error:
            raise DocumentError(f"{path}: {error}") from error

    def _check_task(self, output: NDArray[Any]) -> None:
        classes, labels = class_count(output), self.samples.labels
        if self.task == REGRESSION:
            if not _fits_regression(labels, output):
                raise TensorError(
                    f"golden: output {self.task_output!r} of shape {list(output.shape)} has no "
                    "float labels of its shape, expected them for a regression."
                )
        elif classes is None or (self.task == CLASSIFICATION and self.samples.class_labels is None):
            raise TensorError(
                f"golden: output {self.task_output!r} of shape {list(output.shape)} with "
                f"{'no labels' if labels is None else 'such labels'} is no {self.task} by top-1."
            )
        elif self.task == CLASSIFICATION:
            self.samples.check_labels(classes)


def _decide_task(samples: Samples, outputs: Mapping[str, NDArray[Any]]) -> tuple[str, str | None]:
    counts = {name: n for name, x in outputs.items() if (n := class_count(x)) is not None}
    labels = samples.class_labels
    if labels is not None and counts:
        # An output with too few classes for the labels is another head of the model, if there is
        # one with enough. If there is none, the labels are wrong, and the check says so.
        enough = [name for name, n in counts.items() if n > labels.max()]
        name = (enough or list(counts))[0]
        single = outputs[name].ndim == 1 or outputs[name].shape[1] == 1
        if single and (labels.min() < 0 or labels.max() > 1):
            # Whole numbers beyond 0 and 1 against a single score: a quantity that happens to be whole.
            return REGRESSION, name
        samples.check_labels(counts[name])
        return CLASSIFICATION, name
    for name, x in outputs.items():
        if _fits_regression(samples.labels, x):
            return REGRESSION, name
    # A single column may be a class or a quantity; without labels nothing says which.
    scores = [name for name in counts if outputs[name].ndim == 2 and outputs[name].shape[1] > 1]
    return UNLABELLED, scores[0] if scores else None


def _fits_regression(labels: NDArray[Any] | None, output: NDArray[Any]) -> bool:
    if labels is None or labels.dtype.kind != "f":
        return False
    return labels.shape == output.shape or (
        labels.size == output.size == len(output) and labels.ndim <= 2 and output.ndim <= 2
    )


def _check_output(name: str, x: NDArray[Any], samples: int) -> None:
    if x.dtype.kind not in "biuf" or x.ndim == 0 or len(x) != samples or not x.size:
        raise TensorError(
            f"golden: output {name!r} has dtype {x.dtype} and shape {list(x.shape)}, expected "
            f"numbers, with {samples} samples along the first axis."
        )
    if problem := non_finite(x):
        raise TensorError(
            f"golden: output {name!r}: {problem}, expected finite numbers. Repair the original "
            "model or the samples: nothing can be compared with such an answer."
        )


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    archive = np.load(path, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("it is a single array, not an .npz archive")
    with archive:
        wanted = [
            name
            for name in archive.files
            if name in (_META, _LABELS) or name.startswith((_INPUT, _OUTPUT))
        ]
        return {name: archive[name] for name in wanted}


def _read_meta(path: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The `meta` array's content, its structure checked."""
    raw = arrays.get(_META)
    if raw is None or raw.dtype != np.uint8:
        raise DocumentError(
            f"{path}: has no 'meta' array of bytes, so it is no golden file. Make one with: "
            "edgekit golden"
        )
    try:
        meta: dict[str, Any] = json.loads(raw.tobytes())
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path}: its 'meta' is not JSON ({error}).") from error
    if not isinstance(meta, dict) or meta.get("schema") != _SCHEMA:
        received = meta.get("schema") if isinstance(meta, dict) else None
        raise DocumentError(f"{path}: received schema {received!r}, expected {_SCHEMA!r}.")
    reference = meta.get("reference")
    backend = reference.get("backend") if isinstance(reference, dict) else None
    output = meta.get("task_output")
    if not (
        isinstance(reference, dict)
        and isinstance(backend, dict)
        and all(isinstance(reference.get(key), str) for key in ("path", "format"))
        and re.fullmatch("[0-9a-f]{64}", str(reference.get("sha256")))
        and type(reference.get("size_bytes")) is int
        and reference["size_bytes"] >= 0
        and all(isinstance(backend.get(key), str) for key in ("name", "version"))
        and isinstance(meta.get("task"), str)
        and (output is None or isinstance(output, str))
    ):
        raise DocumentError(
            f"{path}: its 'meta' lacks 'reference', 'task' or 'task_output', or one of them is "
            "malformed. Make the file anew with: edgekit golden"
        )
    return meta


def _named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name[len(prefix) :]: x for name, x in arrays.items() if name.startswith(prefix)}
