"""What a run left: is every output whole or not there, and does the same command succeed again?"""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from whole import fault

from killing.commands import Command
from killing.forks import Done, run

# Of folders that are worked in more than once: who waits for one holds it open, so that it stays.
LOCKS = (".lock", ".build.lock")
EXISTS = re.compile(r"exists? already")


@dataclass(frozen=True)
class Row:
    """One point: which command, what was done to it, how it ended, and what is wrong with what it left."""

    command: str
    what: str
    ended: str
    faults: tuple[str, ...] = ()


@contextmanager
def point(inputs: Path, command: Command) -> Iterator[Path]:
    """A folder for one point."""
    with tempfile.TemporaryDirectory(prefix="edgekit-kills-") as name:
        folder = Path(name, "p")
        shutil.copytree(inputs, folder, symlinks=True)
        for before in command.before:
            (folder / f"before_{before}").rename(folder / before)
        yield folder


def judge(command: Command, folder: Path, first: Done, what: str) -> Row:
    """Look at what a run left, and run the command again."""
    faults = [f"half-written: {each}" for each in halves(command, folder)]
    faults += [f"lost: {each}" for each in _lost(command, folder)]
    if first.code not in (*command.ends, -signal.SIGKILL):
        faults += _untold(first)
    again = run(command.words, folder, lambda: None)
    left = [each for each in command.outputs if not list(folder.glob(each))]
    complete = not left and not halves(command, folder)
    exists = again.code == 2 and EXISTS.search(again.err) is not None
    if not (complete and (again.code in command.ends or exists)):
        faults.append(f"again: exit code {again.code}, without {left}: {again.err[-300:]}")
    elif exists:
        # It looked no further than its outputs. Whoever wants them anew clears up the rest.
        run((*command.words, "--overwrite"), folder, lambda: None)
    hidden = [
        str(path.relative_to(folder)) for path in folder.rglob(".*") if path.name not in LOCKS
    ]
    # Beside it lie sources that TensorFlow generates, and Keras' folders for weights.
    own = (path.name for path in (folder / "tmp").iterdir() if path.name.startswith(".edgekit"))
    hidden += [f"tmp/{name}" for name in own]
    faults += [f"hidden: {each}" for each in hidden]
    ended = f"{first.code}, again {again.code}"
    return Row(command.name, what, ended, tuple(faults))


def _lost(command: Command, folder: Path) -> list[str]:
    """What stood there before, or in what stood there, and is gone."""
    inside = [each for each in command.outputs if Path(each).parts[0] in command.before]
    return [each for each in {*command.before, *inside} if not list(folder.glob(each))]


def halves(command: Command, folder: Path) -> list[str]:
    """Outputs that are there and not whole."""
    found = [path for pattern in command.outputs for path in folder.glob(pattern)]
    # A link that leads nowhere is there, and no pattern finds it.
    found += [
        path
        for each in command.outputs
        if (path := folder / each).is_symlink() and not path.exists()
    ]
    return [f"{path.relative_to(folder)}: {said}" for path in found if (said := fault(path))]


def _untold(done: Done) -> list[str]:
    """What is wrong with how a command said that the machine lacks something."""
    if done.code == 1 and done.err.strip() and not re.search(r"Traceback|This is a bug", done.err):
        return []
    return [f"untold: exit code {done.code}: {done.err[-400:]}"]
