"""Running: steps with outputs in one folder, each done again only if what decides about it has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from edgekit.build.hands import Finished, Hands, Here
from edgekit.build.ledger import Ledger
from edgekit.build.steps import Given, Outcome, Planned, Step, Watch
from edgekit.errors import UsageError, nearest
from edgekit.interruption import interrupted
from edgekit.locks import is_held, locked

_LOCK = ".build.lock"

Check = Callable[[], None]


class Steps:
    """The steps of one build, in an order in which each comes after those that it needs.

    Args:
        folder: where outputs lie; made if it is not there.
        steps: with distinct names.
        versions: of what does the work, by name: part of what decides about every step.
        check: called before the first step that is done; raises where a later one could not be.
        phases: all that there may be, in their order; those of `steps` as they come if empty.
    """

    def __init__(
        self,
        folder: Path,
        steps: Sequence[Step],
        versions: Mapping[str, str],
        check: Check = lambda: None,
        phases: Sequence[str] = (),
    ) -> None:
        self._folder, self._check = folder, check
        self._steps = [replace(step, phase=step.phase or step.name) for step in steps]
        self._phases = list(phases) or list(dict.fromkeys(step.phase for step in self._steps))
        self._ledger = Ledger(folder, versions)

    def plan(self, first: str | None = None, last: str | None = None) -> list[Planned]:
        """What `run` would do, without doing it."""
        again: set[str] = set()
        planned = []
        for step, forced in self._chosen(first, last):
            changed = [name for name in step.needs if name in again]
            if changed:
                reason = f"{', '.join(changed)} would run before it"
            elif forced:
                reason = "requested"
            else:
                reason = self._ledger.reason(step, self._ledger.given(step))
            if reason:
                again.add(step.name)
            planned.append(Planned(step.name, reason))
        return planned

    def run(
        self,
        watch: Watch,
        first: str | None = None,
        last: str | None = None,
        *,
        keep_going: bool = False,
        hands: Callable[[], AbstractContextManager[Hands]] = Here,
    ) -> list[Outcome]:
        """Do what is not up to date. Another build of this folder is waited for.

        Args:
            watch: is told of each step.
            first: steps of this phase and of all behind it are done in any case.
            last: no step of a phase behind this one is done.
            keep_going: after a step that failed, go on with those that do not need it, and raise nothing.
            hands: who does the work; this process, one step after another, unless told.

        Returns:
            What became of each step; those that were up to date have no reason.

        Raises:
            UsageError: there is no phase of that name.
            OutputExistsError: something stands where a step would write that no build made.
            Exception: whatever the first step that fails raises, unless `keep_going`. What was at work beside it is
                done to its end; all steps that are done are noted.
        """
        chosen = self._chosen(first, last)
        with self._alone(watch):
            self._ledger.read_again()
            for step, _ in chosen:
                self._ledger.refuse_others(step)
            with hands() as workers:
                return _Run(self._ledger, self._check, chosen, watch, workers, keep_going).all()

    def _chosen(self, first: str | None, last: str | None) -> list[tuple[Step, bool]]:
        """The steps up to a phase, each with whether it is done in any case."""
        names = self._phases
        for name in filter(None, (first, last)):
            if name not in names:
                raise UsageError(
                    f"step {name!r}: received a name that is none, expected one of {', '.join(names)}."
                    f"{nearest(name, names)}"
                )
        begin = names.index(first) if first else len(names)
        end = names.index(last) if last else len(names) - 1
        return [
            (step, at >= begin) for step in self._steps if (at := names.index(step.phase)) <= end
        ]

    @contextmanager
    def _alone(self, watch: Watch) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = self._folder / _LOCK
        if is_held(lock):
            watch.waiting(f"another build of {self._folder} is at work: waiting for it")
        with locked(lock):
            yield


class _Run:
    """One pass over the steps that were chosen: each begins when what it needs is done, and a hand is free."""

    def __init__(
        self,
        ledger: Ledger,
        check: Check,
        chosen: Sequence[tuple[Step, bool]],
        watch: Watch,
        hands: Hands,
        keep_going: bool,
    ) -> None:
        self._ledger, self._check, self._watch, self._hands = ledger, check, watch, hands
        self._keep_going = keep_going
        self._left = list(chosen)
        self._order = [step.name for step, _ in chosen]
        self._outcomes: dict[str, Outcome] = {}
        self._at_work: dict[str, tuple[Step, str, Given]] = {}
        # The first that failed, where that ends the build.
        self._failure: Exception | None = None

    def all(self) -> list[Outcome]:
        while True:
            self._begin_all()
            if not self._at_work:
                break
            self._finish(self._hands.finished(self._watch.heard))
        if self._failure is not None:
            raise self._failure
        return [self._outcomes[name] for name in self._order]

    def _begin_all(self) -> None:
        while self._failure is None and self._hands.free:
            self._drop()
            found = self._next()
            if found is None:
                return
            self._left.remove(found)
            self._begin(*found)

    def _drop(self) -> None:
        """What needs a step that failed is not begun; nor is what needs that."""
        for each in list(self._left):
            step = each[0]
            missing = [n for n in step.needs if n in self._outcomes and not self._outcomes[n].done]
            if missing:
                self._left.remove(each)
                self._end(Outcome(step.name, "", missing=tuple(missing)))

    def _next(self) -> tuple[Step, bool] | None:
        """The first step that can be begun now."""
        if any(step.alone for step, _, _ in self._at_work.values()):
            return None
        waiting = {*self._at_work, *(step.name for step, _ in self._left)}
        ready = [each for each in self._left if waiting.isdisjoint(each[0].needs)]
        if not self._hands.several:
            return ready[0] if ready else None
        # What has to be alone waits until nothing else can be done.
        beside = [each for each in ready if not each[0].alone]
        return next(iter(beside or (() if self._at_work else ready)), None)

    def _begin(self, step: Step, forced: bool) -> None:
        try:
            given = self._ledger.given(step)
            reason = "requested" if forced else self._ledger.reason(step, given)
        except Exception as error:
            self._failed(step.name, "", error)
            return
        if not reason:
            self._outcomes[step.name] = Outcome(step.name, "")
            self._watch.up_to_date(step.name)
            return
        # What is missing for one is missing for all.
        self._check()
        self._watch.begun(step.name, reason)
        self._ledger.begin(step, given)
        self._at_work[step.name] = step, reason, given
        self._hands.take(step.name, step.make, step.alone)

    def _finish(self, finished: Finished) -> None:
        step, reason, given = self._at_work.pop(finished.name)
        if finished.error is not None:
            self._failed(step.name, reason, finished.error)
            return
        self._ledger.end(step, given, finished.made)
        self._end(Outcome(step.name, reason))

    def _failed(self, name: str, reason: str, error: Exception) -> None:
        if interrupted(error):
            raise error
        self._end(Outcome(name, reason, error))
        if not self._keep_going and self._failure is None:
            self._failure = error

    def _end(self, outcome: Outcome) -> None:
        self._outcomes[outcome.name] = outcome
        self._watch.ended(outcome)
