"""Preparation: raw samples as a model takes them, by what the model says about itself.

Samples are always raw data. Whoever runs them through a model asks here first; whoever has arrays that
are prepared already calls `Runner.infer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from edgekit.errors import SamplesError, TensorError
from edgekit.formats.metadata import Metadata, by_input
from edgekit.preprocess import Preprocessing
from edgekit.samples import LazyArray, MappedArray, Samples, blocks
from edgekit.tensor import ANY_INPUT, TensorSpec


def prepared(
    samples: Samples, metadata: Metadata, specs: Sequence[TensorSpec] | None = None
) -> Samples:
    """Raw samples as the model takes them: pre-processed, under its names, classes numbered as its own.

    Nothing is computed here: inputs with steps become lazy arrays. Without steps and names it is
    `Samples.for_inputs`.

    Args:
        samples: raw data.
        metadata: what the model or its file says about itself.
        specs: the model's inputs; None where there is no model yet, then names stay as they are.

    Raises:
        TensorError: an input is missing or unknown, or its samples, prepared, have another shape or
            kind; a step that cannot take the data.
        SamplesError: a class that the model does not have; samples that differ in shape.
    """
    inputs = dict(samples.inputs)
    if specs is not None and len(specs) == 1 and set(inputs) == {ANY_INPUT}:
        inputs = {specs[0].name: inputs[ANY_INPUT]}
    for name, steps in by_input(metadata.preprocessing, list(inputs)).items():
        inputs[name] = _mapped(name, inputs[name], steps)
    samples = replace(samples, inputs=inputs).for_classes(metadata.class_names)
    for name, x in inputs.items():
        if None in x.shape:
            raise _differ(name, x)
    return samples if specs is None else samples.for_inputs(specs)


def learned(preprocessing: Mapping[str, Preprocessing], samples: Samples) -> Metadata:
    """What a model that is trained on `samples` says about itself: fitted steps and class names.

    Its steps go by the samples' input names: `Metadata.for_inputs` gives them the model's.

    Args:
        preprocessing: as `fitted` takes it.
        samples: raw ones, of the training split alone.

    Raises:
        TensorError: as `fitted`.
    """
    return Metadata(class_names=samples.class_names, preprocessing=fitted(preprocessing, samples))


def fitted(
    preprocessing: Mapping[str, Preprocessing], samples: Samples
) -> dict[str, Preprocessing]:
    """The same steps, those that learn from data fitted on `samples`, which are read once for each.

    Args:
        preprocessing: by input name; ``x`` stands for the only input.
        samples: raw ones, of the training split alone.

    Returns:
        By the samples' input names.

    Raises:
        TensorError: an input that the samples do not have, or a step that cannot take the data.
    """
    result = {}
    for name, steps in by_input(preprocessing, list(samples.inputs)).items():
        read = partial(_read, name, samples.inputs[name])
        result[name] = steps.fit(read)
    return result


def _read(name: str, x: Any, steps: Preprocessing) -> Iterator[NDArray[Any]]:
    return blocks(_mapped(name, x, steps))


def _mapped(name: str, x: Any, steps: Preprocessing) -> Any:
    if not steps.steps:
        return x
    try:
        shape = steps.output_shape(tuple(x.shape))
    except TensorError as error:
        raise TensorError(f"input {name!r}: {error}") from error
    if None in shape:
        raise _differ(name, x)
    return MappedArray(x, steps.apply, shape[1:], "float32")


def _differ(name: str, x: LazyArray) -> SamplesError:
    return SamplesError(f"input {name!r}: samples differ in shape. {x.why_open}")
