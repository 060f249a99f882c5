"""The learning rate as a function of the step, which a resumed training takes up where it was."""

from __future__ import annotations

from typing import Any

from edgekit.errors import require
from edgekit.recipe.training import TrainingRecipe


def learning_rate(keras: Any, settings: TrainingRecipe, steps_per_epoch: int) -> Any:
    """A schedule of Keras' for the optimiser; a number where it never changes.

    Args:
        keras: the flavour, ``keras`` or ``tf_keras``.
        settings: its `learning_rate` and `schedule`.
        steps_per_epoch: how often weights change in an epoch.
    """
    schedule, full = settings.schedule, settings.learning_rate
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    schedules = keras.optimizers.schedules
    after: Any = full
    if schedule.kind == "cosine":
        after = schedules.CosineDecay(full, settings.epochs * steps_per_epoch - warmup)
    elif schedule.kind == "exponential":
        after = schedules.ExponentialDecay(full, steps_per_epoch, schedule.multiplier)
    elif schedule.kind == "step":
        # A boundary is the last step of the value before it.
        edges = [epoch * steps_per_epoch - 1 - warmup for epoch in schedule.at]
        values = [full * schedule.multiplier**n for n in range(len(edges) + 1)]
        after = schedules.PiecewiseConstantDecay(edges, values)
    return _warmed(keras, after, full, warmup) if warmup else after


def _warmed(keras: Any, after: Any, full: float, steps: int) -> Any:
    tf = require("tensorflow", "export", "Training a model")

    class Warmup(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        """Rises in a straight line from ``full / steps`` to `full`, then does as `after` says."""

        def __call__(self, step: Any) -> Any:
            step = tf.cast(step, tf.float32)
            later = after(tf.maximum(step - steps, 0.0)) if callable(after) else full
            return tf.where(step < steps, full * (step + 1.0) / steps, later)

        def get_config(self) -> dict[str, Any]:
            return {}

    return Warmup()
