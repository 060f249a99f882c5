"""Worker: takes trials of a study, one after the other, until there are enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from edgekit.errors import EdgekitError, of_environment, of_memory, one_line
from edgekit.interruption import put_off
from edgekit.outputs import apart
from edgekit.recipe import Recipe
from edgekit.recipe.tune import trial_recipe
from edgekit.samples.splits import Splits
from edgekit.tune.latency import latency_ms
from edgekit.tune.study import Claim, Study
from edgekit.tune.trial import GivenUpError, Outcome, run_trial

Progress = Callable[[str], None]
# Seconds between two looks at what others run.
_POLL_S = 0.2

OnEpoch = Callable[[Mapping[str, float]], None]


class Compute(Protocol):
    """Where a trial is computed: here, or on another machine that hands its files over."""

    def __call__(self, recipe: Recipe, claim: Claim, on_epoch: OnEpoch) -> Outcome:
        """Fill the claim's workshop.

        Raises:
            EdgekitError: the trial failed.
            GivenUpError: `on_epoch` raised it.
        """
        ...


class Here:
    """Computes trials in this process."""

    def __init__(self, splits: Splits, objectives: tuple[str, ...]) -> None:
        self._splits, self._objectives = splits, objectives

    def __call__(self, recipe: Recipe, claim: Claim, on_epoch: OnEpoch) -> Outcome:
        stem = f"trial-{claim.number:04}"
        with apart():
            return run_trial(self._splits, recipe, claim.workshop, stem, self._objectives, on_epoch)


def work(
    study: Study,
    recipe: Recipe,
    total: int,
    compute: Compute,
    tell: Progress,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Run trials until as many as `total` are done, whoever runs them, or `stop` says so.

    Raises:
        OSError, MemoryError, EdgekitError: the machine lacks what a trial needs, such as space on the
            disk. That is no result: the trial is run again by whoever asks next.
    """
    begun = time.monotonic()
    limit = study.recipe.timeout_s
    late = False
    while not stop():
        late = limit is not None and time.monotonic() - begun > limit
        # From its claim on, a trial is one that is abandoned when this is interrupted.
        with put_off() as hear_again:
            claim = None if late else study.claim(total)
            if claim is not None:
                _run(study, recipe, claim, compute, tell, hear_again)
        if claim is not None:
            continue
        if study.is_busy():
            # Others end what they run, and all come to the same result; or they die, and leave it here.
            time.sleep(_POLL_S)
        else:
            break
    if late:
        tell(f"no more trials are begun after {limit:g} s")


def _run(
    study: Study,
    recipe: Recipe,
    claim: Claim,
    compute: Compute,
    tell: Progress,
    hear_again: Callable[[], None],
) -> None:
    name = f"trial {claim.number}"
    values = ", ".join(f"{key} {_short(value)}" for key, value in claim.values.items())
    again = f" (attempt {claim.attempt})" if claim.attempt > 1 else ""
    epochs = 0

    def on_epoch(row: Mapping[str, float]) -> None:
        nonlocal epochs
        epochs = int(row["epoch"])
        accuracy = row.get("val_accuracy")
        if accuracy is not None and study.report(claim, epochs, accuracy, own.training.epochs):
            raise GivenUpError

    try:
        try:
            hear_again()
            tell(f"{name}{again}: {values}")
            own = trial_recipe(recipe, claim.values)
            outcome = compute(own, claim, on_epoch)
            if "latency_ms" in study.recipe.objectives:
                file = claim.workshop / outcome.files[0].name
                values_ = {**outcome.values, "latency_ms": latency_ms(file, study.folder)}
                outcome = replace(outcome, values=values_)
        except GivenUpError:
            study.give_up(claim)
            came = f"given up after epoch {epochs}, it is behind the others"
        except EdgekitError as error:
            if of_environment(error):
                raise
            study.fail(claim, one_line(error))
            came = f"failed: {one_line(error)}"
        else:
            study.complete(claim, outcome)
            figures = (f"{key} {_short(outcome.values[key])}" for key in study.recipe.objectives)
            came = f"{', '.join(figures)}, {outcome.seconds:.1f} s"
    except BaseException as error:
        # Ctrl-C, a full disk: the trial will be found lost, and run again. One that needs more memory
        # than there is should not be run for ever.
        with put_off():
            study.abandon(claim, counts=of_memory(error))
        raise
    tell(f"{name}: {came}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
