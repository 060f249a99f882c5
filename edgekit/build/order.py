"""Order: what is to be built of one model, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgekit.bundle.archive import ENDING
from edgekit.drift.budget import DriftBudget
from edgekit.manifest import MANIFEST_NAME
from edgekit.recipe import Recipe
from edgekit.runtime.benchmark import SECONDS

GOLDEN_NAME, DRIFT_NAME, BENCH_NAME, REPORT_NAME, TRAINING_NAME = (
    "golden.npz",
    "drift.json",
    "bench.json",
    "report.html",
    "training.json",
)


@dataclass(frozen=True)
class Training:
    """How the model is made, where it is not there yet.

    Attributes:
        path: of the recipe's file.
        recipe: what it says.
    """

    path: Path
    recipe: Recipe


@dataclass(frozen=True)
class Order:
    """What is to be built.

    Attributes:
        model: the original model, or where it will be when it is trained.
        out: the folder for the files, their proof and the bundle.
        samples: raw ones, labelled where accuracy counts: what files are judged on.
        shared: the folder for what other orders of the same model have in common; `out` if None.
        cell: which combination of a matrix it is, as ``"kws/int8"``; empty for the only one.
        training: how the model is made; None if it is there.
        calibration: raw ones, for integer files.
        data: labelled raw ones, to fine-tune with.
        validation: raw ones, to hold against the ranges found.
        recipes: which files are made, and how, by a name of each; several export side by side.
        budget: what they may cost.
        seconds: how long each file is timed.
        reference: whether the original is timed too.
        archive: whether the bundle is one file.
        key: the private key that signs the bundle, in PEM.
        licence: a file; `licence_id` its SPDX identifier.
        allow_inconclusive: bundle files of which too few samples tell whether they are within the budget.
        trust_code: let code that the model file holds run.
    """

    model: Path
    out: Path
    samples: Path
    shared: Path | None = None
    cell: str = ""
    training: Training | None = None
    calibration: Path | None = None
    data: Path | None = None
    validation: Path | None = None
    recipes: dict[str, Recipe] = field(default_factory=lambda: {"": Recipe()})
    budget: DriftBudget = field(default_factory=DriftBudget)
    seconds: float = SECONDS
    reference: bool = False
    archive: bool = True
    key: Path | None = None
    licence: Path | None = None
    licence_id: str | None = None
    allow_inconclusive: bool = False
    trust_code: bool = False

    @property
    def name(self) -> str:
        """Of the model: its file's, without the ending."""
        return self.model.name.split(".")[0] or self.model.name

    @property
    def common(self) -> Path:
        """The folder for what orders of the same model have in common."""
        return self.shared or self.out

    @property
    def documents(self) -> tuple[Path, ...]:
        """What the report is made of: the comparison first."""
        trained = (self.common / TRAINING_NAME,) if self.training else ()
        return (self.drift, self.manifest, self.bench, *trained)

    @property
    def golden(self) -> Path:
        return self.common / GOLDEN_NAME

    @property
    def manifest(self) -> Path:
        return self.out / MANIFEST_NAME

    @property
    def drift(self) -> Path:
        return self.out / DRIFT_NAME

    @property
    def bench(self) -> Path:
        return self.out / BENCH_NAME

    @property
    def report(self) -> Path:
        return self.out / REPORT_NAME

    @property
    def bundle(self) -> Path:
        """Where the bundle goes."""
        return self.out / (f"{self.name}{ENDING}" if self.archive else f"{self.name}.bundle")

    def optimised(self, recipe: str) -> Path:
        """The folder for the models between the steps of an optimisation."""
        return self.out if self.shared is None else self.shared / "optimised" / (recipe or "export")
