"""Fine-tuning: every kind of task and teacher, batch by batch, and losses that are no number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import SamplesError, TrainingError, UsageError
from edgekit.models.source import SourceModel, from_keras
from edgekit.optimize.finetune import fine_tune, steps_of
from edgekit.optimize.objective import Teacher
from edgekit.recipe import ClusterRecipe
from edgekit.samples import MappedArray, Samples

# Any recipe with a fine-tuning will do.
SETTINGS = ClusterRecipe(16, epochs=4, batch_size=20, learning_rate=0.01)

RNG = np.random.default_rng(0)
X = RNG.random((64, 3)).astype(np.float32)


def dense(flavour: str, units: int, activation: str | None, seed: int = 0) -> SourceModel:
    keras = __import__(flavour)
    keras.utils.set_random_seed(seed)
    x = keras.Input((3,), name="x")
    y = keras.layers.Dense(units, activation=activation, name="y")(x)
    return from_keras(Path("m.keras"), flavour, keras.Model(x, y))


def tuned(source: SourceModel, labels: Any, teacher: Teacher | None = None) -> list[float]:
    return losses_of(source, Samples({"x": X}, labels), teacher)


def losses_of(source: SourceModel, data: Samples, teacher: Teacher | None = None) -> list[float]:
    """The mean loss of each epoch."""
    losses: list[float] = []
    callbacks = __import__(source.flavour).callbacks
    told = callbacks.LambdaCallback(on_epoch_end=lambda _, logs: losses.append(float(logs["loss"])))
    fine_tune(source.model, source, data, SETTINGS, teacher=teacher, callbacks=[told])
    return losses


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize(
    ("units", "activation", "labels"),
    [
        (2, "softmax", (X[:, 0] > 0.5).astype(int)),
        (2, None, (X[:, 0] > 0.5).astype(int)),
        (1, "sigmoid", (X[:, 0] > 0.5).astype(int)),
        (1, None, (X[:, 0] > 0.5).astype(int)),
        (1, None, X[:, 0] * 3),
        (2, None, X[:, :2] * 3),
        (3, None, None),
    ],
    ids=["classes", "logits", "score", "score logit", "value", "values", "reconstruction"],
)
def test_every_task_gets_better(
    flavour: str, units: int, activation: str | None, labels: Any
) -> None:
    losses = tuned(dense(flavour, units, activation), labels)
    assert len(losses) == SETTINGS.epochs
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("units", "activation"), [(2, "softmax"), (2, None), (1, "sigmoid"), (2, "tanh")]
)
@pytest.mark.parametrize("labelled", [False, True])
def test_a_teacher_is_imitated(units: int, activation: str | None, labelled: bool) -> None:
    student, teacher = (dense("tf_keras", units, activation, seed) for seed in (1, 2))
    labels = None
    if labelled:
        labels = X[:, :2] if activation == "tanh" else (X[:, 0] > 0.5).astype(int)

    def apart() -> float:
        return float(np.abs(student.model(X) - teacher.model(X)).mean())

    before = apart()
    tuned(student, labels, Teacher(teacher, weight=0.9))
    assert apart() < before


def test_several_outputs_learn_from_a_teacher_alone() -> None:
    import tf_keras

    def two(seed: int) -> SourceModel:
        tf_keras.utils.set_random_seed(seed)
        x = tf_keras.Input((3,), name="x")
        ends = [tf_keras.layers.Dense(2, name=name)(x) for name in ("a", "b")]
        return from_keras(Path("m.keras"), "tf_keras", tf_keras.Model(x, ends))

    student, teacher = two(1), two(2)
    losses = tuned(student, None, Teacher(teacher))
    assert losses[-1] < losses[0]
    with pytest.raises(UsageError, match="outputs a, b, labels are for one"):
        tuned(student, np.zeros(64, int))


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = dense("tf_keras", 2, None), dense("tf_keras", 2, None)
    labels = (X[:, 0] > 0.5).astype(int)
    assert tuned(first, labels) == tuned(second, labels)
    np.testing.assert_array_equal(first.model.get_weights()[0], second.model.get_weights()[0])


def test_samples_are_read_batch_by_batch() -> None:
    source = dense("tf_keras", 2, None)
    many, read = np.tile(X, (4, 1)), []

    def twice(values: Any) -> Any:
        read.append(len(values))
        return values * 2

    labels = (many[:, 0] > 0.5).astype(int)
    data = Samples({"x": MappedArray(many, twice, (3,), np.float32)}, labels)
    assert steps_of(data, SETTINGS) == 13 * SETTINGS.epochs
    losses = losses_of(source, data)
    assert losses[-1] < losses[0]
    # The first 64 tell whether scores are logits.
    assert max(read) <= 64


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        (None, UsageError, "no labels to fine-tune with"),
        (np.arange(64) % 3, SamplesError, "expected 0 to 1"),
        (X, SamplesError, r"labels: received shape \[64, 3\]"),
        (np.full((64, 2), 1e38, np.float32), TrainingError, r"at step \d+ of 16"),
    ],
)
def test_what_cannot_be_learned(labels: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        tuned(dense("tf_keras", 2, None), labels)


def test_no_samples(halves: Samples, small: SourceModel) -> None:
    del halves
    with pytest.raises(UsageError, match="--data"):
        fine_tune(small.model, small, None, SETTINGS)


def test_callbacks_are_told() -> None:
    import tf_keras

    seen: list[int] = []
    told = tf_keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: seen.append(epoch))
    source = dense("tf_keras", 2, None)
    lines: list[str] = []
    tell: Callable[[str], None] = lines.append
    data = Samples({"x": X}, (X[:, 0] > 0.5).astype(int))
    fine_tune(source.model, source, data, SETTINGS, callbacks=[told], progress=tell)
    assert seen == [0, 1, 2, 3]
    assert lines[-1].startswith("fine-tune epoch 4/4: loss ")
