"""Matching: which of a model's inputs and outputs is which of the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from edgekit.drift.golden import Golden
from edgekit.errors import TensorError
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.samples import check_sample_array
from edgekit.tensor import TensorSpec


def samples_for(golden: Golden, runner: Runner, names: Mapping[str, str]) -> Samples:
    """The golden's samples under the names of the runner's inputs.

    Inputs of other names are matched where their shapes and dtypes leave one way.

    Args:
        golden: the reference.
        runner: the candidate.
        names: the candidate's own name for an input or output of the reference's.

    Raises:
        TensorError: an input is missing or unknown, there is no way or more than one, or samples
            have another shape or kind.
    """
    inputs = {names.get(name, name): x for name, x in golden.samples.inputs.items()}
    wanted = [spec for spec in runner.inputs if spec.name not in inputs]
    known = {spec.name for spec in runner.inputs}
    free = [name for name in inputs if name not in known]
    if wanted and len(wanted) == len(free):
        samples = replace(golden.samples, inputs=inputs)
        ways = list(_ways(wanted, free, samples))
        if len(ways) == 1:
            inputs = {ways[0].get(name, name): x for name, x in inputs.items()}
        elif ways:
            raise TensorError(
                f"{runner.artifact.name}: received inputs {', '.join(map(repr, free))}, expected "
                f"{', '.join(repr(spec.name) for spec in wanted)}, and more than one way fits. Say "
                f"which is which: --map {free[0]}={wanted[0].name}."
            )
    return replace(golden.samples, inputs=inputs).for_inputs(runner.inputs)


def outputs_for(golden: Golden, runner: Runner, names: Mapping[str, str]) -> dict[str, str]:
    """The runner's output name for each of the reference's; a single one is matched whatever its name.

    Raises:
        TensorError: the names are others.
    """
    wanted = list(golden.outputs)
    found = [spec.name for spec in runner.outputs]
    named = {name: names.get(name, name) for name in wanted}
    if sorted(named.values()) == sorted(found):
        return named
    if len(wanted) == len(found) == 1:
        return {wanted[0]: found[0]}
    raise TensorError(
        f"{runner.artifact.name}: received outputs {', '.join(map(repr, found))}, expected those "
        f"of the reference, {', '.join(map(repr, wanted))}. Several outputs are matched by name: "
        f"export with the original names, or say which is which: --map {wanted[0]}={found[0]}."
    )


def _ways(
    specs: Sequence[TensorSpec], names: Sequence[str], samples: Samples
) -> Iterator[dict[str, str]]:
    """Every way to give each of `specs` one of `names`: the spec's name by the sample's."""
    if not specs:
        yield {}
        return
    spec = specs[0]
    for name in names:
        try:
            check_sample_array(spec, samples.inputs[name])
        except TensorError:
            continue
        for rest in _ways(specs[1:], [n for n in names if n != name], samples):
            yield {name: spec.name, **rest}
