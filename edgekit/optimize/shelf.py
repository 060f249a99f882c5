"""Shelf: the models between the steps of a chain, as files that can be loaded and taken up again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.errors import ArtifactError
from edgekit.files import atomic
from edgekit.models import load
from edgekit.models.archive import save_keras
from edgekit.models.metadata import read, write
from edgekit.models.source import SourceModel
from edgekit.outputs import refuse_existing

# What a model's own metadata keep of how it was made, below `Metadata.recipe`.
_MADE = "optimized"


@dataclass(frozen=True)
class Shelf:
    """A folder with a ``.keras`` file a step, ``<stem>.prune80.cluster16.keras``.

    Attributes:
        folder: where they lie.
        stem: how their names begin.
        origin: a key for the model and the data that the chain begins with; None if what lies
            there must not be taken: a model in memory need not be what its file holds.
        overwrite: replace files that something else made.
        trust_code: let code that the files hold run, as it did in the model they are made of.
    """

    folder: Path
    stem: str
    origin: str | None
    overwrite: bool = False
    trust_code: bool = False

    def path(self, names: list[str]) -> Path:
        """The file of the model that went through the steps of those names."""
        return self.folder / f"{'.'.join([self.stem, *names])}.keras"

    def find(self, names: list[str], key: str) -> tuple[SourceModel, dict[str, Any]] | None:
        """The model that was made under `key`, and its report; None if it does not lie there."""
        path = self.path(names)
        if self.origin is None or not path.is_file():
            return None
        try:
            metadata = read(path)
        except ArtifactError:
            # Damaged, and to be replaced like any file that is in the way.
            return None
        made = metadata.recipe.get(_MADE) if metadata else None
        if metadata is None or not isinstance(made, dict) or made.get("key") != key:
            return None
        source = load(path, trust_code=self.trust_code)
        recipe = {name: value for name, value in metadata.recipe.items() if name != _MADE}
        return replace(source, metadata=replace(metadata, recipe=recipe)), made["report"]

    def refuse(self, names: list[list[str]]) -> None:
        """Ask this before the work.

        Raises:
            OutputExistsError: a file stands where a step's would go, and `overwrite` is false.
        """
        refuse_existing([self.path(each) for each in names], self.overwrite)

    def put(self, names: list[str], key: str, source: SourceModel, report: dict[str, Any]) -> None:
        """Write the model of a step, whole or not at all."""
        made = {_MADE: {"key": key, "report": report}}
        metadata = replace(source.metadata, recipe={**source.metadata.recipe, **made})
        with atomic(self.path(names)) as temporary:
            save_keras(source.model, temporary)
            write(temporary, metadata)
