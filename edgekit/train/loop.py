"""The loop over epochs: Keras' own `fit`, watched step by step and kept after each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import TrainingError
from edgekit.recipe.training import TrainingRecipe
from edgekit.train.checkpoint import State
from edgekit.train.targets import Targets

# Seconds between two looks at a progress display.
_LIVE_EVERY_S = 0.1

MODEL, OPTIMIZER, BEST = "model", "optimizer", "best"


@dataclass(frozen=True)
class Watch:
    """Who is told what while a model is fitted.

    Attributes:
        keep: called with the state after each epoch, before all others.
        tell: called with an epoch's row.
        live: called within an epoch with a line of text, some times a second; None for nobody.
    """

    keep: Callable[[State], None]
    tell: Callable[[dict[str, float]], None]
    live: Callable[[str], None] | None = None


def begin(model: Any, state: State | None) -> State:
    """Bring a compiled model to where `state` stands; the state of a beginning without one.

    Raises:
        TrainingError: the state is not this model's.
    """
    model.optimizer.build(model.trainable_variables)
    if state is None:
        return State([], None, 0)
    for name, variables in ((MODEL, model.variables), (OPTIMIZER, model.optimizer.variables)):
        arrays = state.groups[name]
        if [tuple(v.shape) for v in variables] != [x.shape for x in arrays]:
            raise TrainingError(
                f"training: the checkpoint's {name} variables have other shapes than this model's. "
                "Remove the checkpoint to train anew."
            )
        for variable, x in zip(variables, arrays, strict=True):
            variable.assign(x)
    return state


def fit(
    keras: Any,
    model: Any,
    training: Any,
    validation: Any,
    settings: TrainingRecipe,
    targets: Targets,
    steps: int,
    state: State,
    watch: Watch,
    validation_steps: int | None = None,
) -> State:
    """Train until the last epoch or until patience runs out; the model ends with its best weights.

    Args:
        keras: the flavour of `model`.
        model: compiled, and brought to `state` by `begin`.
        training: elements of the epochs that are left, in one go.
        validation: elements of one pass.
        settings: epochs, patience, min_delta.
        targets: what is monitored.
        steps: of an epoch.
        state: where the training stands.
        watch: who is told.
        validation_steps: of a validation whose end cannot be seen, as of a distributed one.

    Raises:
        TrainingError: the loss, or a weight, is no finite number any more; says at which step.
    """
    watcher = _watcher(keras)(settings, targets, steps, state, watch)
    done = len(state.history)
    if done < settings.epochs and not state.stopped:
        model.fit(
            training,
            epochs=settings.epochs,
            initial_epoch=done,
            steps_per_epoch=steps,
            validation_data=validation,
            validation_steps=validation_steps,
            callbacks=[watcher],
            shuffle=False,
            verbose=0,
        )
    state = watcher.state
    model.set_weights(state.groups[BEST])
    return state


def _watcher(keras: Any) -> Any:
    class Watcher(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(
            self,
            settings: TrainingRecipe,
            targets: Targets,
            steps: int,
            state: State,
            watch: Watch,
        ) -> None:
            super().__init__()
            self.state = state
            self._settings, self._targets, self._steps = settings, targets, steps
            self._watch = watch
            self._epoch = 0
            self._raw: list[NDArray[Any]] | None = None
            self._shown = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            del logs
            self._epoch = epoch
            self._start = perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            # The mean over the epoch so far: not finite from the first step on that is not.
            loss = float(logs["loss"])
            if not math.isfinite(loss):
                raise self._broken("the loss became NaN or infinite", batch + 1)
            if self._watch.live is not None:
                self._show(batch + 1, loss, self._watch.live)

        def on_test_begin(self, logs: Any = None) -> None:
            # Averaged weights are what is measured and, if they are best, kept.
            del logs
            if getattr(self.model.optimizer, "use_ema", False):
                variables = self.model.trainable_variables
                self._raw = [variable.numpy() for variable in variables]
                self.model.optimizer.finalize_variable_values(variables)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            row = {key: float(value) for key, value in (logs or {}).items()}
            optimizer = self.model.optimizer
            rate = float(optimizer.learning_rate.numpy())
            row = {
                "epoch": epoch + 1,
                **row,
                "learning_rate": rate,
                "seconds": perf_counter() - self._start,
            }
            measured = self.model.get_weights()
            if self._raw is not None:
                for variable, x in zip(self.model.trainable_variables, self._raw, strict=True):
                    variable.assign(x)
                self._raw = None
            if not math.isfinite(row["val_loss"]):
                raise self._broken("the validation loss is NaN or infinite", self._steps)
            variables = [variable.numpy() for variable in self.model.variables]
            if not all(np.isfinite(x).all() for x in variables if x.dtype.kind == "f"):
                raise self._broken("a weight became NaN or infinite", self._steps)
            self.state = self._advanced(row, measured)
            self.state = replace(
                self.state,
                groups={
                    MODEL: variables,
                    OPTIMIZER: [variable.numpy() for variable in optimizer.variables],
                    BEST: self.state.groups[BEST],
                },
            )
            self._watch.keep(self.state)
            self._watch.tell(row)
            self.model.stop_training = self.state.stopped

        def _advanced(self, row: dict[str, float], measured: list[NDArray[Any]]) -> State:
            """The state with one more row: whether it was the best, and whether it was the last."""
            old, value = self.state, row[self._targets.monitor]
            sign = 1 if self._targets.rises else -1
            history = [*old.history, row]
            if old.best is None or sign * (value - old.best) > self._settings.min_delta:
                return State(history, value, len(history), groups={BEST: measured})
            waited = len(history) - old.best_epoch
            stopped = 0 < self._settings.patience <= waited
            return replace(old, history=history, stopped=stopped)

        def _show(self, batch: int, loss: float, live: Callable[[str], None]) -> None:
            now = perf_counter()
            if now - self._shown < _LIVE_EVERY_S:
                return
            self._shown = now
            left = (now - self._start) * (self._steps - batch) / batch
            live(
                f"epoch {self._epoch + 1}/{self._settings.epochs}: {batch}/{self._steps} steps, "
                f"loss {loss:.4f}, {left:.0f} s left"
            )

        def _broken(self, what: str, step: int) -> TrainingError:
            epoch = self._epoch + 1
            good = len(self.state.history)
            kept = f"The checkpoint of epoch {good} is kept. " if good else ""
            return TrainingError(
                f"training: {what} at step {self._epoch * self._steps + step} (epoch {epoch}, step "
                f"{step} of {self._steps}). {kept}Lower the learning rate (received "
                f"{self._settings.learning_rate:g}) or look at the data."
            )

    return Watcher
