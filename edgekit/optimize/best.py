"""Best: the weights of the epoch that does best on samples that are not trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.samples import Samples


def parted(data: Samples, share: float, seed: int) -> tuple[Samples, Samples | None]:
    """Samples to train on, and a `share` of them, drawn with `seed`, to judge by: None if that is none."""
    count = round(len(data) * share)
    if not 0 < count < len(data):
        return data, None
    order = np.random.default_rng(seed).permutation(len(data))
    # Ascending: data that is read from files lies together.
    return data[np.sort(order[count:])], data[np.sort(order[:count])]


def keep_best(keras: Any, measure: str, before: Mapping[str, float], count: int) -> Any:
    """A callback for a `fit` with validation data, after which the model has its best weights.

    Args:
        keras: of the model's flavour.
        measure: what is to be small: ``loss``, or the name of a metric.
        before: what the validation data gave before training.
        count: how many samples these are.

    Returns:
        A callback whose `text` says which epoch was best, the state before training being one;
        of two that are alike the earlier. Fewer labels missed than before count if they are fewer
        by two standard deviations of a count, which are the square roots of what is counted.
    """
    luck = 2 * math.sqrt(before[measure] / count) if measure != "loss" else 0.0

    class Best(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._epoch = 0
            self._first = self._best = before[measure]
            self._weights: list[Any] = []

        @property
        def text(self) -> str:
            kept = f"epoch {self._epoch}" if self._epoch else "the state before training"
            return (
                f"kept {kept}: {measure} {self._best:.4f} on the samples held out, {self._first:.4f} "
                "before"
            )

        def on_train_begin(self, logs: Any = None) -> None:
            del logs
            self._weights = self.model.get_weights()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs[f"val_{measure}"] < min(self._best, self._first - luck):
                self._epoch, self._best = epoch + 1, logs[f"val_{measure}"]
                self._weights = self.model.get_weights()

        def on_train_end(self, logs: Any = None) -> None:
            del logs
            self.model.set_weights(self._weights)

    return Best()
