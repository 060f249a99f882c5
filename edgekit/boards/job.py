"""A job: what is done on a board, as the agent there reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.boards.agent import GRACE_S
from edgekit.drift.budget import DriftBudget
from edgekit.drift.figure import KINDS
from edgekit.drift.limit import Limit
from edgekit.errors import UsageError

# On the board.
RUNS = "~/.cache/edgekit/runs"
BUDGET, GOLDEN = "budget.toml", "golden.npz"
_BUNDLE, _ARCHIVE = "bundle", ".tar.xz"
# A difference of shares above it is asked about, unless it is in per cent.
_DOUBTFUL = 0.2


@dataclass(frozen=True)
class Work:
    """What is asked of every board.

    Attributes:
        files: model files, whose names differ.
        golden: what they are compared with; None without.
        budget: what the comparison is judged by.
        seconds: how long each file is timed; None without.
        interpreter: package of the one that TFLite files need; whichever a board has if None.
        bundle: a bundle's file or folder, which the board tests itself with; None without.
        bundled: its model files, by name.
    """

    files: tuple[Path, ...]
    golden: Path | None
    budget: DriftBudget
    seconds: float | None
    interpreter: str | None = None
    bundle: Path | None = None
    bundled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [path.name for path in self.files]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(
                f"build: received {len(self.files)} files, of which several are called {twice[0]}, expected "
                "files whose names differ."
            )

    def onnx(self, available: bool = True) -> bool:
        """Whether onnxruntime is to be installed.

        Args:
            available: whether the board can have it. Where not, a bundle's self-test leaves its ``.onnx`` files out,
                if there are others; files of a build are asked for by name.
        """
        others = [name for name in self.bundled if not name.endswith(".onnx")]
        names = self.names if available or not others else [path.name for path in self.files]
        return any(name.endswith(".onnx") for name in names)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all model files, each once."""
        return tuple(dict.fromkeys((*(path.name for path in self.files), *self.bundled)))

    def copied(self) -> dict[str, Path | bytes]:
        """The files that go to the board, by name there."""
        found: dict[str, Path | bytes] = {path.name: path for path in self.files}
        if self.golden is not None:
            found[GOLDEN] = self.golden
            found[BUDGET] = budget_toml(self.budget).encode()
        if self.bundle is not None and self.bundle.is_dir():
            inside = [path for path in self.bundle.rglob("*") if path.is_file()]
            found |= {f"{_BUNDLE}/{p.relative_to(self.bundle).as_posix()}": p for p in inside}
        elif self.bundle is not None:
            found[self._place] = self.bundle
        return found

    @property
    def _place(self) -> str:
        """The bundle's name there. An archive is known by its ending."""
        folder = self.bundle is None or self.bundle.is_dir()
        return _BUNDLE if folder else f"{_BUNDLE}{_ARCHIVE}"

    def steps(self, python: str) -> list[dict[str, Any]]:
        """Those of edgekit: the machine, the self-test, the comparison, the benchmark."""
        edgekit = [python, "-m", "edgekit"]
        steps = [_step("doctor", [*edgekit, "doctor"], "host", [])]
        names = [path.name for path in self.files]
        if self.bundle is not None:
            steps.append(_step("selftest", [*edgekit, "selftest", self._place], "selftest", []))
        if self.golden is not None:
            words = [*edgekit, "compare", "--golden", GOLDEN, "--budget", BUDGET]
            steps.append(_step("compare", words, "drift", names))
        if self.seconds is not None:
            words = [*edgekit, "bench", "--seconds", f"{self.seconds:g}"]
            steps.append(_step("bench", words, "bench", names))
        return steps


def _step(name: str, words: Sequence[str], document: str, files: Sequence[str]) -> dict[str, Any]:
    """One command over all files; and over each, should one of them end the interpreter."""
    step: dict[str, Any] = {
        "name": name,
        "argv": [*words, *files, "--json", f"out/{document}.json"],
        "document": f"out/{document}.json",
        "each": {},
    }
    if len(files) > 1:
        step["each"] = {
            file: [*words, file, "--json", f"out/{document}-{file}.json"] for file in files
        }
    return step


@dataclass(frozen=True)
class Environment:
    """A virtual environment on the board, kept for the next run of the same wheels.

    Attributes:
        wheels: all that is installed, by name.
        system: whether the board's own packages are seen too.
    """

    wheels: dict[str, bytes | Path]
    system: bool
    python: str

    @property
    def folder(self) -> str:
        digest = hashlib.sha256(f"{self.python} {self.system}".encode())
        for name, content in sorted(self.wheels.items()):
            data = content if isinstance(content, bytes) else content.read_bytes()
            digest.update(name.encode() + hashlib.sha256(data).digest())
        return f"env-{digest.hexdigest()[:12]}"

    def steps(self) -> list[dict[str, Any]]:
        place = f"{RUNS}/{self.folder}"
        # Without pip, which takes long to make; so it needs no package beside Python's own.
        venv = [self.python, "-m", "venv", "--without-pip"]
        seen = ["--system-site-packages"] if self.system else []
        shared = {"ready": place, "needed": True}
        return [
            {"name": "environment", "argv": [*venv, *seen, place], "first": True, **shared},
            {
                "name": "install",
                "argv": [f"{place}/bin/python", "agent.py", "install", "wheels"],
                "last": True,
                **shared,
            },
        ]


def job(steps: Sequence[dict[str, Any]], grace_s: float = GRACE_S) -> dict[str, Any]:
    """What ``job.json`` holds."""
    return {"steps": list(steps), "grace_s": grace_s}


def budget_toml(budget: DriftBudget) -> str:
    """A budget as ``compare --budget`` reads it."""
    # A text of JSON is one of TOML, too.
    texts = ", ".join(json.dumps(_text(limit)) for limit in budget.all_limits)
    return f"[budget]\nlimits = [{texts}]\n"


def _text(limit: Limit) -> str:
    """A limit as `Limit.parse` reads it."""
    place = ", ".join(filter(None, (limit.output, limit.group)))
    shown = repr(float(limit.value))
    if KINDS[limit.figure].unit == "difference" and limit.value > _DOUBTFUL:
        shown = f"{100 * limit.value!r}%"
    side = "<=" if limit.at_least is None else ">="
    return f"{limit.figure}{f'[{place}]' if place else ''} {side} {shown}"
