"""Chain: export, golden, compare, bench, report and bundle of one model, as steps.

What a step needs is imported when it is done: a build in which nothing has changed should be over in a moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgekit import document
from edgekit.build.steps import Given, Step, Steps
from edgekit.bundle.archive import ENDING
from edgekit.cache import maker_versions, own_code
from edgekit.drift.budget import DriftBudget
from edgekit.drift.drift import Drift
from edgekit.errors import BudgetError, UndecidedError, require
from edgekit.files import existing, sha256_of
from edgekit.manifest import MANIFEST_NAME, Manifest
from edgekit.recipe import Recipe
from edgekit.runtime.benchmark import SECONDS

EXPORT, GOLDEN, COMPARE, BENCH, REPORT, BUNDLE = NAMES = (
    "export",
    "golden",
    "compare",
    "bench",
    "report",
    "bundle",
)
_GOLDEN, _DRIFT, _BENCH, _REPORT = "golden.npz", "drift.json", "bench.json", "report.html"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What is to be built.

    Attributes:
        model: the original model.
        out: the folder to build in.
        samples: raw ones, labelled where accuracy counts: what files are judged on.
        calibration: raw ones, for integer files.
        recipe: which files are made, and how.
        budget: what they may cost.
        seconds: how long each file is timed.
        archive: whether the bundle is one file.
        key: the private key that signs the bundle, in PEM.
        licence: a file; `licence_id` its SPDX identifier.
        allow_inconclusive: bundle files of which too few samples tell whether they are within the budget.
        trust_code: let code that the model file holds run.
    """

    model: Path
    out: Path
    samples: Path
    calibration: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    budget: DriftBudget = field(default_factory=DriftBudget)
    seconds: float = SECONDS
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
    def documents(self) -> tuple[Path, ...]:
        """What the report is made of: the comparison first."""
        return tuple(self.out / name for name in (_DRIFT, MANIFEST_NAME, _BENCH))

    @property
    def bundle(self) -> Path:
        """Where the bundle goes."""
        return self.out / (f"{self.name}{ENDING}" if self.archive else f"{self.name}.bundle")


def steps_of(order: Order, tell: Tell) -> Steps:
    """The steps from a model to a bundle.

    Raises:
        UsageError: a file that the order names does not exist.
    """
    existing(order.model, "model file")
    existing(order.samples, "samples")
    for path, what in (
        (order.calibration, "calibration samples"),
        (order.key, "key"),
        (order.licence, "licence"),
    ):
        if path is not None:
            existing(path, what)
    chain, out = _Chain(order, tell), order.out
    before = (EXPORT, GOLDEN, COMPARE, BENCH, REPORT)
    steps = [
        Step(EXPORT, chain.of_export, chain.export, (), (out / MANIFEST_NAME,)),
        Step(GOLDEN, chain.of_golden, chain.golden, (), (out / _GOLDEN,)),
        Step(COMPARE, chain.of_compare, chain.compare, (EXPORT, GOLDEN), (out / _DRIFT,)),
        Step(BENCH, chain.of_bench, chain.bench, (EXPORT,), (out / _BENCH,)),
        Step(REPORT, dict, chain.report, (EXPORT, COMPARE, BENCH), (out / _REPORT,)),
        Step(BUNDLE, chain.of_bundle, chain.bundle, before, (order.bundle,)),
    ]
    versions = {**maker_versions(), "edgekit's code": own_code()}
    return Steps(order.out, steps, versions, chain.check)


def drift_of(order: Order) -> Drift:
    """The comparison that a build made."""
    drift = document.load(order.out / _DRIFT)
    assert isinstance(drift, Drift)
    return drift


def judged(order: Order) -> Drift:
    """The comparison that a build made, if it says that files may be shipped.

    Raises:
        BudgetError: a file exceeds the budget.
        UndecidedError: the samples are too few to tell, and the order does not allow that.
    """
    drift = drift_of(order)
    reasons = "; ".join(reason for each in drift.candidates for reason in each.reasons)
    about = f"{order.out / _REPORT}: the verdict is {drift.verdict!r}, and there is no bundle"
    if drift.verdict == "fail":
        raise BudgetError(f"{about}: {reasons}")
    if drift.verdict == "inconclusive" and not order.allow_inconclusive:
        raise UndecidedError(
            f"{about}: {reasons} More samples tell; --allow-inconclusive makes one all the same."
        )
    return drift


