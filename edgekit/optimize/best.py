"""Best: the weights of the epoch that does best on samples that are not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.samples import Samples

# Standard deviations of chance by which an epoch must be better than no training.
_BEYOND_CHANCE = 2.0


@dataclass(frozen=True)
class Kept:
    """Which state of a model was kept, and what told.

    Attributes:
        epoch: counted from one; 0 for that before training.
        measure: ``wrong``, the share of labels missed, or ``loss``.
        samples: how many were held out.
        before: the measure's mean over them for what was to be beaten.
        after: that of the epoch kept; of the best one where none was.
    """

    epoch: int
    measure: str
    samples: int
    before: float
    after: float

    @property
    def figures(self) -> str:
        """Both means in words, such as ``missed 23 before, 3 after``."""
        if self.measure == "wrong":
            missed = (round(mean * self.samples) for mean in (self.before, self.after))
            return "missed {} before, {} after".format(*missed)
        return f"loss {self.before:.4g} before, {self.after:.4g} after"


def parted(data: Samples, share: float, seed: int) -> tuple[Samples, Samples | None]:
    """Samples to train on, and a `share` of them, drawn with `seed`, to judge by: None if that is none."""
    count = round(len(data) * share)
    if not 0 < count < len(data):
        return data, None
    order = np.random.default_rng(seed).permutation(len(data))
    # Ascending: data that is read from files lies together.
    return data[np.sort(order[count:])], data[np.sort(order[:count])]


def better(before: NDArray[Any], after: NDArray[Any]) -> bool:
    """Whether a measure that is to be small fell by more than chance, sample by sample.

    The sum of the differences must be above two standard deviations of what it would be if their
    signs were chance: the root of the sum of their squares. Of labels missed that is McNemar's test
    ("Note on the sampling error of the difference between correlated proportions or percentages",
    1947): only samples that one state tells right and the other does not count.

    Args:
        before, after: (samples,), of the same samples in the same order.
    """
    gain = before.astype(np.float64) - after
    return bool(gain.sum() > _BEYOND_CHANCE * math.sqrt(np.square(gain).sum()))


def keep_best(
    keras: Any, measure: str, before: NDArray[Any], judge: Callable[[], NDArray[Any]]
) -> Any:
    """A callback for `fit`, after which the model has its best weights.

    An epoch counts if it is `better` than what was before, and of those the one with the smallest
    mean, the earlier of two that are alike. Without one the model has the weights that it began with.

    Args:
        keras: of the model's flavour.
        measure: what `judge` gives, ``wrong`` or ``loss``.
        before: what is to be beaten, on each sample held out: (samples,).
        judge: measures the model as it is now, on the same samples.

    Returns:
        A callback whose `kept` is a `Kept` after the training.
    """

    class Best(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            del logs
            self._means: list[float] = []
            self._epoch, self._weights = 0, self.model.get_weights()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            del logs
            now = judge()
            best = self._means[self._epoch - 1] if self._epoch else math.inf
            self._means.append(float(now.mean()))
            if self._means[-1] < best and better(before, now):
                self._epoch, self._weights = epoch + 1, self.model.get_weights()

        def on_train_end(self, logs: Any = None) -> None:
            del logs
            self.model.set_weights(self._weights)
            after = self._means[self._epoch - 1] if self._epoch else min(self._means)
            self.kept = Kept(self._epoch, measure, len(before), float(before.mean()), after)

    return Best()
