"""The model is asked as one graph, a bounded number of bytes at a time, and answers as it always does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.convert.check.asking import Asked, asked_model, layer_bytes
from edgekit.convert.check.layers import layers_asked, thinned
from edgekit.errors import require
from edgekit.models.objects import from_object
from edgekit.samples import Samples
from edgekit.tensor import TensorSpec


@pytest.fixture(scope="module")
def source() -> Any:
    keras = require("keras", "export", "a test")
    keras.utils.set_random_seed(1)
    given = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(given)
    x = keras.layers.ReLU(6.0, name="cut")(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    return from_object(keras.Model(given, keras.layers.Dense(4, name="scores")(x)))


@pytest.fixture(scope="module")
def samples() -> Samples:
    x = np.random.default_rng(0).standard_normal((11, 32, 32, 3)).astype(np.float32)
    return Samples({"image": x})


def test_the_answers_are_those_of_an_eager_call(source: Any, samples: Samples) -> None:
    (part,) = asked_model(source).parts(samples)
    eager = source.call({"image": samples.inputs["image"]})
    assert list(part) == ["scores"]
    assert part["scores"] == pytest.approx(np.asarray(eager["scores"]), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("sample_bytes", "fixed", "expected"),
    [(0, None, 11), (1 << 22, None, 4), (1 << 24, None, 1), (1 << 30, None, 1), (1 << 30, 3, 3)],
)
def test_no_more_at_a_time_than_the_bytes_allow(
    samples: Samples, sample_bytes: int, fixed: int | None, expected: int
) -> None:
    seen = set()

    def call(given: Any) -> Any:
        # Called when the graph is made: once for each size.
        seen.add(given["image"].shape[0])
        return {"twice": 2 * given["image"]}

    spec = TensorSpec("image", "float32", (fixed, 32, 32, 3))
    parts = [part["twice"] for part in Asked(call, [spec], sample_bytes).parts(samples)]
    assert seen == {expected}
    answers = np.concatenate(parts)
    assert np.array_equal(answers[:11], 2 * samples.inputs["image"])
    # What fills the last batch is its last sample.
    assert (answers[11:] == answers[10]).all()


def test_it_leaves_tensorflows_options_alone(source: Any, samples: Samples) -> None:
    """They would go into every model that is saved later."""
    context = require("tensorflow.python.eager.context", "export", "a test").context()
    before = context.config.SerializeToString()
    list(asked_model(source).parts(samples))
    assert context.config.SerializeToString() == before


def test_bytes_of_layers(source: Any) -> None:
    """Float32, for one sample: three times 32 x 32 x 8 values are the most."""
    sizes = layer_bytes(source)
    assert max(sizes) == 4 * 32 * 32 * 8
    assert sizes.count(4 * 32 * 32 * 8) == 3


def test_layers_by_name(source: Any, samples: Samples) -> None:
    found = layers_asked(source, samples)
    assert len(found.samples) == 8
    assert found.shapes["cut"] == (32, 32, 8)
    # 1,024 places, of which every fourth.
    assert found.values["norm"].shape == (8, 256, 8)
    assert found.values["cut"] == pytest.approx(np.clip(found.values["norm"], 0, 6), abs=1e-6)
    eager = np.asarray(source.call({"image": found.samples.inputs["image"]})["scores"])
    assert found.values["scores"] == pytest.approx(eager[:, None], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5,), (5, 1, 1)),
        ((5, 7), (5, 1, 7)),
        ((2, 256, 3), (2, 256, 3)),
        ((2, 257, 3), (2, 129, 3)),
        ((2, 16, 32, 3), (2, 256, 3)),
        ((2, 0, 3), (2, 0, 3)),
    ],
)
def test_thinned(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = thinned(values)
    assert found.shape == expected
    assert not np.shares_memory(found, values)
    if found.size:
        assert found[1, 0].tolist() == values[1].reshape(-1, expected[2])[0].tolist()
