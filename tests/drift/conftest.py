"""A runner made of numpy, and documents checked against their schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit import document
from edgekit.artifact import Artifact
from edgekit.drift.golden import Golden
from edgekit.runtime.options import Options
from edgekit.runtime.runner import Backend, Runner
from edgekit.samples import Samples
from edgekit.tensor import TensorSpec

Shape = tuple["int | None", ...]
Model = Callable[..., Mapping[str, NDArray[Any]]]


class NumpyRunner(Runner):
    """Runs `model`, a function from arrays by input name to arrays by output name."""

    backend_names = ("numpy",)

    def __init__(
        self, path: Path, model: Model, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]
    ) -> None:
        self._model = model
        self._shapes = inputs, outputs
        super().__init__(Artifact.of(path), "numpy", Options())

    def _open(self, backend: str) -> tuple[Backend, tuple[str, ...]]:
        return Backend(backend, np.__version__), ()

    def _choose(self, _: str | None) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        inputs, outputs = (
            tuple(TensorSpec(name, "float32", shape) for name, shape in shapes.items())
            for shapes in self._shapes
        )
        return inputs, outputs

    def _run(self, arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
        answers = self._model(**dict(zip([i.name for i in self.inputs], arrays, strict=True)))
        return [np.array(answers[spec.name], np.float32) for spec in self.outputs]

    def _close(self) -> None:
        del self._model

    def _twin(self) -> NumpyRunner:
        return NumpyRunner(self.artifact.path, self._model, *self._shapes)


@pytest.fixture(scope="module")
def make_runner(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Runner]:
    """`make_runner(model, inputs, outputs, name)`; by default `x` of 4 values gives `scores` of 3."""

    folder = tmp_path_factory.mktemp("runners")

    def make(
        model: Model,
        inputs: Mapping[str, Shape] | None = None,
        outputs: Mapping[str, Shape] | None = None,
        name: str = "fake.int8.tflite",
    ) -> Runner:
        path = folder / name
        path.write_bytes(name.encode())
        return NumpyRunner(
            path, model, inputs or {"x": (None, 4)}, outputs or {"scores": (None, 3)}
        )

    return make


@pytest.fixture(scope="module")
def weights() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def inputs() -> NDArray[np.float32]:
    return np.random.default_rng(2).normal(size=(40, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def golden(
    make_runner: Callable[..., Runner],
    weights: NDArray[np.float32],
    inputs: NDArray[np.float32],
) -> Golden:
    """A linear classifier of 40 samples; every fifth label is not what it answers."""
    labels = np.argmax(inputs @ weights, 1)
    labels[::5] = (labels[::5] + 1) % 3
    runner = make_runner(lambda x: {"scores": x @ weights}, name="model.keras")
    return Golden.of(runner, Samples({"x": inputs}, labels))


@pytest.fixture
def validate() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Give a document as it reads from a file, valid by the schema it names."""

    def check(content: dict[str, Any]) -> dict[str, Any]:
        assert next(iter(content)) == "schema"
        read: dict[str, Any] = json.loads(document.dumps(content))
        kind = read["schema"].removeprefix("edgekit.").removesuffix("/1")
        jsonschema.Draft202012Validator(document.json_schema(kind)).validate(read)
        return read

    return check
