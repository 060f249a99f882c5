"""Order: which files are to be made of which model, and where they go."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import FORMATS, OBJECT, Artifact
from edgekit.convert.scheme_name import INTEGER_SCHEMES
from edgekit.convert.targets import Aim
from edgekit.convert.variant import Wanted
from edgekit.drift.golden import Golden, as_golden
from edgekit.errors import DocumentError, UsageError, check_type
from edgekit.manifest import earlier
from edgekit.models.loading import keras_artifact
from edgekit.models.objects import from_object
from edgekit.models.source import SourceModel
from edgekit.optimize.steps import suffix
from edgekit.outputs import refuse_existing
from edgekit.recipe import ExportRecipe


@dataclass(frozen=True)
class Order:
    """What an export is to make, checked as far as that needs neither the model nor samples.

    Attributes:
        origin: the model's file or folder.
        source: the model, if the caller has loaded it.
        recipe: how.
        out: the folder for the files.
        name: what names of files begin with, before the steps of an optimisation.
        files: in the order in which they were requested.
        aims: for whom, by format.
        overwrite: replace files that exist.
        trust_code: let code that the model file holds run.
    """

    origin: Artifact
    source: SourceModel | None
    recipe: ExportRecipe
    out: Path
    name: str
    files: tuple[Wanted, ...]
    aims: Mapping[str, Aim]
    overwrite: bool = False
    trust_code: bool = False

    @classmethod
    def of(
        cls,
        model: Any,
        out: str | os.PathLike[str],
        recipe: ExportRecipe,
        *,
        overwrite: bool = False,
        trust_code: bool = False,
    ) -> Order:
        """Name the files that `recipe` asks for; the arguments are those of `edgekit.export`.

        Raises:
            UsageError: no model, no folder to write to, a target that runs none of the formats.
            OutputExistsError: a file is there already, and `overwrite` is false.
            RecipeError: `recipe` asks for pruning, and does not say how much.
        """
        check_type("out", out, (str, os.PathLike), "the path of a folder to write to")
        folder = Path(out)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: is a file, expected a folder to write to.")
        origin, source = _model(model, recipe)
        name = _name(origin, recipe)
        stem = name + suffix(recipe)
        files = tuple(
            Wanted(format, scheme, f"{stem}.{scheme}{FORMATS[format]}")
            for scheme, format in recipe.pairs
        )
        refuse_existing([folder / file.name for file in files], overwrite)
        aims = {file.format: Aim.of(recipe, file.format) for file in files}
        return cls(origin, source, recipe, folder, name, files, aims, overwrite, trust_code)

    @property
    def calibrated(self) -> tuple[str, ...]:
        """The schemes that need samples to find ranges from."""
        schemes = dict.fromkeys(file.scheme for file in self.files)
        return tuple(scheme for scheme in schemes if scheme in INTEGER_SCHEMES)

    @property
    def optimized(self) -> bool:
        """Whether the model is changed before its files are made."""
        return bool(suffix(self.recipe))

    def check_manifest(self) -> None:
        """Ask this before the work, so that nothing is made for a folder with another model's files.

        Raises:
            DocumentError: the manifest in `out` is unreadable, or of another model.
        """
        earlier(self.out, self.origin.sha256, overwrite=self.overwrite)

    def golden_sha256(self, golden: Golden | str | os.PathLike[str] | None) -> str | None:
        """The hash of a golden file, which the files are to name as their own; None for none.

        Raises:
            UsageError: it is no file yet.
            DocumentError: it is unreadable, or holds the answers of another model.
        """
        if golden is None:
            return None
        loaded, origin = as_golden(golden), self.origin
        if loaded.sha256 is None:
            raise UsageError(
                "golden: received one that is no file yet. Save it, and give the file."
            )
        if loaded.reference.sha256 != origin.sha256:
            raise DocumentError(
                f"golden: holds the answers of {loaded.reference.path} with sha256 "
                f"{loaded.reference.sha256}, expected those of {origin.name} with {origin.sha256}. "
                "Make it anew with: edgekit golden"
            )
        return loaded.sha256


def _model(model: Any, recipe: ExportRecipe) -> tuple[Artifact, SourceModel | None]:
    if isinstance(model, (str, os.PathLike)):
        return keras_artifact(model), None
    source = model if isinstance(model, SourceModel) else from_object(model)
    if recipe.signature is not None:
        raise UsageError(
            f"signature: received {recipe.signature!r} for a model that is loaded. Name it where "
            "the model is loaded: edgekit.models.load(path, signature=...)."
        )
    return source.artifact, source


def _name(origin: Artifact, recipe: ExportRecipe) -> str:
    path = origin.path
    name = path.stem if origin.format != OBJECT and path.is_file() else path.name
    if recipe.signature is not None:
        name += f".{re.sub(r'[^A-Za-z0-9_-]', '_', recipe.signature)}"
    return name
