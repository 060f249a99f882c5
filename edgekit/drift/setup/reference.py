"""ReferenceSetup: what is found out about the samples while the original model is at hand.

A golden file keeps it, so that where it is compared later, no model and no TensorFlow is needed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import FORMATS, Artifact, Sha256
from edgekit.detection import Decoder
from edgekit.document.record import LATER, NotNegative, Record, Text
from edgekit.drift.answers import Answers
from edgekit.drift.frames import frames_of
from edgekit.drift.setup.goodness import goodness_of
from edgekit.drift.setup.probes import LEAST, MOST, Case, Probed, probe
from edgekit.drift.setup.reading import packed, reading_of
from edgekit.drift.setup.rebuilt import rebuilt_otherwise
from edgekit.drift.setup.relabelled import (
    boxes_in_input,
    in_unit_of,
    other_boxes,
    other_decoders,
    other_labels,
)
from edgekit.drift.setup.resizing import other_methods
from edgekit.drift.setup.slips import Slip
from edgekit.errors import EdgekitError
from edgekit.formats.metadata import Metadata
from edgekit.formats.model_file import read_model
from edgekit.formats.seen import Seen
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.prepare import prepared
from edgekit.tasks import ANOMALY, DETECTION, REGRESSION

# Of quantised weights.
_NARROW = ("int8", "uint8", "int4", "uint4", "int2")


@dataclass(frozen=True)
class Normalised(Record):
    """What reaches the first layer that learned statistics of its input, held against them.

    Attributes:
        layer: its name.
        times: how many times larger than in training the values are, by their root mean square.
        shift: how far their mean is off, in standard deviations that the layer learned; of the channels
            the middle one.
    """

    layer: Text
    times: NotNegative
    shift: float


@dataclass(frozen=True)
class ReferenceSetup(Record):
    """What was found out about the samples with the original model.

    Attributes:
        samples_sha256: of inputs and labels, as `hash_of_arrays` gives it.
        preprocessing: how the model says that raw data is prepared, by input; done before it was asked.
        seen: the samples that the model was trained with, as far as its file says.
        normalised: None where no layer learned statistics of its input.
        probed: what came of trying the usual slips; None without labels, or with too few samples.
        rounded: whether the original is itself a file with quantised weights.
    """

    samples_sha256: Sha256
    preprocessing: dict[str, Any]
    seen: tuple[Seen, ...] = ()
    normalised: Normalised | None = None
    probed: Probed | None = None
    rounded: bool = field(default=False, metadata=LATER)


def hash_of_arrays(arrays: Mapping[str, Any]) -> str:
    """The SHA-256 of named arrays: names, dtypes, shapes and values, read some at a time."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        x = arrays[name]
        head = json.dumps([name, np.dtype(x.dtype).str, list(x.shape)])
        digest.update(f"{len(head)}:{head}".encode())
        for start in range(0, len(x), 256):
            part = np.asarray(x[start : start + 256])
            digest.update(
                repr(part.tolist()).encode("utf-8", "surrogatepass")
                if part.dtype.kind == "O"
                else np.ascontiguousarray(part).tobytes()
            )
    return digest.hexdigest()


def samples_sha256(samples: Samples) -> str:
    """Of inputs and labels."""
    labels = {f"labels/{name}": x for name, x in samples.output_labels.items()}
    if samples.labels is not None:
        labels["labels"] = samples.labels
    return hash_of_arrays({**{f"input/{n}": x for n, x in samples.inputs.items()}, **labels})


def observe(
    runner: Runner, raw: Samples, answers: Answers, decoder: Decoder | None = None
) -> ReferenceSetup:
    """Find out what only the original model can tell.

    Args:
        runner: the original model.
        raw: the samples before their preparation.
        answers: what it answered, and the samples as it took them.
        decoder: how its outputs become boxes; None of what is no detector.
    """
    known = runner.metadata
    return ReferenceSetup(
        samples_sha256=samples_sha256(answers.samples),
        preprocessing={name: steps.to_json() for name, steps in known.preprocessing.items()},
        seen=known.seen,
        normalised=_normalised(runner, answers.samples.subset(MOST).read()),
        probed=_probed(runner, raw, answers, decoder),
        rounded=_rounded(runner.artifact),
    )


def _rounded(artifact: Artifact) -> bool:
    """Whether a file holds quantised weights; False of a model that is no .tflite or .onnx file that can be read here."""
    if artifact.format not in FORMATS:
        return False
    try:
        model = read_model(Path(artifact.file).read_bytes(), artifact.format)
    except (EdgekitError, OSError):
        return False
    return any(
        each.granularity and each.dtype in _NARROW
        for graph in model.graphs
        for each in graph.constants
    )


def _normalised(runner: Runner, samples: Samples) -> Normalised | None:
    found = runner.normalisation(samples.inputs)
    return None if found is None else Normalised(*found)


def _probed(runner: Runner, raw: Samples, asked: Answers, decoder: Decoder | None) -> Probed | None:
    labels, samples, known = asked.labels, asked.samples, runner.metadata
    at, reading = picked(len(samples)), reading_of(asked, decoder)
    if reading is None or labels is None or len(at) < LEAST:
        return None
    part, outputs = samples[at].read(), {n: np.asarray(x[at]) for n, x in asked.outputs.items()}
    inputs, labels = dict(part.inputs), labels[at]
    answers = reading(inputs, outputs)
    goodness = goodness_of(asked.task, answers, labels)
    if goodness is None:
        return None
    if asked.task == ANOMALY and (found := rebuilt_otherwise(runner, inputs, outputs, labels)):
        return found

    def ask(given: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return reading(given, runner.infer_batch(given))

    reread: tuple[tuple[Slip, NDArray[Any]], ...] = ()
    if asked.task == DETECTION and decoder is not None:
        frames = frames_of(raw[at], known)
        if frames is None:
            return None
        others = [(s, boxes_in_input(x, frames)) for s, x in other_boxes(labels, frames)]
        labels = boxes_in_input(labels, frames)
        (x,) = inputs.values()
        reread = tuple(
            (slip, packed(other.decode(outputs, x.shape[1], x.shape[2])))
            for slip, other in other_decoders(decoder)
        )
    else:
        others = list(other_labels(asked.task, labels, known.class_names))
        if asked.task == REGRESSION:
            reread = tuple(in_unit_of(labels, answers))
    return probe(
        Case(
            inputs,
            labels,
            answers,
            ask,
            goodness,
            known.class_names,
            tuple(_resized(known, raw[at], runner)),
            tuple(others),
            reread,
        )
    )


def _resized(metadata: Metadata, raw: Samples, runner: Runner) -> Sequence[Any]:
    found = []
    for name, slip, changed in other_methods(metadata):
        try:
            values = prepared(raw, changed, runner.inputs).inputs[name]
            found.append((slip, name, np.asarray(values)))
        except EdgekitError:
            # What another method cannot take says nothing about the one that was used.
            continue
    return found


def picked(count: int, most: int = MOST, seed: int = 0) -> NDArray[np.intp]:
    """Which of `count` samples are looked at: up to `most`, drawn, in their own order."""
    if count <= most:
        return np.arange(count)
    drawn: NDArray[np.intp] = np.random.default_rng(seed).choice(count, most, replace=False)
    return np.sort(drawn)
