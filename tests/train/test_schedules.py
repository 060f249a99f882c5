"""Learning rates against the formulas, in numpy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgekit.errors import RecipeError
from edgekit.recipe import ScheduleRecipe, TrainingRecipe
from edgekit.recipe.training import OPTIMIZERS
from edgekit.train import compiling
from edgekit.train.schedules import learning_rate

STEPS, FULL, EPOCHS = 10, 0.5, 4
SETTINGS = TrainingRecipe(epochs=EPOCHS, learning_rate=FULL)


def cosine(step: float, total: float) -> float:
    return FULL * (1 + math.cos(math.pi * min(step / total, 1))) / 2


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (ScheduleRecipe(), lambda s: cosine(s, 40)),
        (ScheduleRecipe("constant"), lambda _: FULL),
        (ScheduleRecipe("exponential", 0.5), lambda s: FULL * 0.5 ** (s / STEPS)),
        (ScheduleRecipe("exponential"), lambda s: FULL * 0.9 ** (s / STEPS)),
        (ScheduleRecipe("step", at=(1, 3)), lambda s: FULL * 0.1 ** ((s >= 10) + (s >= 30))),
        (
            ScheduleRecipe(warmup_epochs=1.5),
            lambda s: FULL * (s + 1) / 15 if s < 15 else cosine(s - 15, 25),
        ),
        (
            ScheduleRecipe("step", 0.5, (2,), 0.5),
            lambda s: FULL * (s + 1) / 5 if s < 5 else FULL * 0.5 ** (s >= 20),
        ),
        (
            ScheduleRecipe("constant", warmup_epochs=1),
            lambda s: FULL * min(1, (s + 1) / 10),
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_each_step_of_each_schedule(schedule: ScheduleRecipe, expected: Any) -> None:
    import keras

    rate = learning_rate(keras, replace(SETTINGS, schedule=schedule), STEPS)
    got = [float(rate(step)) if callable(rate) else rate for step in range(STEPS * EPOCHS)]
    np.testing.assert_allclose(
        got, [expected(s) for s in range(STEPS * EPOCHS)], rtol=2e-5, atol=1e-7
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("cosin", r"Did you mean 'cosine'"),
        ({"kind": "step"}, "at: received"),
        ({"kind": "step", "at": [3, 2]}, "ascending"),
        ({"kind": "cosine", "at": [3]}, "takes no steps"),
        ({"kind": "cosine", "factor": 0.5}, "has none"),
        ({"kind": "exponential", "factor": 2}, "factor"),
        ({"kind": "step", "at": [1], "factr": 1}, r"schedule.factr.*Did you mean 'factor'"),
        (3, "a name or a table"),
    ],
)
def test_schedules_that_are_none(given: Any, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        ScheduleRecipe.from_json(given, "training.schedule")


def test_a_warmup_ends_before_the_training() -> None:
    with pytest.raises(RecipeError, match="fewer than the epochs"):
        TrainingRecipe(epochs=2, schedule=ScheduleRecipe(warmup_epochs=2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_is_keras_own_and_takes_its_options(name: str) -> None:
    import keras

    made = compiling.optimizer(
        keras, TrainingRecipe(optimizer=name, optimizer_options={"clipnorm": 1.0}), 3
    )
    assert type(made).__name__.lower() == name
    assert made.clipnorm == 1.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"momentun": 0.9}, r"unknown key 'momentun'.*Did you mean 'momentum'"),
        ({"learning_rate": 0.9}, r"unknown key 'learning_rate'"),
        ({"momentum": 2.0}, r"optimizer_options: .*momentum"),
    ],
)
def test_options_that_an_optimizer_does_not_have(options: dict[str, Any], says: str) -> None:
    import keras

    with pytest.raises(RecipeError, match=says):
        compiling.optimizer(keras, TrainingRecipe(optimizer="sgd", optimizer_options=options), 3)
