"""Raw data in, named classes out: what a file's metadata says is done around an inference."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import TensorError, UsageError, check_type
from edgekit.runtime.arrange import as_array, require_mapping

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekit.detection import Detection
    from edgekit.runtime.inferring import Arrays, Inferring


def preprocess(runner: Inferring, inputs: Arrays) -> dict[str, NDArray[Any]]:
    """`Runner.preprocess`."""
    require_mapping(inputs, runner.inputs)
    specs = {spec.name: spec for spec in runner.inputs}
    prepared = {name: as_array(name, x) for name, x in inputs.items()}
    for name, steps in runner.metadata.for_inputs(list(specs)).preprocessing.items():
        if name not in prepared:
            continue
        shape = steps.output_shape(prepared[name].shape)
        # How many samples may come at once is for `infer` and `infer_batch` to say.
        batch = specs[name].shape[:1]
        if not specs[name].accepts(tuple(n or 1 for n in (*batch, *shape[1:]))):
            raise TensorError(
                f"input {name!r}: the steps stored in the file turn {list(prepared[name].shape)} "
                f"into {list(shape)}, which the file does not take."
            )
        prepared[name] = steps.apply(prepared[name])
    return prepared


def classify(runner: Inferring, x: NDArray[Any] | Arrays, top: int) -> list[tuple[str, float]]:
    """`Runner.classify`."""
    check_type("top", top, Integral, "a number of classes")
    if top < 1:
        raise UsageError(f"classify: top: received {top}, expected a number from 1.")
    if not isinstance(x, Mapping) and len(runner.inputs) != 1:
        raise TensorError(
            f"classify: received one array, expected a dictionary of arrays for the inputs "
            f"{', '.join(repr(spec.name) for spec in runner.inputs) or 'none'}."
        )
    inputs = x if isinstance(x, Mapping) else {runner.inputs[0].name: x}
    results = runner.infer(runner.preprocess(inputs))
    names = runner.metadata.class_names
    if len(results) != 1:
        raise TensorError(f"classify: received outputs {', '.join(results)}, expected one.")
    (output, scores), *_ = results.items()
    if scores.ndim != 2 or len(scores) != 1 or (names and len(names) != scores.shape[1]):
        raise TensorError(
            f"classify: output {output!r} has shape {list(scores.shape)}, expected [1, "
            f"{len(names) or 'classes'}]."
        )
    if scores.dtype.kind not in "iuf":
        raise TensorError(
            f"classify: output {output!r} has dtype {scores.dtype}, expected numbers, of which the "
            "highest is the most likely class."
        )
    # Unsigned numbers have no negative ones.
    order = np.argsort(-scores[0].astype(np.float64), kind="stable")[:top]
    return [(names[i] if names else str(i), float(scores[0, i])) for i in order]


def detect(runner: Inferring, image: NDArray[Any]) -> list[Detection]:
    """`Runner.detect`."""
    from edgekit.detection import Boxes

    metadata = runner.metadata
    if metadata.decoder is None:
        raise UsageError(
            "detect: the file holds no decoder, which says how its outputs become boxes. Export it "
            "with a table [export.decoder] in the recipe."
        )
    if len(runner.inputs) != 1:
        raise TensorError(f"detect: the file has {len(runner.inputs)} inputs, expected one image.")
    image = np.asarray(image)
    raw = image[None] if image.ndim == 3 else image
    if raw.ndim != 4 or len(raw) != 1:
        raise TensorError(
            f"detect: received shape {list(image.shape)}, expected one image, [height, width, channels]."
        )
    (name,) = (spec.name for spec in runner.inputs)
    prepared = runner.preprocess({name: raw})
    seen = prepared[name].shape
    (boxes,) = metadata.decoder.decode(runner.infer(prepared), seen[1], seen[2])
    steps = metadata.for_inputs([name]).preprocessing.get(name)
    if steps is not None:
        corners = steps.points_back(boxes.corners.reshape(-1, 2), raw.shape).reshape(-1, 4)
        boxes = Boxes(corners, boxes.scores, boxes.classes)
    boxes = boxes.within(*raw.shape[1:3])
    return boxes.named(metadata.class_names)
