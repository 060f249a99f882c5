"""Steps: works with outputs in one folder, each done again only if what decides about it has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgekit import document
from edgekit.artifact import Sha256
from edgekit.document.record import Document, Record
from edgekit.errors import DocumentError, OutputExistsError, UsageError, nearest
from edgekit.files import sha256_of
from edgekit.locks import is_held, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "build.json"
_LOCK = ".build.lock"

Given = dict[str, str]


@dataclass(frozen=True)
class Done(Record):
    """One step, as it was done last.

    Attributes:
        given: what decided about it: a hash or a value, by a word for it.
        outputs: the hash of each file that it made, by its path in the folder; None while it is at work, or
            if it was stopped.
    """

    given: dict[str, str]
    outputs: dict[str, Sha256] | None


@dataclass(frozen=True)
class Build(Document):
    """Which steps of a build were done, and with what.

    Attributes:
        steps: by name, in their order.
    """

    kind: ClassVar[str] = "build"

    steps: dict[str, Done] = field(default_factory=dict)

    @property
    def in_words(self) -> str:
        done = [name for name, step in self.steps.items() if step.outputs is not None]
        return f"build: {', '.join(done) or 'nothing'} done"


@dataclass(frozen=True)
class Step:
    """A work to do.

    Attributes:
        name: one word.
        given: tells what decides about it; called when the steps that it needs are done.
        make: does it, and gives the files that it made. Files that it made before may be there.
        needs: steps whose outputs it takes.
        claims: what it writes, as far as that is known before: where it was never done, nothing may be there.
    """

    name: str
    given: Callable[[], Given]
    make: Callable[[], Sequence[Path]]
    needs: tuple[str, ...] = ()
    claims: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Planned:
    """What would become of a step.

    Attributes:
        reason: why it runs; empty if it is up to date.
    """

    name: str
    reason: str


class Steps:
    """The steps of one build, in an order in which each comes after those that it needs.

    Args:
        folder: where outputs lie; made if it is not there.
        steps: with distinct names.
        versions: of what does the work, by name: part of what decides about every step.
        check: called before the first step that is done; raises where a later one could not be.
    """

    def __init__(
        self,
        folder: Path,
        steps: Sequence[Step],
        versions: Mapping[str, str],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder, self._steps, self._check = folder, list(steps), check
        self._versions = dict(versions)
        self._build = _read(folder / NAME)

    def plan(self, first: str | None = None, last: str | None = None) -> list[Planned]:
        """What `run` would do, without doing it."""
        again: set[str] = set()
        planned = []
        for step, forced in self._chosen(first, last):
            changed = [name for name in step.needs if name in again]
            if changed:
                reason = f"{', '.join(changed)} would run before it"
            else:
                reason = "asked for" if forced else self._reason(step, self._all_given(step))
            if reason:
                again.add(step.name)
            planned.append(Planned(step.name, reason))
        return planned

    def run(
        self,
        tell: Callable[[str], None],
        first: str | None = None,
        last: str | None = None,
    ) -> list[Planned]:
        """Do what is not up to date, one after another. Another build of this folder is waited for.

        Args:
            tell: called with a line of text for each step.
            first: this step and all behind it are done in any case.
            last: no step behind this one is done.

        Returns:
            What was done, and why; steps that were up to date have no reason.

        Raises:
            UsageError: there is no step of that name.
            OutputExistsError: something stands where a step would write that no build made.
            Exception: whatever a step raises; the steps before it are done and noted.
        """
        chosen = self._chosen(first, last)
        with self._alone(tell):
            # Another build may have been at work meanwhile.
            self._build = _read(self._folder / NAME)
            for step, _ in chosen:
                if step.name not in self._build.steps:
                    self._refuse_others(step)
            return [self._run_one(step, forced, tell) for step, forced in chosen]

    def _run_one(self, step: Step, forced: bool, tell: Callable[[str], None]) -> Planned:
        given = self._all_given(step)
        reason = "asked for" if forced else self._reason(step, given)
        if not reason:
            tell(f"{step.name}: up to date")
            return Planned(step.name, "")
        self._check()
        tell(f"{step.name}: {reason}")
        # What is there from now on is this step's, whenever it is stopped.
        self._note(step.name, Done(given, None))
        made = step.make()
        hashes = {path.relative_to(self._folder).as_posix(): sha256_of(path) for path in made}
        self._note(step.name, Done(given, hashes))
        return Planned(step.name, reason)

    def _refuse_others(self, step: Step) -> None:
        there = [str(path) for path in step.claims if os.path.lexists(path)]
        if there:
            raise OutputExistsError(
                f"{', '.join(there)}: stands where a build would write, and no build made it. Choose another folder, "
                "or move it away."
            )

    def _reason(self, step: Step, given: Given) -> str:
        done = self._build.steps.get(step.name)
        if done is None:
            return "not done yet"
        if done.outputs is None:
            return "was stopped before its end"
        changed = [key for key in {**given, **done.given} if given.get(key) != done.given.get(key)]
        if changed:
            return f"changed: {', '.join(changed)}"
        for name, digest in done.outputs.items():
            path = self._folder / name
            if not path.exists():
                return f"{name} is gone"
            if sha256_of(path) != digest:
                return f"{name} is not as it was made"
        return ""

    def _all_given(self, step: Step) -> Given:
        """With what the steps before it made, and the versions."""
        found = {**step.given(), **self._versions}
        for name in step.needs:
            done = self._build.steps.get(name)
            outputs = done.outputs if done is not None and done.outputs is not None else {}
            found |= {f"{path} of {name}": digest for path, digest in outputs.items()}
        return found

    def _note(self, name: str, done: Done) -> None:
        self._build = replace(self._build, steps={**self._build.steps, name: done})
        document.write(self._folder / NAME, self._build.to_json())

    def _chosen(self, first: str | None, last: str | None) -> list[tuple[Step, bool]]:
        names = [step.name for step in self._steps]
        for name in filter(None, (first, last)):
            if name not in names:
                raise UsageError(
                    f"step {name!r}: received a name that is none, expected one of {', '.join(names)}."
                    f"{nearest(name, names)}"
                )
        begin = names.index(first) if first else len(names)
        end = names.index(last) if last else len(names) - 1
        return [(step, i >= begin) for i, step in enumerate(self._steps) if i <= end]

    @contextmanager
    def _alone(self, tell: Callable[[str], None]) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = self._folder / _LOCK
        if is_held(lock):
            tell(f"another build of {self._folder} is at work: waiting for it")
        with locked(lock):
            yield


def _read(path: Path) -> Build:
    """What was done in a folder; nothing where the document is not there, or none that can be read."""
    if not os.path.lexists(path):
        return Build()
    try:
        found = document.load(path)
    except DocumentError:
        return Build()
    if not isinstance(found, Build):
        raise UsageError(
            f"{path}: is a document of the kind {found.kind!r}, and a build keeps its own under that name. "
            "Choose another folder."
        )
    return found
