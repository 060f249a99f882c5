"""Request: what a call of `export` asks for, from its arguments to files in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekit import document
from edgekit.artifact import Artifact
from edgekit.convert.finish import Result
from edgekit.convert.folder import move, workshop
from edgekit.convert.job import Job
from edgekit.convert.making import Wanted
from edgekit.convert.material import Given, Material
from edgekit.convert.order import Order
from edgekit.convert.produce import Progress, made_of, produce, skipped_of
from edgekit.convert.result import ExportResult
from edgekit.drift.golden import Golden
from edgekit.manifest import MANIFEST_NAME, Manifest, Source
from edgekit.outputs import claim, together
from edgekit.recipe import Recipe
from edgekit.samples import Sources


@dataclass(frozen=True)
class Request:
    """What a call of `export` asks for, with its choice of files in the recipe."""

    model: Any
    out: str | os.PathLike[str]
    recipe: Recipe
    given: Given = field(default_factory=Given)
    golden: Golden | str | os.PathLike[str] | None = None
    overwrite: bool = False
    trust_code: bool = False
    cache: bool = True

    def order(self) -> Order:
        """Its files, named."""
        return Order.of(
            self.model,
            self.out,
            self.recipe.export,
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
        return _export(request.job(order, sources), verbose, progress)


def _export(job: Job, verbose: bool, progress: Progress | None) -> ExportResult:
    order = job.order
    with workshop(order.out) as folder:
        results = produce(job, folder, verbose=verbose, progress=progress)
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
    flavour = results[job.order.files[0]].flavour
    return Manifest(
        source=Source(origin.name, origin.sha256, origin.format, origin.size_bytes, flavour),
        versions=job.versions,
        files=made_of(results),
        skipped=skipped_of(results),
    ).merged_into(job.order.out, overwrite=job.order.overwrite)


def _names(results: Mapping[Wanted, Result]) -> list[str]:
    return [made.artifact.name for made in made_of(results)]


def _artifacts(order: Order, results: Mapping[Wanted, Result]) -> tuple[Artifact, ...]:
    return tuple(
        Artifact(str(order.out / file.name), file.format, file.scheme)
        for file, result in results.items()
        if result.file
    )
