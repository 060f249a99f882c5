"""The interpreters of a ledger: what each runs, what brings it, and how ``edgekit compare`` is told to take it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.boards.job import BUDGET, GOLDEN, Work
from edgekit.drift.compare import answers_file


@dataclass(frozen=True)
class Runtime:
    """An interpreter, and the kernels that it is to take.

    Attributes:
        ending: of the files that it runs.
        package: that brings it; the one that the machine has if None.
        words: for ``edgekit compare``.
    """

    name: str
    ending: str
    package: str | None
    words: tuple[str, ...]


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime("litert", ".tflite", "ai-edge-litert", ("--backend", "litert")),
        Runtime("tflite-runtime", ".tflite", "tflite-runtime", ("--backend", "tflite-runtime")),
        Runtime("reference", ".tflite", None, ("--delegate", "reference")),
        Runtime("onnxruntime", ".onnx", "onnxruntime", ("--backend", "onnxruntime")),
    )
}


@dataclass(frozen=True)
class CellWork(Work):
    """What is asked of a machine and an interpreter: what each file answers, and how it drifts.

    Each file is a step of its own, since one may end the interpreter. It is not tried in a child first: nothing
    else would be lost with the process. It says nothing but what goes wrong: the table has the rest.

    Attributes:
        words: for every ``edgekit compare``.
    """

    runtime: Runtime = RUNTIMES["litert"]
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, work: Work, runtime: Runtime, words: tuple[str, ...] = ()) -> CellWork | None:
        """`work` for one interpreter; None where it runs none of the files."""
        files = tuple(path for path in work.files if path.suffix == runtime.ending)
        if not files:
            return None
        # onnxruntime comes with whatever the files need.
        interpreter = runtime.package if runtime.ending == ".tflite" else None
        fields = {**vars(replace(work, files=files, interpreter=interpreter))}
        return cls(**fields, runtime=runtime, words=words)

    def steps(self, python: str) -> list[dict[str, Any]]:
        words = [python, "-m", "edgekit", "compare", "-q", "--golden", GOLDEN, "--budget", BUDGET]
        more = [*self.words, *self.runtime.words, "--no-verify", "--answers", "out"]
        return [
            {
                "name": path.name,
                "argv": [*words, *more, path.name, "--json", f"out/{drift_file(path.name)}"],
                "document": f"out/{drift_file(path.name)}",
                "each": {},
            }
            for path in self.files
        ]


def drift_file(name: str) -> str:
    """What the drift of a file of that name is fetched as."""
    return f"drift-{name}.json"


def fetched(folder: Path, name: str) -> tuple[Path, Path]:
    """Where the drift and the answers of a file lie after they were fetched into a folder."""
    return folder / drift_file(name), answers_file(folder, name)