@dataclass(frozen=True)
class _Chain:
    """What each step is given, and does."""

    order: Order
    tell: Tell

    def check(self) -> None:
        """Is there all that later steps need?"""
        from edgekit.bundle.pack import check_able

        check_able(self.order.key)
        require("jinja2", "report", "A report")

    def of_export(self) -> Given:
        order = self.order
        return {
            "model": sha256_of(order.model),
            "calibration": _hash(order.calibration),
            "recipe": json.dumps(asdict(order.recipe), sort_keys=True, default=str),
            "trust_code": str(order.trust_code),
        }

    def export(self) -> Sequence[Path]:
        from edgekit.convert.export import export

        order = self.order
        made = export(
            order.model,
            out=order.out,
            calibration=order.calibration,
            recipe=order.recipe,
            overwrite=True,
            trust_code=order.trust_code,
            progress=self.tell,
        )
        # Files of an earlier build that is not asked for any more.
        wanted = {path.name for path in self._paths(made.manifest)}
        manifest = self._manifest()
        for file in manifest.files:
            if file.artifact.name not in wanted:
                (order.out / file.artifact.name).unlink(missing_ok=True)
        document.write(order.out / MANIFEST_NAME, manifest.of_files(wanted).to_json())
        return [*self._paths(made.manifest), order.out / MANIFEST_NAME]

    def of_golden(self) -> Given:
        order = self.order
        return {
            "model": sha256_of(order.model),
            "samples": _hash(order.samples),
            "tasks": json.dumps(
                [dict(order.recipe.export.tasks), str(order.recipe.export.decoder)]
            ),
            "trust_code": str(order.trust_code),
        }

    def golden(self) -> Sequence[Path]:
        from edgekit.drift.golden import Golden
        from edgekit.runtime import load

        order = self.order
        recipe = order.recipe.export
        with load(order.model, trust_code=order.trust_code) as reference:
            golden = Golden.of(reference, order.samples, None, recipe.tasks, decoder=recipe.decoder)
        golden.save(order.out / _GOLDEN, overwrite=True)
        return [order.out / _GOLDEN]

    def of_compare(self) -> Given:
        return {"budget": json.dumps(self.order.budget.to_json(), sort_keys=True)}

    def compare(self) -> Sequence[Path]:
        from edgekit.drift.compare import compare

        out = self.order.out
        drift = compare(out / _GOLDEN, self._files(), self.order.budget, progress=self.tell)
        document.write(out / _DRIFT, drift.to_json())
        return [out / _DRIFT]

    def of_bench(self) -> Given:
        return {"seconds": f"{self.order.seconds:g}"}

    def bench(self) -> Sequence[Path]:
        from edgekit.runtime.benchmark import benchmark

        out = self.order.out
        timing = benchmark(self._files(), seconds=self.order.seconds, progress=self.tell)
        document.write(out / _BENCH, timing.to_json())
        return [out / _BENCH]

    def report(self) -> Sequence[Path]:
        from edgekit.report import write_report

        out = self.order.out
        write_report(self.order.documents, out / _REPORT, overwrite=True, golden=out / _GOLDEN)
        return [out / _REPORT]

    def of_bundle(self) -> Given:
        order = self.order
        return {
            "samples": _hash(order.samples),
            "key": _hash(order.key),
            "licence": f"{_hash(order.licence)} {order.licence_id}",
            "archive": order.bundle.name,
            "allow_inconclusive": str(order.allow_inconclusive),
            "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", ""),
        }

    def bundle(self) -> Sequence[Path]:
        from edgekit.bundle.pack import Parts, pack
        from edgekit.samples import load_samples

        order, out = self.order, self.order.out
        drift = judged(order)
        parts = Parts(
            order.name,
            tuple(self._files()),
            self._manifest(),
            out / _GOLDEN,
            drift,
            load_samples(order.samples),
            out / _BENCH,
            out / _REPORT,
            order.licence,
            order.licence_id,
            self._class_names(),
        )
        if order.bundle.is_dir():
            import shutil

            shutil.rmtree(order.bundle)
        pack(parts, order.bundle, key=order.key, overwrite=True, progress=self.tell)
        return [order.bundle]

    def _class_names(self) -> tuple[str, ...]:
        from edgekit.runtime import load

        with load(self._files()[0]) as runner:
            return runner.metadata.class_names

    def _manifest(self) -> Manifest:
        found = document.load(self.order.out / MANIFEST_NAME)
        assert isinstance(found, Manifest)
        return found

    def _paths(self, manifest: Manifest) -> list[Path]:
        return [self.order.out / file.artifact.name for file in manifest.files]

    def _files(self) -> list[Path]:
        return self._paths(self._manifest())


def _hash(path: Path | None) -> str:
    return "none" if path is None else sha256_of(path)
