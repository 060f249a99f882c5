"""Diagnose: whether a file follows the original model, and if not, why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.diagnose.causes.inputs import file_slip, reference_causes
from edgekit.diagnose.causes.kernels import kernel_path
from edgekit.diagnose.causes.operators import causes_of_operators, float_operators, not_finite
from edgekit.diagnose.causes.ranges import causes_of_ranges
from edgekit.diagnose.causes.weights import another_model, causes_of_weights
from edgekit.diagnose.comparing import side_by_side
from edgekit.diagnose.decibels import decibels, noise
from edgekit.diagnose.effects import Effects
from edgekit.diagnose.layers import layer_errors
from edgekit.diagnose.network import Array
from edgekit.diagnose.opening import open_network
from edgekit.diagnose.trace import trace
from edgekit.document.diagnosis import FAULTY, HEALTHY, UNEXPLAINED, Cause, Diagnosis
from edgekit.drift.channels import ChannelDrift
from edgekit.drift.golden import Golden
from edgekit.drift.matching import outputs_for, samples_for
from edgekit.errors import TensorError
from edgekit.metrics import distances
from edgekit.metrics.fidelity import sums_to_one
from edgekit.runtime.runner import Runner

# What is lost where a file without a cause is called unexplained: 12 dB, or one answer in ten.
_LOST, _KEPT = 0.063, 0.9
# What a float file may lose beside its own model's answers, and on how many samples that is looked at.
_FLOAT, _ASKED = 1e-2, 64


def diagnose(
    golden: Golden,
    file: Runner,
    plain: Runner | None = None,
    names: Mapping[str, str] | None = None,
    layers: Sequence[str] = (),
) -> Diagnosis:
    """Find out what is wrong with a file.

    Args:
        golden: the original model's answers.
        file: a ``.tflite`` or ``.onnx`` file.
        plain: the float file of the same model, in the same format; without it weights and ranges cannot be
            held against anything.
        names: the files' own name for an input or output of the original's.
        layers: of the Keras model, by name.

    Raises:
        UsageError: the file is a Keras model, or the float file is of another format.
        ArtifactError: a file cannot be run operator by operator.
        TensorError: it has not the inputs and outputs of the reference.
    """
    known = names or {}
    samples = samples_for(golden, file, known)
    outputs = outputs_for(golden, file, known)

    def ask(inputs: Mapping[str, Array]) -> dict[str, Array]:
        found = file.infer_batch(inputs)
        return {name: found[own] for name, own in outputs.items()}

    given = dict(samples.read().inputs)
    answers = ask(given)
    _check(golden, answers, file)
    lost = max(_noise(golden.outputs[name], x) for name, x in answers.items())
    agreement = _agreement(golden, answers)
    causes = list(reference_causes(golden))
    slip = file_slip(ask, given, golden.outputs)
    causes += [slip] if slip else []
    errors = None
    opened = open_network(os.fspath(file.artifact))
    if plain is not None:
        both = side_by_side(golden, file, plain, known, layers)
        errors = layer_errors(both, file.artifact.file, plain.artifact.file)
        other = _of_another(golden, plain, known)
        if slip is None and other is not None:
            causes.append(other)
        elif slip is None:
            effects = Effects.of(both)
            causes += _beside(effects)
            found = kernel_path(opened.network, opened.content, both.file, effects.total)
            causes += [found] if found else []
    else:
        causes += _dead_outputs(golden, answers)
        run = trace(opened.network, samples)
        found = kernel_path(opened.network, opened.content, run, lost)
        causes += [found] if found else []
    causes += float_operators(opened.network)
    causes = _ordered(causes)
    faults = any(cause.severity == "fault" for cause in causes)
    much = lost > _LOST or (agreement is not None and agreement < _KEPT)
    return Diagnosis(
        file=file.artifact.recorded(),
        reference=None if plain is None else plain.artifact.file,
        samples=len(golden.samples),
        verdict=FAULTY if faults else UNEXPLAINED if much else HEALTHY,
        output_db=decibels(lost),
        agreement=agreement,
        causes=tuple(causes),
        layers=errors,
    )


def _of_another(golden: Golden, plain: Runner, known: Mapping[str, str]) -> Cause | None:
    """Whether the float file itself does not follow the golden file: then both files may be another model's."""
    outputs = outputs_for(golden, plain, known)
    some = slice(0, _ASKED)
    given = samples_for(golden, plain, known)[some].read()
    answers = plain.infer_batch(given.inputs)
    lost = max(_noise(golden.outputs[name][some], answers[own]) for name, own in outputs.items())
    if lost < _FLOAT:
        return None
    return Cause(
        "another_model",
        "fault",
        "",
        "",
        f"The float file does not follow the golden file's answers either ({-10 * np.log10(min(lost, 1e12)):.1f} dB): both "
        "files are another model's, or take their inputs in another way than the golden file's model.",
        "Give the float file of the model that the golden file was made of, or make the golden file of this model: edgekit "
        "golden.",
        None,
        {"noise": float(min(lost, 1e12))},
    )


def _beside(effects: Effects) -> list[Cause]:
    """What the float file tells: one that explains all is named alone."""
    other = another_model(effects)
    if other is not None:
        return [other]
    broken = not_finite(effects)
    if broken is not None:
        return [broken]
    found = [*causes_of_weights(effects), *causes_of_ranges(effects)]
    blamed = {cause.tensor for cause in found}
    return found + [c for c in causes_of_operators(effects) if c.tensor not in blamed]


def _dead_outputs(golden: Golden, answers: Mapping[str, Array]) -> Iterator[Cause]:
    """Channels of outputs that died, where nothing tells in which layer."""
    for name, answer in answers.items():
        channels = ChannelDrift.of(golden.outputs[name], answer)
        if channels.dead_count and not sums_to_one(golden.outputs[name]):
            yield Cause(
                "dead_channels",
                "fault",
                "",
                name,
                f"Output {name!r}: {channels.in_words} of {channels.count} moved in the original and gave one value in "
                "the file.",
                "Name the model or its float file to find the layer: --model or --float.",
                None,
                {"dead": float(channels.dead_count), "channels": float(channels.count)},
            )


def _ordered(causes: Sequence[Cause]) -> list[Cause]:
    """Faults first, the one that explains most in front."""
    return sorted(
        causes,
        key=lambda c: (c.severity != "fault", -1.0 if c.share is None else -c.share),
    )


def _noise(reference: Array, answer: Array) -> float:
    found = noise([reference], [answer])
    return np.inf if found is None else found


def _agreement(golden: Golden, answers: Mapping[str, Array]) -> float | None:
    name = golden.task_output
    if name is None or golden.outputs[name].ndim != 2 or golden.outputs[name].shape[1] < 2:
        return None
    if not np.isfinite(answers[name]).all():
        return 0.0
    pair: Any = (distances.predicted_classes(x) for x in (golden.outputs[name], answers[name]))
    return distances.agreement(*pair)


def _check(golden: Golden, answers: Mapping[str, Array], file: Runner) -> None:
    for name, x in answers.items():
        if x.shape != golden.outputs[name].shape:
            raise TensorError(
                f"{file.artifact.name}: output {name!r}: received shape {list(x.shape)}, expected "
                f"{list(golden.outputs[name].shape)}, that of the reference."
            )
