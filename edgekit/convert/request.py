"""Request: what a call of `export` asks for, from its arguments to files in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekit import document
from edgekit.artifact import Artifact
from edgekit.convert.finish import Result
from edgekit.convert.folder import move, workshop
from edgekit.convert.job import Job
from edgekit.convert.material import Given, Material
from edgekit.convert.order import Order
from edgekit.convert.produce import Progress, made_of, produce, skipped_of
from edgekit.convert.result import ExportResult
from edgekit.convert.search.candidates import SCHEMES
from edgekit.convert.search.goal import Goal
from edgekit.convert.search.run import search
from edgekit.convert.variant import Wanted
from edgekit.drift.golden import Golden
from edgekit.errors import UsageError
from edgekit.manifest import MANIFEST_NAME, Manifest, Source
from edgekit.outputs import claim, together
from edgekit.recipe import ExportRecipe, Recipe
from edgekit.samples import Samples, Sources


@dataclass(frozen=True)
class Request:
    """What a call of `export` asks for, with its choice of files in the recipe; with a goal, of formats alone."""

    model: Any
    out: str | os.PathLike[str]
    recipe: Recipe
    given: Given = field(default_factory=Given)
    golden: Golden | str | os.PathLike[str] | None = None
    overwrite: bool = False
    trust_code: bool = False
    cache: bool = True
    goal: Goal | None = None

    def order(self) -> Order:
        """Its files, named."""
        return Order.of(
            self.model,
            self.out,
            self.recipe.export if self.goal is None else _any_scheme(self.recipe.export),
            overwrite=self.overwrite,
            trust_code=self.trust_code,
        )

    def job(self, order: Order, sources: Sources) -> Job:
        """All that decides about the files, samples read."""
        given = self.given.completed(order, self.recipe.data)
        golden_sha256 = order.golden_sha256(self.golden)
        return Job(order, Material.of(order, given, sources), golden_sha256, self.cache)


def run(
    request: Request,
    sources: Sources,
    *,
    verbose: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """As `export`, for a caller that has read files into `sources` already."""
    with together():
        order = request.order()
        order.check_manifest()
        claim([order.out / MANIFEST_NAME])
        job, goal = request.job(order, sources), request.goal
        samples = None if goal is None else goal.read(sources, request.recipe.data)
        how: dict[str, Any] = {"verbose": verbose, "progress": progress}
        return _export(job, goal, samples, how)


def _export(
    job: Job, goal: Goal | None, samples: Samples | None, how: dict[str, Any]
) -> ExportResult:
    order = job.order
    with workshop(order.out) as folder:
        if goal is None or samples is None:
            results = produce(job, folder, **how)
        else:
            results = search(job, goal, samples, folder, **how)
        manifest = _manifest(job, results)
        document.write(folder / MANIFEST_NAME, manifest.to_json())
        move(folder, order.out, [*_names(results), MANIFEST_NAME])
    return ExportResult(
        _artifacts(order, results),
        skipped_of(results),
        tuple(
            f"{made.artifact.name}: {text}" for made in made_of(results) for text in made.warnings
        ),
        manifest,
    )


def optimise(
    request: Request, sources: Sources, *, progress: Progress | None = None
) -> tuple[Path, ...]:
    """The model after each step that the recipe asks for before the export, as ``.keras`` files in the folder.

    An export into that folder goes on from them, and so does one for other files, schemes or boards.

    Raises:
        EdgekitError: as `export`.
    """
    order = request.order()
    return request.job(order, sources).optimise(progress or (lambda _: None))


def make_files(request: Request, sources: Sources) -> tuple[Artifact, ...]:
    """As `run`, without a manifest: neither written nor looked for."""
    order = request.order()
    job = request.job(order, sources)
    with workshop(order.out) as folder:
        results = produce(job, folder)
        move(folder, order.out, _names(results))
    return _artifacts(order, results)


def _manifest(job: Job, results: Mapping[Wanted, Result]) -> Manifest:
    origin = job.order.origin
    flavour = next(iter(results.values())).flavour
    return Manifest(
        source=Source(origin.name, origin.sha256, origin.format, origin.size_bytes, flavour),
        versions=job.versions,
        files=made_of(results),
        skipped=skipped_of(results),
    ).merged_into(job.order.out, overwrite=job.order.overwrite)


def _any_scheme(recipe: ExportRecipe) -> ExportRecipe:
    """A recipe for files of which one a format will be chosen.

    Raises:
        UsageError: it names what the search is to choose, or asks for what leaves it no choice.
    """
    if recipe.files or recipe.schemes is not None:
        raise UsageError(
            "budget: received together with schemes or files to make, expected formats alone: the search "
            "chooses the scheme. Leave out --quantize and --file."
        )
    if recipe.integer_only or recipe.qat:
        word = "integer_only" if recipe.integer_only else "qat"
        raise UsageError(
            f"budget: received together with {word}, which leaves nothing to search: export int8, and judge "
            "it with 'edgekit compare'."
        )
    return replace(recipe, schemes=SCHEMES)


def _names(results: Mapping[Wanted, Result]) -> list[str]:
    return [made.artifact.name for made in made_of(results)]


def _artifacts(order: Order, results: Mapping[Wanted, Result]) -> tuple[Artifact, ...]:
    return tuple(
        Artifact(str(order.out / file.name), file.format, file.scheme)
        for file, result in results.items()
        if result.file
    )
