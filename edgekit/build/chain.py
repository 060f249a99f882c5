"""Chain: train, optimise, export, golden, compare, bench, report and bundle of one order, each as a work.

What a step needs is imported when it is done: a build in which nothing has changed should be over in a moment.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import document
from edgekit.build.hands import Tell
from edgekit.build.inputs import NONE, hash_of_data, hash_of_file, hash_of_network, hash_of_samples
from edgekit.build.order import TRAINING_NAME, Order
from edgekit.build.steps import Given
from edgekit.drift.drift import Drift
from edgekit.errors import BudgetError, RecipeError, UndecidedError, require
from edgekit.manifest import Manifest
from edgekit.recipe import ExportRecipe, Recipe
from edgekit.recipe.identity import comparable

if TYPE_CHECKING:
    from edgekit.convert.request import Request


def drift_of(order: Order) -> Drift:
    """The comparison that a build made."""
    return Drift.load(order.drift)


def judged(order: Order) -> Drift:
    """The comparison that a build made, if it says that files may be shipped.

    Raises:
        BudgetError: a file exceeds the budget.
        UndecidedError: the samples are too few to tell, and the order does not allow that.
    """
    drift = drift_of(order)
    reasons = "; ".join(reason for each in drift.candidates for reason in each.reasons)
    about = f"{order.report}: the verdict is {drift.verdict!r}, and there is no bundle"
    if drift.verdict == "fail":
        raise BudgetError(f"{about}: {reasons}")
    if drift.verdict == "inconclusive" and not order.allow_inconclusive:
        raise UndecidedError(
            f"{about}: {reasons} More samples tell; --allow-inconclusive makes one all the same."
        )
    return drift


def is_optimising(recipe: Recipe) -> bool:
    """Whether a recipe changes the model before its files are made."""
    export = recipe.export
    return any(table is not None for table in (export.prune, export.cluster, export.qat))


@dataclass(frozen=True)
class Chain:
    """What each step of an order is given, and does. A process of its own can do it: all of it can be pickled."""

    order: Order

    def check(self) -> None:
        """Is there all that later steps need?"""
        from edgekit.bundle.pack import check_able

        check_able(self.order.key)
        require("jinja2", "report", "A report")

    def of_train(self) -> Given:
        training = self.order.training
        assert training is not None, "the model is there"
        return {
            "recipe": _json(comparable(training.recipe)),
            "data": hash_of_data(training.recipe),
            "network": hash_of_network(training.recipe.model),
            "trust_code": str(self.order.trust_code),
        }

    def train(self, tell: Tell) -> Sequence[Path]:
        from edgekit.samples import load_splits
        from edgekit.train.trainer import train

        order, training = self.order, self.order.training
        assert training is not None, "the model is there"
        assert training.recipe.data is not None, "a pipeline sees to it"
        trained = train(
            load_splits(training.recipe.data),
            training.recipe,
            order.model,
            overwrite=True,
            progress=tell,
            trust_code=order.trust_code,
        )
        document.write(order.common / TRAINING_NAME, trained.to_json())
        return [order.model, order.common / TRAINING_NAME]

    def of_optimise(self, name: str) -> Given:
        order, recipe = self.order, self.order.recipes[name]
        export = recipe.export
        treatment = {
            key: asdict(export)[key]
            for key in ("prune", "cluster", "qat", "distill", "imports", "signature", "shape")
        }
        return {
            "model": hash_of_file(order.model),
            "data": _first(order.data, recipe),
            "recipe": _json(treatment),
            "trust_code": str(order.trust_code),
        }

    def optimise(self, name: str, tell: Tell) -> Sequence[Path]:
        from edgekit.convert.request import optimise
        from edgekit.samples import Sources

        return optimise(self._request(name, self.order.optimised(name)), Sources(), progress=tell)

    def of_export(self) -> Given:
        order = self.order
        recipes = list(order.recipes.values())
        imports = [path for recipe in recipes for path in recipe.export.imports]
        return {
            "model": hash_of_file(order.model),
            "calibration": _first(order.calibration, *recipes),
            "data": _first(order.data, *recipes) if any(map(is_optimising, recipes)) else NONE,
            "validation": hash_of_samples(order.validation),
            "recipe": _json([asdict(recipe) for recipe in recipes]),
            "imports": " ".join(hash_of_file(Path(path)) for path in imports),
            "trust_code": str(order.trust_code),
        }

    def export(self, tell: Tell) -> Sequence[Path]:
        from edgekit.convert.request import run
        from edgekit.samples import Sources

        order, sources = self.order, Sources()
        order.out.mkdir(parents=True, exist_ok=True)
        requests: dict[str, Request] = {}
        names: dict[str, str] = {}
        for name in order.recipes:
            requests[name] = self._request(name, order.out)
            for file in requests[name].order().files:
                if (other := names.setdefault(file.name, name)) != name:
                    raise RecipeError(
                        f"recipes {other!r} and {name!r}: received two that make {file.name}, expected files whose "
                        "names differ. Give each a cell: [matrix] recipes = [...]."
                    )
        made: set[str] = set()
        for name, request in requests.items():
            self._take_optimised(name)
            made |= {artifact.name for artifact in run(request, sources, progress=tell)}
        manifest = self._manifest()
        # Files of an earlier build that is not requested any more.
        for there in manifest.files:
            if there.artifact.name not in made:
                (order.out / there.artifact.name).unlink(missing_ok=True)
        manifest = manifest.of_files(made)
        document.write(order.manifest, manifest.to_json())
        return [*self._paths(manifest), order.manifest]

    def of_golden(self) -> Given:
        order, recipe = self.order, self._first_export()
        return {
            "model": hash_of_file(order.model),
            "samples": hash_of_samples(order.samples),
            "tasks": json.dumps([dict(recipe.tasks), str(recipe.decoder)]),
            "trust_code": str(order.trust_code),
        }

    def golden(self, tell: Tell) -> Sequence[Path]:
        from edgekit.drift.golden import Golden
        from edgekit.runtime import load

        order, recipe = self.order, self._first_export()
        tell("asking the original model")
        with load(order.model, trust_code=order.trust_code) as reference:
            golden = Golden.of(reference, order.samples, None, recipe.tasks, decoder=recipe.decoder)
        golden.save(order.golden, overwrite=True)
        return [order.golden]

    def of_compare(self) -> Given:
        return {"budget": json.dumps(self.order.budget.to_json(), sort_keys=True)}

    def compare(self, tell: Tell) -> Sequence[Path]:
        from edgekit.drift.compare import compare

        order = self.order
        drift = compare(order.golden, self._files(), order.budget, progress=tell)
        document.write(order.drift, drift.to_json())
        return [order.drift]

    def of_bench(self) -> Given:
        return {"seconds": f"{self.order.seconds:g}", "reference": str(self.order.reference)}

    def bench(self, tell: Tell) -> Sequence[Path]:
        from edgekit.runtime import load
        from edgekit.runtime.benchmark import benchmark

        order, files = self.order, self._files()
        if order.reference:
            with load(order.model, trust_code=order.trust_code) as original:
                timing = benchmark([original, *files], seconds=order.seconds, progress=tell)
        else:
            timing = benchmark(files, seconds=order.seconds, progress=tell)
        document.write(order.bench, timing.to_json())
        return [order.bench]

    def report(self, tell: Tell) -> Sequence[Path]:
        from edgekit.report import write_report

        order = self.order
        tell(f"writing {order.report}")
        write_report(order.documents, order.report, overwrite=True, golden=order.golden)
        return [order.report]

    def of_bundle(self) -> Given:
        order = self.order
        return {
            "samples": hash_of_samples(order.samples),
            "key": hash_of_file(order.key),
            "licence": f"{hash_of_file(order.licence)} {order.licence_id}",
            "archive": order.bundle.name,
            "allow_inconclusive": str(order.allow_inconclusive),
            "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", ""),
        }

    def bundle(self, tell: Tell) -> Sequence[Path]:
        from edgekit.bundle.pack import Parts, pack
        from edgekit.samples import load_samples

        order = self.order
        drift = judged(order)
        parts = Parts(
            order.name,
            tuple(self._files()),
            self._manifest(),
            order.golden,
            drift,
            load_samples(order.samples),
            order.bench,
            order.report,
            order.licence,
            order.licence_id,
            self._class_names(),
        )
        if order.bundle.is_dir():
            shutil.rmtree(order.bundle)
        pack(parts, order.bundle, key=order.key, overwrite=True, progress=tell)
        return [order.bundle]

    def _request(self, name: str, out: Path) -> Request:
        from edgekit.convert.material import Given as Samples
        from edgekit.convert.request import Request
        from edgekit.convert.search.goal import goal_of

        order, recipe = self.order, self.order.recipes[name]
        out.mkdir(parents=True, exist_ok=True)
        return Request(
            order.model,
            out,
            recipe,
            Samples(*(_text(p) for p in (order.calibration, order.validation, order.data))),
            overwrite=True,
            trust_code=order.trust_code,
            goal=goal_of(recipe),
        )

    def _take_optimised(self, name: str) -> None:
        """Have the models between the steps of an optimisation at hand, where they were made for several cells."""
        made, out = self.order.optimised(name), self.order.out
        if is_optimising(self.order.recipes[name]) and made != out:
            for path in made.glob("*.keras"):
                shutil.copyfile(path, out / path.name)

    def _first_export(self) -> ExportRecipe:
        """What all recipes say alike of what the outputs are for."""
        return next(iter(self.order.recipes.values())).export

    def _class_names(self) -> tuple[str, ...]:
        from edgekit.runtime import load

        with load(self._files()[0]) as runner:
            return runner.metadata.class_names

    def _manifest(self) -> Manifest:
        return Manifest.load(self.order.manifest)

    def _paths(self, manifest: Manifest) -> list[Path]:
        return [self.order.out / file.artifact.name for file in manifest.files]

    def _files(self) -> list[Path]:
        return self._paths(self._manifest())


def _first(given: Path | None, *recipes: Recipe) -> str:
    """The hash of samples that are given, or else of those that recipes name as their own."""
    if given is not None:
        return hash_of_samples(given)
    own = [hash_of_data(recipe) for recipe in recipes]
    return " ".join(dict.fromkeys(own))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
