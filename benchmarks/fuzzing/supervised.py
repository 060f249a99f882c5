"""Callers that may die, and a word for what became of a mutant."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fuzzing.mutants import HEAVY
from fuzzing.watch import Watch

SCRIPT = Path(__file__).resolve().parents[1] / "fuzz_models.py"
HANG_SECONDS = 60
# A process that has to import TensorFlow first.
START_SECONDS = 300
BROKEN = "CALLING PROCESS"


class Supervised:
    """A process of `fuzzing.callers`, started again when it has died.

    Args:
        python: its interpreter.
        words: its role.
        folder: its current one.
        watch: sees what it does; None for nobody.
    """

    def __init__(self, python: str, *words: str, folder: Path, watch: Watch | None) -> None:
        self._words = [python, str(SCRIPT), "--role", *words]
        self._perturbed = words[0] == "checks"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.watch = watch

    def ask(self, path: Path) -> dict[str, Any]:
        patience = HANG_SECONDS
        if self._process is None:
            patience = START_SECONDS
            environment = dict(os.environ)
            if self._perturbed:
                environment["MALLOC_PERTURB_"] = "165"
            self._process = subprocess.Popen(
                [*(self.watch.words if self.watch else []), *self._words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                cwd=self._folder,
                start_new_session=True,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{path}\n".encode())
        process.stdin.flush()
        if not _answers(process, patience):
            self.close()
            return {"hung": True}
        line = process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = process.wait()
        self.close()
        return {"crashed": signal.Signals(-code).name if code < 0 else f"exit code {code}"}

    def close(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None


def _answers(process: subprocess.Popen[bytes], patience: float) -> bool:
    """Whether a process says anything within so many seconds, those left out in which it had no processor."""
    begun, waited = time.monotonic(), dict[Path, int]()
    while time.monotonic() - begun < patience + sum(waited.values()) / 1e9:
        if select.select([process.stdout], [], [], 1)[0]:
            return True
        waited |= _waiting(process.pid)
    return False


def _waiting(session: int) -> dict[Path, int]:
    """Nanoseconds that each thread of a session has waited for a processor."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # What has ended meanwhile has nothing to say.
        with suppress(OSError, IndexError):
            if int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[3]) != session:
                continue
            (longest,) = sorted(
                (int(each.read_text().split()[1]), each)
                for each in stat.parent.glob("task/*/schedstat")
            )[-1:]
            found[stat.parent] = longest[0]
    return found


class Callers:
    """The processes that one worker asks, each started when it is needed.

    Args:
        python: their interpreter.
        structure: whether the structure of a file is checked.
        folder: their current one.
        watches: one for each of the three; None for nobody.
    """

    def __init__(
        self, python: str, structure: bool, folder: Path, watches: list[Watch] | None
    ) -> None:
        checks, calls, keras = watches or (None, None, None)
        word = "all" if structure else "trial"
        self._checks = Supervised(python, "checks", word, folder=folder, watch=checks)
        self._calls = Supervised(python, "calls", folder=folder, watch=calls)
        self._keras = Supervised(python, "keras", folder=folder, watch=keras)

    def learn(self, path: Path) -> None:
        """Read a file that nobody mutated, so that it is known what is opened for it."""
        for each in self._asked(path):
            each.ask(path)
            if each.watch:
                each.watch.learn()

    def outcome(self, path: Path) -> tuple[str, str]:
        """A word for what became of one mutant, and what was said."""
        word, text = "loaded and ran", ""
        for each in self._asked(path):
            answer = each.ask(path)
            if each.watch and (outside := each.watch.outside()):
                return f"{BROKEN} outside", "; ".join(outside)
            for failure in ("crashed", "hung", "untyped", "megabytes"):
                if failure in answer:
                    return f"{BROKEN} {failure}: {answer[failure]}", ""
            if "refused" in answer:
                text = answer["refused"]
                return (
                    _refusal(text) if each is self._checks else "passed, refused when loaded"
                ), text
            if "ran" in answer and not answer["ran"]:
                word = "loaded, typed errors for all inputs"
        return word, text

    def close(self) -> None:
        for each in (self._checks, self._calls, self._keras):
            each.close()

    def _asked(self, path: Path) -> tuple[Supervised, ...]:
        if path.suffix in HEAVY:
            return (self._keras,)
        # Golden files and documents have no trial.
        return (
            (self._checks, self._calls) if path.suffix in (".tflite", ".onnx") else (self._calls,)
        )


def _refusal(text: str) -> str:
    for sign, kind in (
        ("not a whole", "refused: structure"),
        ("changed while", "refused: changed"),
        ("did not finish", "trial: too long"),
        ("wanted more", "trial: too much memory"),
        ("was refused", "trial: error of the interpreter"),
        ("crashed the interpreter with ", "trial: crash"),
    ):
        if sign in text:
            name = text.split(sign)[1].split()[0] if "crash" in kind else ""
            return f"{kind} {name}".strip()
    return "trial: ended by itself"
