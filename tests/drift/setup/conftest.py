"""A model made of templates, whose samples can be handed over in every wrong way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.drift.golden import Golden
from edgekit.formats.metadata import Metadata
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples

Array = NDArray[Any]
CLASSES, SIDE = 12, 12


@dataclass(frozen=True)
class Pictures:
    """Smooth pictures of twelve classes in colour, with up, left and noise."""

    templates: Array

    def draw(self, count: int, seed: int = 1) -> tuple[Array, Array]:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, CLASSES, count)
        noise = rng.normal(0, 0.25, (count, SIDE, SIDE, 3))
        return np.clip(self.templates[labels] + noise, 0, 1).astype(np.float32), labels

    def scores(self, image: Array) -> Array:
        rows = image.reshape(len(image), -1)
        flat = self.templates.reshape(CLASSES, -1)
        logits = (2 * rows @ flat.T - np.square(flat).sum(1)) / 2
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        return shifted / shifted.sum(1, keepdims=True)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    rng = np.random.default_rng(3)
    templates = rng.normal(size=(CLASSES, SIDE, SIDE, 3)).cumsum(1).cumsum(2)
    templates /= np.abs(templates).max((1, 2, 3), keepdims=True)
    # The sky is bright.
    templates += np.linspace(0.5, -0.5, SIDE)[:, None, None]
    return Pictures((templates + 1) / 2 * np.array([1, 0.7, 0.4]))


@pytest.fixture
def model(make_runner: Callable[..., Runner], pictures: Pictures) -> Callable[..., Runner]:
    """`model(name, scores, **metadata)`: a runner that answers as the pictures' model."""

    def make(
        name: str = "model.keras", scores: Callable[[Array], Array] | None = None, **metadata: Any
    ) -> Runner:
        answer = scores or pictures.scores
        runner = make_runner(
            lambda image: {"scores": answer(image)},
            {"image": (None, SIDE, SIDE, 3)},
            {"scores": (None, CLASSES)},
            name,
        )
        vars(runner)["metadata"] = Metadata(**metadata)
        return runner

    return make


@pytest.fixture
def golden_of(model: Callable[..., Runner]) -> Callable[..., Golden]:
    """`golden_of(x, labels, **metadata)`: what the model answers to such samples."""

    def make(x: Array, labels: Array | None = None, **metadata: Any) -> Golden:
        return Golden.of(model(**metadata), Samples({"image": np.ascontiguousarray(x)}, labels))

    return make
