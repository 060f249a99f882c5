"""Study: the trials that several processes share, one of them at a time deciding what comes next."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from edgekit.errors import OutputExistsError, RecipeError, require
from edgekit.locks import hold, is_held, locked
from edgekit.recipe import OBJECTIVES, Recipe, TuneRecipe
from edgekit.recipe.identity import comparable
from edgekit.recipe.tune import searchable
from edgekit.tune.early_stopping import behind
from edgekit.tune.journal import open_storage
from edgekit.tune.trial import Outcome

JOURNAL = "study.journal"
# What may differ between those who share a study: it changes how many trials there are, not what they are.
_OPEN = ("trials", "workers", "timeout_s")
# A trial that its process never survives is no use to try for ever.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Claim:
    """A trial that is this process's to run.

    Attributes:
        values: by dotted key of the recipe.
        attempt: 1, or more for one that was lost before.
        workshop: a folder of its own, empty; becomes the trial's when it ends well.
    """

    trial: Any
    number: int
    values: dict[str, Any]
    attempt: int
    workshop: Path
    lock: int


class Study:
    """Trials of one recipe in one folder.

    Args:
        folder: made if it is not there.
        recipe: with a search.
        data: a hash of the data, which all who share the study must have.

    Raises:
        OutputExistsError: the folder holds other things.
        RecipeError: it holds the study of another recipe, or of other data.
        MissingDependencyError: Optuna is not installed.
    """

    def __init__(self, folder: Path, recipe: Recipe, data: str) -> None:
        assert recipe.tune is not None, "the caller has checked it"
        self.folder = folder
        self.recipe: TuneRecipe = recipe.tune
        self._optuna = require("optuna", "tune", "Tuning")
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        self._distributions = _distributions(self._optuna, recipe)
        check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # It comes first: it makes the folder one of a study.
        with locked(folder / "study.lock"):
            for name in ("running", "trials"):
                (folder / name).mkdir(exist_ok=True)
            self._storage = open_storage(folder / JOURNAL)
            self._study = self._optuna.create_study(
                storage=self._storage,
                study_name="edgekit",
                directions=[
                    "maximize" if OBJECTIVES[name] else "minimize"
                    for name in self.recipe.objectives
                ],
                load_if_exists=True,
            )
            self._check_identity(_identity(recipe, data))

    def _check_identity(self, own: dict[str, Any]) -> None:
        theirs = self._study.user_attrs.get("identity")
        if theirs is None:
            self._study.set_user_attr("identity", own)
        elif theirs != own:
            different = [
                f"{key} is {theirs.get(key)!r:.60} there and {own.get(key)!r:.60} here"
                for key in sorted({*theirs, *own})
                if theirs.get(key) != own.get(key)
            ]
            raise RecipeError(
                f"{self.folder}: holds the study of another recipe: {'; '.join(different[:3])}. "
                "Give another folder, or the recipe that the study was begun with."
            )

    def claim(self, total: int) -> Claim | None:
        """The next trial, or None if as many as `total` are done or running somewhere."""
        states = self._optuna.trial.TrialState
        with locked(self.folder / "study.lock"):
            self._find_lost()
            trials = self._study.get_trials(deepcopy=False)
            waiting = any(trial.state == states.WAITING for trial in trials)
            if not waiting and sum("lost" not in trial.user_attrs for trial in trials) >= total:
                return None
            # A fresh one each time: what it draws follows from the trials and not from who asks.
            seed = (self.recipe.seed * 1_000_003 + len(trials)) % 2**32
            self._study.sampler = self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            trial = self._study.ask(self._distributions)
            return Claim(
                trial,
                trial.number,
                dict(trial.params),
                trial.user_attrs.get("attempt", 1),
                Path(mkdtemp(prefix=self._prefix(trial.number), dir=self.folder / "trials")),
                hold(self._lock_file(trial.number)),
            )

    def report(self, claim: Claim, epoch: int, accuracy: float, epochs: int) -> bool:
        """Keep the validation accuracy of an epoch; gives whether to give the trial up."""
        claim.trial.set_user_attr(f"epoch {epoch}", accuracy)
        if not self.recipe.pruning:
            return False
        many = len(self.recipe.objectives) > 1
        own = [
            claim.trial.user_attrs[f"epoch {n}"]
            for n in range(1, epoch + 1)
            if f"epoch {n}" in claim.trial.user_attrs
        ]
        return behind(own, [accuracies(trial) for trial in self.completed()], epochs, many)

    def complete(self, claim: Claim, outcome: Outcome) -> None:
        """The trial has ended well: its folder is kept while it is on the front."""
        with locked(self.folder / "study.lock"):
            claim.workshop.chmod(0o755)
            claim.workshop.replace(self.trial_folder(claim.number))
            claim.trial.set_user_attr("outcome", outcome.to_json())
            values = [outcome.values[name] for name in self.recipe.objectives]
            self._study.tell(claim.trial, values)
            kept = {trial.number for trial in self.front()}
            for trial in self.completed():
                if trial.number not in kept:
                    shutil.rmtree(self.trial_folder(trial.number), ignore_errors=True)
        self._release(claim)

    def give_up(self, claim: Claim) -> None:
        """The trial was pruned."""
        self._study.tell(claim.trial, state=self._optuna.trial.TrialState.PRUNED)
        self._release(claim)

    def fail(self, claim: Claim, reason: str) -> None:
        """The trial has failed by itself: it is not tried again."""
        claim.trial.set_user_attr("reason", reason)
        self._study.tell(claim.trial, state=self._optuna.trial.TrialState.FAIL)
        self._release(claim)

    def abandon(self, claim: Claim, *, counts: bool = False) -> None:
        """The trial was interrupted: whoever asks next finds it lost, and runs it again.

        It takes no space on the disk, whose lack may be the reason.

        Args:
            counts: as an attempt, like that of a process that died.
        """
        if counts:
            # A lock file that nobody holds is what such a process leaves.
            os.close(claim.lock)
        else:
            self._release(claim)

    def is_busy(self) -> bool:
        """Whether somebody runs a trial; trials whose process is no more become trials to run again."""
        running = self._optuna.trial.TrialState.RUNNING
        with locked(self.folder / "study.lock"):
            self._find_lost()
            return bool(self._study.get_trials(deepcopy=False, states=(running,)))

    def trials(self) -> list[Any]:
        """All of Optuna's trials, by number; those that wait are no trials yet."""
        waiting = self._optuna.trial.TrialState.WAITING
        found = self._study.get_trials(deepcopy=False)
        return [trial for trial in found if trial.state != waiting]

    def completed(self) -> list[Any]:
        return [trial for trial in self.trials() if trial.state.name == "COMPLETE"]

    def front(self) -> list[Any]:
        """The trials that no other one beats in every objective, by number; of one objective, the best."""
        done = self.completed()
        signs = [-1 if OBJECTIVES[name] else 1 for name in self.recipe.objectives]
        costs = {
            trial.number: tuple(s * v for s, v in zip(signs, trial.values, strict=True))
            for trial in done
        }
        return [
            trial
            for trial in done
            if not any(
                dominates(costs[other.number], costs[trial.number])
                # Of equals the first stays.
                or (costs[other.number] == costs[trial.number] and other.number < trial.number)
                for other in done
            )
        ]

    def trial_folder(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:04}"

    def _find_lost(self) -> None:
        """Trials whose process is no more become trials to run again."""
        states = self._optuna.trial.TrialState
        for trial in self._study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            lock = self._lock_file(trial.number)
            # Who leaves in order takes the file along: that says nothing about the trial.
            died = lock.exists()
            if died and is_held(lock):
                continue
            attempt = trial.user_attrs.get("attempt", 1)
            following = attempt + died
            ended = "its process ended" if died else "it was interrupted"
            about: dict[str, Any] = {"reason": f"{ended} in attempt {attempt}"}
            if following <= _ATTEMPTS:
                about["lost"] = True
            for key, value in about.items():
                self._storage.set_trial_user_attr(trial._trial_id, key, value)
            self._study.tell(trial.number, state=states.FAIL)
            if following <= _ATTEMPTS:
                self._study.enqueue_trial(trial.params, user_attrs={"attempt": following})
            self._clear(trial.number)

    def _release(self, claim: Claim) -> None:
        self._clear(claim.number, keep=True)
        os.close(claim.lock)

    def _clear(self, number: int, keep: bool = False) -> None:
        for left in (self.folder / "trials").glob(f"{self._prefix(number)}*"):
            shutil.rmtree(left, ignore_errors=True)
        if not keep:
            shutil.rmtree(self.trial_folder(number), ignore_errors=True)
        with suppress(FileNotFoundError):
            self._lock_file(number).unlink()

    def _lock_file(self, number: int) -> Path:
        return self.folder / "running" / f"{number:04}"

    @staticmethod
    def _prefix(number: int) -> str:
        return f".{number:04}-"


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether costs are nowhere higher and somewhere lower."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def accuracies(trial: Any) -> list[float]:
    """The validation accuracy after each epoch of one of Optuna's trials."""
    found = {
        int(key.removeprefix("epoch ")): value
        for key, value in trial.user_attrs.items()
        if key.startswith("epoch ")
    }
    return [found[epoch] for epoch in sorted(found)]


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds other things than a study.

    Raises:
        OutputExistsError: it does, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder}: is a file, expected a folder for the study.")
    if folder.exists() and any(folder.iterdir()) and not (folder / "study.lock").exists():
        raise OutputExistsError(
            f"{folder}: holds files and no study. Give a folder that is new or empty, or that of the "
            "study to join."
        )


def _identity(recipe: Recipe, data: str) -> dict[str, Any]:
    """What makes trials comparable, by dotted key."""
    known = comparable(recipe)
    for key in _OPEN:
        del known[f"tune.{key}"]
    return {**known, "data": data}


def _distributions(optuna: Any, recipe: Recipe) -> dict[str, Any]:
    assert recipe.tune is not None, "the caller has checked it"
    kinds = searchable(recipe)
    made = {}
    for key, dimension in recipe.tune.search.items():
        if dimension.choices:
            made[key] = optuna.distributions.CategoricalDistribution(dimension.choices)
        elif kinds[key] is int:
            made[key] = optuna.distributions.IntDistribution(
                dimension.low, dimension.high, log=dimension.log
            )
        else:
            made[key] = optuna.distributions.FloatDistribution(
                dimension.low, dimension.high, log=dimension.log
            )
    return made
