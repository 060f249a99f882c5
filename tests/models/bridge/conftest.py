"""What the tests of the bridge share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.models.bridge import TOLERANCE, to_keras, to_tf_keras
from edgekit.models.source import from_keras


def randomised(model: Any) -> Any:
    """With weights that no two roles share, so that a swapped order shows."""
    rng = np.random.default_rng(0)
    model.set_weights(
        [
            rng.uniform(0.1, 1, w.shape).astype(w.dtype) if w.dtype.kind == "f" else w
            for w in model.get_weights()
        ]
    )
    return model


def sourced(model: Any) -> Any:
    flavour = "tf_keras" if type(model).__module__.startswith("tf_keras") else "keras"
    return from_keras(Path("m.keras"), flavour, model)


def assert_alike(expected: Any, received: Any, tables: int = 3) -> None:
    """Two sources answer alike on inputs that the bridge itself did not try, by the same names."""
    import tensorflow as tf

    assert received.inputs == expected.inputs
    assert [spec.name for spec in received.outputs] == [spec.name for spec in expected.outputs]
    rng = np.random.default_rng(7)
    tensors = {}
    for spec in expected.inputs:
        values = rng.uniform(-3, 3, spec.concrete_shape(3))
        if "int" in spec.dtype:
            values = rng.integers(0, tables, spec.concrete_shape(3))
        tensors[spec.name] = tf.cast(tf.constant(values), spec.dtype)
    rights, answers = expected.call(tensors), received.call(tensors)
    assert set(rights) == set(answers)
    for name, right in rights.items():
        a, b = np.asarray(right, np.float64), np.asarray(answers[name], np.float64)
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0) <= TOLERANCE * (np.ptp(a) or np.abs(a).max() or 1.0)


def there_and_back(source: Any) -> Any:
    """The twin of a Keras 3 model, after it and its own twin were found to answer alike."""
    twin = to_tf_keras(source)
    assert twin.source.flavour == "tf_keras"
    assert_alike(source, twin.source)
    back = to_keras(twin.source)
    assert back.source.flavour == "keras"
    assert_alike(source, back.source)
    return twin


@pytest.fixture(scope="session")
def bridged() -> Callable[[Any], Any]:
    """`bridged(model)`: carries a Keras 3 model there and back, asserts, gives the tf_keras twin."""
    return lambda model: there_and_back(sourced(model))


@pytest.fixture(scope="session")
def alike() -> Callable[..., None]:
    return assert_alike


@pytest.fixture(scope="session")
def shaken() -> Callable[[Any], Any]:
    return randomised
