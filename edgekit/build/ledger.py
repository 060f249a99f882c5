"""Ledger: which steps of a build were done, and with what, in a document beside what they made."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from edgekit import document
from edgekit.artifact import Sha256
from edgekit.build.steps import Given, Step
from edgekit.document.record import Document, Record
from edgekit.errors import DocumentError, OutputExistsError, UsageError
from edgekit.files import sha256_of

NAME = "build.json"


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


class Ledger:
    """What was done in a folder, as it is on the disk.

    Args:
        versions: of what does the work, by name: part of what decides about every step.
    """

    def __init__(self, folder: Path, versions: Mapping[str, str]) -> None:
        self._folder, self._versions = folder, dict(versions)
        self.read_again()

    def read_again(self) -> None:
        """Another build may have been at work meanwhile."""
        self._build = _read(self._folder / NAME)

    def refuse_others(self, step: Step) -> None:
        """Ask this before the work.

        Raises:
            OutputExistsError: something stands where a step would write that no build made.
        """
        if step.name in self._build.steps:
            return
        there = [str(path) for path in step.claims if os.path.lexists(path)]
        if there:
            raise OutputExistsError(
                f"{', '.join(there)}: stands where a build would write, and no build made it. Choose another folder, "
                "or move it away."
            )

    def given(self, step: Step) -> Given:
        """What decides about a step, with what the steps before it made, and the versions."""
        found = {**step.given(), **self._versions}
        for name in step.needs:
            done = self._build.steps.get(name)
            outputs = done.outputs if done is not None and done.outputs is not None else {}
            found |= {f"{path} of {name}": digest for path, digest in outputs.items()}
        return found

    def reason(self, step: Step, given: Given) -> str:
        """Why a step has to be done; empty if it has not."""
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

    def begin(self, step: Step, given: Given) -> None:
        """Note that what is there from now on is this step's, whenever it is stopped."""
        self._note(step.name, Done(given, None))

    def end(self, step: Step, given: Given, made: Sequence[Path]) -> None:
        """Note what a step made."""
        hashes = {path.relative_to(self._folder).as_posix(): sha256_of(path) for path in made}
        self._note(step.name, Done(given, hashes))

    def _note(self, name: str, done: Done) -> None:
        self._build = replace(self._build, steps={**self._build.steps, name: done})
        document.write(self._folder / NAME, self._build.to_json())


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
