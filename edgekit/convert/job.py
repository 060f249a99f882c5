"""Job: one model on its way to files, from loading it to files that are tried and described."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edgekit.cache import Cache, hash_of, key_of, maker_versions
from edgekit.calibration.generated import enough
from edgekit.convert.check.plausible import implausible
from edgekit.convert.check.reference import Reference
from edgekit.convert.finish import Result, finished
from edgekit.convert.making import Search, make
from edgekit.convert.material import Material
from edgekit.convert.order import Order
from edgekit.convert.scheme_name import INTEGER_SCHEMES
from edgekit.convert.variant import MEASURED, Wanted
from edgekit.device import load_device
from edgekit.errors import UsageError
from edgekit.files import existing, sha256_of
from edgekit.formats.metadata import Metadata
from edgekit.formats.seen import CALIBRATION, FINE_TUNING
from edgekit.models import load
from edgekit.models.imports import import_files
from edgekit.models.shapes import shaped
from edgekit.models.source import SourceModel
from edgekit.optimize.chain import Optimized, optimize
from edgekit.optimize.shelf import Shelf
from edgekit.samples import Samples
from edgekit.samples.prepare import prepared
from edgekit.samples.profile import seen_of


@dataclass(frozen=True)
class Job:
    """What decides about the files.

    Attributes:
        order: which files of which model.
        material: the samples.
        golden_sha256: of the golden file that the files are to name; None for none.
        cached: take what was made before from the cache and from the folder, and keep what is made.
            A model object is made anew each time: whether it is still what its file holds, and what
            code its layers run, cannot be told from outside.
    """

    order: Order
    material: Material
    golden_sha256: str | None = None
    cached: bool = True

    @cached_property
    def versions(self) -> dict[str, str]:
        """Of edgekit and of all packages that decide about a file."""
        return maker_versions()

    @property
    def cache(self) -> Cache | None:
        """Where finished files are kept; None for nowhere."""
        return Cache() if self.cached and self.order.source is None else None

    @cached_property
    def shelf(self) -> Shelf | None:
        """Where the models of an optimisation lie between its steps; None where there is none."""
        order = self.order
        if not order.optimized:
            return None
        origin = None
        if self.cached and order.source is None:
            origin = key_of(
                source=order.origin.sha256,
                data=self._data_hash,
                preprocessing={k: v.to_json() for k, v in order.recipe.preprocessing.items()},
                class_names=order.recipe.class_names,
                decoder=order.recipe.decoder.to_json() if order.recipe.decoder else None,
                versions=self.versions,
            )
        return Shelf(order.out, order.name, origin, order.overwrite, order.trust_code)

    @property
    def _names_of_samples(self) -> tuple[str, ...]:
        """What the calibration samples call the classes; they may be of another model's."""
        given = self.material.calibration
        return given.class_names if given is not None else ()

    @cached_property
    def _data_hash(self) -> str | None:
        return hash_of(self.material.data)

    def keys(self) -> dict[Wanted, str]:
        """For each file a key that changes with everything that decides about its bytes."""
        order, material = self.order, self.material
        samples = [hash_of(material.calibration), hash_of(material.validation)]
        device = order.recipe.device
        common = {
            # A profile of the user's own may change.
            **({"board": asdict(load_device(device))} if device else {}),
            "source": order.origin.sha256,
            "recipe": {**asdict(order.recipe), "schemes": None, "formats": None, "files": None},
            "data": self._data_hash if order.optimized else None,
            # Refused samples stay refused, even for a file that they do not change.
            "samples": _shapes(material.calibration),
            "class_names": self._names_of_samples,
            "trust_code": order.trust_code,
            "imports": [sha256_of(existing(path, "Python file")) for path in order.recipe.imports],
            "golden": self.golden_sha256,
            "versions": self.versions,
        }
        return {
            file: key_of(
                **common,
                format=file.format,
                scheme=file.scheme,
                calibration=samples if file.scheme in MEASURED else None,
            )
            for file in order.files
        }

    def optimise(self, tell: Callable[[str], None]) -> tuple[Path, ...]:
        """Do the steps before the export alone; gives the model after each, as a file."""
        order, shelf = self.order, self.shelf
        assert shelf is not None, "the recipe asks for a step"
        source, about = self._source()
        data = self.material.data
        given = data and prepared(data, about, source.inputs)
        done = optimize(source, order.recipe, given, shelf=shelf, progress=tell)
        names = list(done.steps)
        return tuple(shelf.path(names[: count + 1]) for count in range(len(names)))

    def _source(self) -> tuple[SourceModel, Metadata]:
        """The model, and what its files will say of it."""
        order = self.order
        import_files(order.recipe.imports)
        source = order.source or load(
            order.origin.path, trust_code=order.trust_code, signature=order.recipe.signature
        )
        source = shaped(source, order.recipe.shape)
        return source, self._about(source)

    def run(
        self,
        files: Sequence[Wanted],
        folder: Path,
        verbose: bool,
        tell: Callable[[str], None],
        search: Search | None = None,
    ) -> Generator[tuple[Wanted, Result], None, None]:
        """Make `files` in `folder`, then those that `search` names; gives each when it is done, in no order.

        The samples of `search` are raw data.
        """
        order = self.order
        source, about = self._source()
        samples, validation, data = (
            given and prepared(given, about, source.inputs)
            for given in (self.material.calibration, self.material.validation, self.material.data)
        )
        calibrated = any(f.scheme in INTEGER_SCHEMES for f in files)
        if samples is not None and calibrated:
            tell(f"calibrate on {len(samples)} of {self.material.given} samples")
        optimized = optimize(source, order.recipe, data, shelf=self.shelf, progress=tell)
        tailored = shaped(optimized.source, order.recipe.shape)
        reference = Reference(tailored, samples)
        remarks = implausible(reference) if calibrated else ()
        calibrating = None if samples is None else seen_of(samples, CALIBRATION)
        tuning = seen_of(data, FINE_TUNING) if data is not None and order.optimized else None
        if calibrated and not order.recipe.qat:
            samples, remark = enough(tailored, samples, tell)
            remarks = (*remarks, *remark)
            if remark:
                # What the model was asked on the given samples is kept where they stay.
                reference = replace(reference, calibration=samples, generated=True)
        if search is not None:
            search = replace(search, samples=prepared(search.samples, about, source.inputs))
        given = files, tailored, samples, validation
        recipe, aims = order.recipe, order.aims
        with closing(make(*given, recipe, aims, folder, verbose, search)) as contents:
            for file, made in contents:
                if not isinstance(made, str) and file.scheme in INTEGER_SCHEMES:
                    made = replace(made, warnings=(*made.warnings, *remarks))
                notes = self._notes(file, optimized)
                notes |= {} if isinstance(made, str) else made.notes
                served = calibrating if file.scheme in MEASURED else None, tuning
                seen = (*about.seen, *(each for each in served if each is not None))
                known = replace(about, recipe=notes, seen=seen)
                yield (
                    file,
                    finished(
                        made,
                        file,
                        folder,
                        known,
                        optimized.report,
                        reference,
                        allow_inaccurate=order.recipe.allow_inaccurate,
                    ),
                )

    def _notes(self, file: Wanted, optimized: Optimized) -> dict[str, Any]:
        """How a file was made, as it says itself."""
        notes: dict[str, Any] = {"scheme": file.scheme, "batch": self.order.recipe.batch}
        if optimized.steps:
            # The file says what was done to it, the manifest what that came to: a small file's update
            # should not carry an account of its layers.
            notes["optimized"] = list(optimized.steps)
        return notes

    def _about(self, source: SourceModel) -> Metadata:
        """What the files will say about themselves: as the model does, unless the recipe says otherwise.

        Where neither names the classes, the calibration samples may.
        """
        recipe = self.order.recipe
        names = recipe.class_names or source.metadata.class_names
        told = self._names_of_samples
        if not names and len(told) == source.classes:
            names = told
        if names and source.classes not in (None, len(names)):
            raise UsageError(
                f"class_names: received {len(names)} names, expected {source.classes}: one for each "
                "class."
            )
        return Metadata(
            class_names=names,
            preprocessing=recipe.preprocessing or source.metadata.preprocessing,
            decoder=recipe.decoder or source.metadata.decoder,
            source_sha256=self.order.origin.sha256,
            golden_sha256=self.golden_sha256,
            seen=source.metadata.seen,
            tasks=recipe.tasks or source.metadata.tasks,
        ).for_inputs([spec.name for spec in source.inputs])


def _shapes(samples: Samples | None) -> dict[str, Any] | None:
    if samples is None:
        return None
    return {name: [x.dtype.str, x.shape[1:]] for name, x in samples.inputs.items()}
